//! A stream goes through a topic, so that all records of one key come together in one partition.

use std::rc::Rc;

use kstreams_topology::graph::Partitioner;
use kstreams_topology::{Nullable, Record};

use super::{KStream, StreamNode, StreamPlan};
use crate::error::Result;
use crate::option::{Repartitioned, Serdes, SharedSerde};
use crate::plan::{Draft, Effect, Kind, NodeId, Repartition, RepartitionNames, Site, WriteNode, is_generated, valid};
use crate::step::{Factory, step};

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Sends the stream through a topic of its own. Records without a key do not come out again.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// # use kstreams_dsl::Repartitioned;
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<String, String>("in").select_key(|_, value| value.clone());
    /// stream.repartition(Repartitioned::new().named("by-value").partitions(8)).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&input, ("a", "1"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("1".into(), "1".into())]);
    /// assert!(driver.produced_topic_names().contains("test-by-value-repartition"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn repartition(&self, options: impl Into<Repartitioned<K, V>>) -> Self {
        let options = options.into();
        let parent = self.node.clone();
        self.derive(move |draft, child| {
            let parent_plan = parent.planned.get("repartition")?;
            let base = match child.name.take("repartition")?.or(options.name) {
                Some(name) => valid(name)?,
                None => draft.names.draw("KSTREAM-REPARTITION-"),
            };
            child.inherit(&parent.serdes.borrow());
            let (key, value) = child.serdes.borrow().resolve(&base)?;
            let topic = RepartitionTopic {
                key,
                value,
                partitions: options.partitions,
                partitioner: options.partitioner,
            };
            let (node, source) = repartition_node(draft, &base, Merging::Never, topic.writer())?;
            draft.attach(parent_plan.node, node);
            Ok(StreamPlan {
                node,
                name: source,
                key_changed: false,
            })
        })
    }
}

impl<K: Nullable, V: Nullable> StreamNode<K, V> {
    /// The node under which a join of this stream stands: the stream's own or, if its key was changed, a repartition
    /// topic's. Joins that do not name that topic share it.
    pub(crate) fn repartitioned(
        &self,
        draft: &mut Draft,
        base: Option<String>,
        serdes: &Serdes<K, V>,
    ) -> Result<NodeId> {
        let planned = self.planned.get("join")?;
        if !planned.key_changed {
            return Ok(planned.node);
        }
        let base = base.map(valid).transpose()?.unwrap_or_else(|| planned.name.clone());
        let (key, value) = serdes.resolve(&base)?;
        let topic = RepartitionTopic::<K, V> {
            key,
            value,
            partitions: None,
            partitioner: None,
        };
        let (new, _) = repartition_node(draft, &base, Merging::Allowed, topic.writer())?;
        if let Some(shared) = self.repartition.get().filter(|_| base == planned.name) {
            return Ok(shared);
        }
        self.repartition.set(Some(new));
        draft.attach(planned.node, new);
        Ok(new)
    }
}

/// A repartition topic for records of these types.
pub(crate) struct RepartitionTopic<K: Nullable, V: Nullable> {
    pub(crate) key: SharedSerde<K::Inner>,
    pub(crate) value: SharedSerde<V::Inner>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
}

/// Writes a repartition topic and the nodes around it under any names.
pub(crate) type RepartitionWriter = Rc<dyn Fn(RepartitionNames) -> WriteNode>;

impl<K: Nullable, V: Nullable> RepartitionTopic<K, V> {
    pub(crate) fn writer(self) -> RepartitionWriter {
        Rc::new(move |names| {
            let (key, value) = (self.key.clone(), self.value.clone());
            let (partitions, partitioner) = (self.partitions, self.partitioner.clone());
            Box::new(move |lowering, site| {
                let filter = if site.wants_null_keys {
                    step(|cx, record: Record<K, V>| cx.forward(record))
                } else {
                    keyed_only::<K, V>()
                };
                lowering.processor(&site.renamed(&names.filter), filter, &[])?;
                lowering.internal_topic(&names.topic, partitions);
                let below_filter = Site::below(&names.sink, &names.filter);
                lowering.internal_sink(&below_filter, &names.topic, (key.clone(), value.clone()), partitioner)?;
                lowering.internal_source::<K, V>(&names.source, &names.topic, (key, value))
            })
        })
    }
}

/// Drops records without a key: their partition would be arbitrary.
fn keyed_only<K: Nullable, V: Nullable>() -> Factory {
    step(|cx, record: Record<K, V>| match record.key.as_option() {
        Some(_) => cx.forward(record),
        None => Ok(()),
    })
}

/// Whether the optimiser may replace several repartition topics by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merging {
    /// It may: nobody asked for the topic itself.
    Allowed,
    /// The program asked for this topic.
    Never,
}

/// Drafts a repartition topic, without parent yet; the node, and the name of its source.
pub(crate) fn repartition_node(
    draft: &mut Draft,
    base: &str,
    merging: Merging,
    writer: RepartitionWriter,
) -> Result<(NodeId, String)> {
    let names = draw_names(draft, base);
    let source = names.source.clone();
    let kind = match merging {
        Merging::Never => Kind::Plain,
        Merging::Allowed => Kind::Repartition(Repartition {
            topic: names.topic.clone(),
            rewrite: writer.clone(),
        }),
    };
    let write = writer(names);
    let node = draft.node(&source, (kind, Effect::None), write);
    Ok((node, source))
}

/// Draws the three names of a repartition, used or not, as Java does.
pub(crate) fn draw_names(draft: &mut Draft, base: &str) -> RepartitionNames {
    let sink = draft.names.draw("KSTREAM-SINK-");
    let filter = draft.names.draw("KSTREAM-FILTER-");
    let source = draft.names.draw("KSTREAM-SOURCE-");
    let topic = if base.ends_with("-repartition") {
        base.to_owned()
    } else {
        format!("{base}-repartition")
    };
    if is_generated(base) {
        return RepartitionNames {
            topic,
            filter,
            sink,
            source,
        };
    }
    RepartitionNames {
        filter: format!("{topic}-filter"),
        sink: format!("{topic}-sink"),
        source: format!("{topic}-source"),
        topic,
    }
}
