//! Several streams become one.

use kstreams_topology::{Nullable, Record};

use super::{KStream, StreamPlan};
use crate::plan::{Effect, Kind};
use crate::step::step;

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// The records of both streams. Each keeps its own order; there is none between them.
    pub fn merge(&self, other: &KStream<K, V>) -> Self {
        const PREFIX: &str = "KSTREAM-MERGE-";
        let (left, right) = (self.node.clone(), other.node.clone());
        self.derive(move |draft, child| {
            let name = draft.names.or_draw(child.name.take(PREFIX)?, PREFIX)?;
            child.inherit(&left.serdes.borrow());
            let (left, right) = (left.planned.get(&name)?, right.planned.get(&name)?);
            let pass = step(|cx, record: Record<K, V>| cx.forward(record));
            let node = draft.node(&name, (Kind::Merge, Effect::None), move |lowering, site| {
                lowering.processor(site, pass, &[])
            });
            draft.attach(left.node, node);
            draft.attach(right.node, node);
            Ok(StreamPlan {
                node,
                name,
                key_changed: left.key_changed || right.key_changed,
            })
        })
    }
}
