//! Grouped streams become tables: every record updates the aggregate of its key.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{BoxError, Change, Data, Error, Nullable, Record};

use crate::error::Result;
use crate::option::{Materialized, Serdes, SharedSerde};
use crate::plan::{Draft, Effect, Kind};
use crate::step::Factory;
use crate::stream::{GroupedNode, KGroupedStream, TakeKeyed};
use crate::table::{Demand, KTable, OldValues, TableNode, TablePlan, TableStore};

mod cogroup;
mod count;
mod fold;
mod kept;
mod reduce;
mod table;
mod windowed;

pub use cogroup::{
    CogroupedKStream, SessionWindowedCogroupedKStream, SlidingWindowedCogroupedKStream, TimeWindowedCogroupedKStream,
};
pub use windowed::{SessionWindowedKStream, SlidingWindowedKStream, TimeWindowedKStream, Windows};

use count::counting;
use fold::folding;
use kept::Kept;
use reduce::reducing;

/// How an aggregate begins and goes on. `T` is what is aggregated: the values, or values that may be null.
pub(crate) trait Aggregator<K, T, A>: Send + Sync + 'static {
    /// The aggregate after a record, and the one before it as tables below are to see it.
    fn apply(&self, key: &K, value: T, before: Option<A>, old: Old) -> Result<Applied<A>, BoxError>;
}

/// Whether anybody below wants the aggregate as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    Unwanted,
    /// If there was one.
    Stored,
    /// What a new aggregate begins with counts as one, too, as in Java: tables below subtract what they never added.
    StoredOrFirst,
}

impl Old {
    pub(crate) fn wanted_if(wanted: bool, java_quirks: bool) -> Self {
        match (wanted, java_quirks) {
            (false, _) => Self::Unwanted,
            (true, false) => Self::Stored,
            (true, true) => Self::StoredOrFirst,
        }
    }

    /// Whether to tell the aggregate before; `existed` says whether it was stored.
    pub(crate) fn tells(self, existed: bool) -> bool {
        match self {
            Self::Unwanted => false,
            Self::Stored => existed,
            Self::StoredOrFirst => true,
        }
    }
}

/// What an aggregator made of a record.
pub(crate) struct Applied<A> {
    /// `None` deletes the aggregate.
    pub(crate) new: Option<A>,
    pub(crate) old: Option<A>,
}

/// An operator that aggregates, whatever of.
pub(crate) struct Operation<K: Data, V: Nullable, A: Data, G> {
    pub(crate) naming: Naming,
    /// The serde of the aggregates, where they are values of the stream.
    pub(crate) value_serde: fn(&Serdes<K, V>) -> Option<SharedSerde<A>>,
    pub(crate) aggregator: Arc<G>,
}

/// How an operator's names are generated.
#[derive(Clone, Copy)]
pub(crate) struct Naming {
    pub(crate) prefix: &'static str,
    /// An operator that takes a store without a name draws one number more than it uses, as Java does.
    pub(crate) burns: bool,
}

impl Naming {
    /// The options for the table's store, and the store's name.
    pub(crate) fn store<K: Data, A: Data>(
        self,
        draft: &mut Draft,
        table: &TableNode<K, A>,
    ) -> Result<(Materialized<K, A>, String)> {
        let given = table.given(self.prefix)?;
        if self.burns && given.as_ref().is_some_and(|materialized| materialized.name.is_none()) {
            draft.names.draw(self.prefix);
        }
        let given = given.unwrap_or_default();
        let name = draft.names.store(given.name.clone(), self.prefix)?;
        Ok((given, name))
    }
}

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Records an aggregation.
    pub(crate) fn aggregation<A: Data>(
        &self,
        operation: Operation<K, V, A, impl Aggregator<K, V::Inner, A>>,
    ) -> KTable<K, A> {
        let grouped = self.node.clone();
        KTable::record(&self.plan, move |draft, table| plan(draft, table, &grouped, operation))
    }
}

fn plan<K: Data, V: Nullable, A: Data>(
    draft: &mut Draft,
    table: &TableNode<K, A>,
    grouped: &GroupedNode<K, V>,
    operation: Operation<K, V, A, impl Aggregator<K, V::Inner, A>>,
) -> Result<TablePlan<K, A>> {
    let Naming { prefix, .. } = operation.naming;
    let above = Serdes {
        key: grouped.serdes.borrow().key.clone(),
        value: (operation.value_serde)(&grouped.serdes.borrow()),
    };
    let kept = Rc::new(Kept::draft(draft, table, operation.naming, &above)?);
    let name = draft.names.or_draw(table.name.take(prefix)?, prefix)?;
    let parent = grouped.aggregation_parent(draft, &kept.name)?;
    let (take, aggregator, lowered) = (grouped.take, operation.aggregator, kept.clone());
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let store = lowered.lower(lowering, site)?;
        let factory = aggregate_node((take, V::into_option), aggregator, store);
        lowering.processor(site, factory, std::slice::from_ref(&lowered.name))
    });
    draft.attach(parent, node);
    Ok(kept.planned(node, name))
}

/// An aggregation always has its old values in its store.
struct Stored(Rc<Cell<bool>>);

impl OldValues for Stored {
    fn enable(&self, _: Demand) -> bool {
        self.0.set(true);
        true
    }
}

/// How a node takes a record: its key, and of its value what is aggregated. Records without one are dropped.
type Take<K, V, T> = (TakeKeyed<K, V>, fn(V) -> Option<T>);

/// Makes nodes that update the aggregate of each record's key.
fn aggregate_node<K: Data, V: Nullable, T: 'static, A: Data>(
    take: Take<K, V, T>,
    aggregator: Arc<impl Aggregator<K, T, A>>,
    store: TableStore<K, A>,
) -> Factory {
    Arc::new(move || {
        Box::new(AggregateNode {
            take,
            aggregator: aggregator.clone(),
            store: store.clone(),
        })
    })
}

struct AggregateNode<K: Data, V: Nullable, T, A: Data, G> {
    take: Take<K, V, T>,
    aggregator: Arc<G>,
    store: TableStore<K, A>,
}

impl<K: Data, V: Nullable, T: 'static, A: Data, G: Aggregator<K, T, A>> Node for AggregateNode<K, V, T, A, G> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let (take, value) = self.take;
        let record = take(input);
        let (Some(key), Some(value)) = (record.key, value(record.value)) else {
            cx.drop_record();
            return Ok(());
        };
        let stored = self.store.get(cx, &key)?;
        let (before, timestamp) = match stored {
            Some(stored) => (Some(stored.value), stored.timestamp.max(record.timestamp)),
            None => (None, record.timestamp),
        };
        let old = Old::wanted_if(self.store.sends_old(), self.store.java_quirks());
        let applied = self.aggregator.apply(&key, value, before, old).map_err(Error::User)?;
        let value = Change {
            new: applied.new,
            old: applied.old,
            is_latest: true,
        };
        self.store.put(
            cx,
            Record {
                key,
                value,
                timestamp,
                headers: record.headers,
            },
        )
    }

    fn flush(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.flush(cx)
    }
}
