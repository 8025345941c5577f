//! One of several streams that are aggregated together, whatever its values are.

use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::stores::{SessionStore, TimestampedWindowStore};
use kstreams_topology::{BoxError, Data, Nullable};

use crate::aggregate::fold::Fold;
use crate::aggregate::windowed::{Fixed, Merge, Session, Sliding, windowed_node};
use crate::aggregate::{Aggregator, aggregate_node};
use crate::error::Result;
use crate::option::SharedSerde;
use crate::plan::{Draft, NodeId};
use crate::step::Factory;
use crate::stream::GroupedNode;
use crate::table::{Forwarder, TableStore};
use crate::window::{FixedWindows, SessionWindows, SlidingWindows};

/// Makes the aggregate of a new key or window.
pub(super) type Init<A> = Arc<dyn Fn() -> A + Send + Sync>;

/// One of the streams, whatever its values.
pub(super) trait Member<K, A: Nullable> {
    /// What tells it from the others.
    fn identity(&self) -> *const ();

    fn key_serde(&self) -> Option<SharedSerde<K>>;

    /// The node under which its aggregation stands.
    fn parent(&self, draft: &mut Draft, store: &str) -> Result<NodeId>;

    fn plain(&self, init: Init<A>, store: TableStore<K, A::Inner>) -> Factory;

    fn fixed(
        &self,
        init: Init<A>,
        windows: FixedWindows,
        store: Forwarder<TimestampedWindowStore<K, A::Inner>>,
    ) -> Factory;

    fn sliding(
        &self,
        init: Init<A>,
        windows: SlidingWindows,
        store: Forwarder<TimestampedWindowStore<K, A::Inner>>,
    ) -> Factory;

    fn session(
        &self,
        init: Init<A>,
        windows: (SessionWindows, Merge<K, A::Inner>),
        store: Forwarder<SessionStore<K, A::Inner>>,
    ) -> Factory;
}

/// A stream with the closure that folds its values.
pub(super) struct Folded<K: Data, V: Nullable, F> {
    grouped: Rc<GroupedNode<K, V>>,
    fold: Arc<F>,
}

impl<K: Data, V: Nullable, F> Folded<K, V, F> {
    pub(super) fn new(grouped: &Rc<GroupedNode<K, V>>, fold: F) -> Self {
        Self {
            grouped: grouped.clone(),
            fold: Arc::new(fold),
        }
    }

    fn aggregator<A: Nullable>(&self, init: Init<A>) -> Arc<impl Aggregator<K, V, A::Inner> + use<K, V, F, A>>
    where
        F: Fn(&K, V, A) -> std::result::Result<Option<A::Inner>, BoxError> + Send + Sync + 'static,
    {
        let fold = self.fold.clone();
        Arc::new(Fold::new(
            move || init(),
            move |key: &K, value: V, so_far| fold(key, value, so_far),
        ))
    }
}

/// The value, if it is not null.
fn present<V: Nullable>(value: V) -> Option<V> {
    value.as_option().is_some().then_some(value)
}

impl<K, V, A, F> Member<K, A> for Folded<K, V, F>
where
    K: Data,
    V: Nullable,
    A: Nullable,
    F: Fn(&K, V, A) -> std::result::Result<Option<A::Inner>, BoxError> + Send + Sync + 'static,
{
    fn identity(&self) -> *const () {
        Rc::as_ptr(&self.grouped).cast()
    }

    fn key_serde(&self) -> Option<SharedSerde<K>> {
        self.grouped.serdes.borrow().key.clone()
    }

    fn parent(&self, draft: &mut Draft, store: &str) -> Result<NodeId> {
        self.grouped.aggregation_parent(draft, store)
    }

    fn plain(&self, init: Init<A>, store: TableStore<K, A::Inner>) -> Factory {
        aggregate_node((self.grouped.take, present), self.aggregator(init), store)
    }

    fn fixed(
        &self,
        init: Init<A>,
        windows: FixedWindows,
        store: Forwarder<TimestampedWindowStore<K, A::Inner>>,
    ) -> Factory {
        let aggregator = self.aggregator(init);
        let procedure = move || Fixed::new(windows, aggregator.clone());
        windowed_node((self.grouped.take, Some), procedure, (store, None))
    }

    fn sliding(
        &self,
        init: Init<A>,
        windows: SlidingWindows,
        store: Forwarder<TimestampedWindowStore<K, A::Inner>>,
    ) -> Factory {
        let aggregator = self.aggregator(init);
        let procedure = move || Sliding::new(windows, aggregator.clone());
        windowed_node((self.grouped.take, present), procedure, (store, None))
    }

    fn session(
        &self,
        init: Init<A>,
        (windows, merge): (SessionWindows, Merge<K, A::Inner>),
        store: Forwarder<SessionStore<K, A::Inner>>,
    ) -> Factory {
        let aggregator = self.aggregator(init);
        let procedure = move || Session::new(windows, aggregator.clone(), merge.clone());
        windowed_node((self.grouped.take, Some), procedure, (store, None))
    }
}
