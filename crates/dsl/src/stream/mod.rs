//! Streams: a record after the other, and what can be done with each.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::{Nullable, Serde};

use crate::error::Result;
use crate::option::Serdes;
use crate::plan::{Draft, Effect, Kind, Late, NodeId, Plan, Planned};
use crate::step::Factory;

mod branch;
mod filter;
mod group;
mod join;
mod map;
mod merge;
mod output;
mod print;
mod process;
mod repartition;

pub use branch::Split;
pub use group::KGroupedStream;
pub use join::{JoinWindows, Joined, StreamJoin, TableJoin};
pub use output::Sink;
pub use print::Printed;

pub(crate) use group::{GroupedNode, TakeKeyed};
pub(crate) use repartition::{Merging, RepartitionTopic, draw_names, repartition_node};

/// A stream of records. Handles are cheap to clone, and all operators take `&self`: one stream may feed many.
///
/// `K` and `V` say whether keys and values may be null: `KStream<Option<String>, String>` has records without keys, but
/// none without a value. Closures get by value what their operator uses up, and by reference what it keeps, as with
/// [`Iterator`]: [`map`](Self::map) takes `(K, V)`, [`map_values`](Self::map_values) `(&K, V)`, [`filter`](Self::filter)
/// `(&K, &V)`. They may fail: a closure that returns a `Result` sends its error to the processing exception handler.
pub struct KStream<K: Nullable, V: Nullable> {
    pub(crate) plan: Plan,
    pub(crate) node: Rc<StreamNode<K, V>>,
}

/// A stream as it was recorded.
pub(crate) struct StreamNode<K: Nullable, V: Nullable> {
    pub(crate) name: Late<String>,
    pub(crate) serdes: RefCell<Serdes<K, V>>,
    pub(crate) planned: Planned<StreamPlan>,
    /// The repartition topic that joins of this stream share.
    repartition: Cell<Option<NodeId>>,
}

/// What a stream's operator came to in the draft.
#[derive(Clone)]
pub(crate) struct StreamPlan {
    /// The node whose children get the stream's records.
    pub(crate) node: NodeId,
    /// The operator's name.
    pub(crate) name: String,
    /// Whether records of one key may be in several partitions.
    pub(crate) key_changed: bool,
}

impl<K: Nullable, V: Nullable> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            node: self.node.clone(),
        }
    }
}

impl<K: Nullable, V: Nullable> KStream<K, V> {
    pub(crate) fn new(plan: &Plan) -> Self {
        let node = StreamNode {
            name: Late::new("name"),
            serdes: RefCell::new(Serdes::default()),
            planned: Planned::new(),
            repartition: Cell::new(None),
        };
        Self {
            plan: plan.clone(),
            node: Rc::new(node),
        }
    }

    /// Names the operator that this stream comes from.
    pub fn named(&self, name: impl Into<String>) -> Self {
        self.node.name.set(name.into());
        self.clone()
    }

    /// The serde of this stream's keys, for all operators below that keep the key. By default the type's own.
    pub fn key_serde(&self, serde: impl Serde<K::Inner>) -> Self {
        self.node.serdes.borrow_mut().key = Some(Arc::new(serde));
        self.clone()
    }

    /// The serde of this stream's values, for all operators below that keep the value. By default the type's own.
    pub fn value_serde(&self, serde: impl Serde<V::Inner>) -> Self {
        self.node.serdes.borrow_mut().value = Some(Arc::new(serde));
        self.clone()
    }

    /// Records an operator with one parent that is one processor node.
    pub(crate) fn unary<K2: Nullable, V2: Nullable>(
        &self,
        prefix: &'static str,
        effect: Effect,
        inherit: fn(&Serdes<K, V>) -> Serdes<K2, V2>,
        factory: Factory,
    ) -> KStream<K2, V2> {
        let parent = self.node.clone();
        self.derive(move |draft, child: &StreamNode<K2, V2>| {
            let parent_plan = parent.planned.get(prefix)?;
            let name = draft.names.or_draw(child.name.take(prefix)?, prefix)?;
            child.inherit(&inherit(&parent.serdes.borrow()));
            let node = draft.processor(&name, effect, factory);
            draft.attach(parent_plan.node, node);
            Ok(StreamPlan {
                node,
                name,
                key_changed: parent_plan.key_changed || effect == Effect::Keys,
            })
        })
    }

    /// Records an operator that makes another stream.
    pub(crate) fn derive<K2: Nullable, V2: Nullable>(
        &self,
        operator: impl FnOnce(&mut Draft, &StreamNode<K2, V2>) -> Result<StreamPlan> + 'static,
    ) -> KStream<K2, V2> {
        stream_of(&self.plan, operator)
    }
}

/// Records an operator whose result is a stream.
pub(crate) fn stream_of<K: Nullable, V: Nullable>(
    plan: &Plan,
    operator: impl FnOnce(&mut Draft, &StreamNode<K, V>) -> Result<StreamPlan> + 'static,
) -> KStream<K, V> {
    let stream = KStream::new(plan);
    let node = stream.node.clone();
    plan.record(move |draft| {
        let planned = operator(draft, &node)?;
        node.planned.set(planned);
        Ok(())
    });
    stream
}

impl<K: Nullable, V: Nullable> StreamNode<K, V> {
    /// Takes over the serdes of the stream above where none were given.
    pub(crate) fn inherit(&self, above: &Serdes<K, V>) {
        let own = self.serdes.take();
        self.serdes.replace(own.or(above));
    }
}

impl Draft {
    /// A logical node that is one processor without stores.
    pub(crate) fn processor(&mut self, name: &str, effect: Effect, factory: Factory) -> NodeId {
        self.node(name, (Kind::Plain, effect), move |lowering, site| {
            lowering.processor(site, factory, &[])
        })
    }
}
