//! Several streams become one.

use kstreams_topology::{Nullable, Record};

use super::{KStream, StreamPlan};
use crate::plan::{Effect, Kind};
use crate::step::step;

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// The records of both streams. Each keeps its own order; there is none between them.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let (left, right) = (builder.stream::<String, String>("left"), builder.stream("right"));
    /// left.merge(&right).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let left = driver.input::<String, String>("left");
    /// let right = driver.input::<String, String>("right");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&left, ("a", "1"))?;
    /// driver.pipe(&right, ("b", "2"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), "1".into()), ("b".into(), "2".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
