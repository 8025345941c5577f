//! Streams are grouped by key, to be aggregated.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::Input;
use kstreams_topology::{Data, Error, Nullable, Record, Serde};

use super::repartition::{Merging, RepartitionTopic, RepartitionWriter, repartition_node};
use super::{KStream, StreamNode, StreamPlan};
use crate::error::Result;
use crate::option::{Serdes, SharedSerde};
use crate::outcome::Outcome;
use crate::plan::{Draft, Effect, Late, NodeId, Plan, Planned, valid};
use crate::step::step;

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Groups the stream by its keys. If an operator above changed the keys, an aggregation goes through a repartition
    /// topic first.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").group_by_key().count().to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, ("a", "x"))?;
    /// driver.pipe(&input, ("a", "y"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 1), ("a".into(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_by_key(&self) -> KGroupedStream<K::Inner, V> {
        let parent = self.node.clone();
        self.group::<K>(move |_, group| {
            let planned = parent.planned.get("group_by_key")?.clone();
            let name = group.name.take(&planned.name)?.map(valid).transpose()?;
            group.inherit(&parent, |above| Serdes {
                key: above.key.clone(),
                value: above.value.clone(),
            });
            Ok(GroupedPlan { stream: planned, name })
        })
    }

    /// Groups the stream by other keys. An aggregation goes through a repartition topic first.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let lengths = builder.stream::<String, String>("in").group_by(|_, value| value.len().to_string());
    /// lengths.count().to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, ("a", "x"))?;
    /// driver.pipe(&input, ("b", "y"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("1".into(), 1), ("1".into(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_by<K2, R, M>(
        &self,
        select: impl Fn(&K, &V) -> R + Send + Sync + 'static,
    ) -> KGroupedStream<K2::Inner, V>
    where
        K2: Nullable,
        R: Outcome<K2, M>,
    {
        const PREFIX: &str = "KSTREAM-KEY-SELECT-";
        let run = step(move |cx, record: Record<K, V>| {
            let key = select(&record.key, &record.value).outcome().map_err(Error::User)?;
            cx.forward(record.with_key(key))
        });
        let parent = self.node.clone();
        self.group::<K2>(move |draft, group| {
            let above = parent.planned.get(PREFIX)?;
            let given = group.name.take(PREFIX)?;
            let name = draft.names.or_draw(given.clone(), PREFIX)?;
            group.inherit(&parent, |above| Serdes {
                key: None,
                value: above.value.clone(),
            });
            let node = draft.processor(&name, Effect::Keys, run);
            draft.attach(above.node, node);
            Ok(GroupedPlan {
                stream: StreamPlan {
                    node,
                    name,
                    key_changed: true,
                },
                name: given,
            })
        })
    }

    /// Records a grouping of a stream whose keys, as they reach the aggregation, are `R`.
    fn group<R: Nullable>(
        &self,
        operator: impl FnOnce(&mut Draft, &GroupedNode<R::Inner, V>) -> Result<GroupedPlan> + 'static,
    ) -> KGroupedStream<R::Inner, V> {
        let grouped = KGroupedStream {
            plan: self.plan.clone(),
            node: Rc::new(GroupedNode {
                name: Late::new("name"),
                serdes: RefCell::default(),
                planned: Planned::new(),
                shared: Cell::new(None),
                take: take::<R, V>,
                writer: writer::<R, V>,
            }),
        };
        let node = grouped.node.clone();
        self.plan.record(move |draft| {
            let planned = operator(draft, &node)?;
            node.planned.set(planned);
            Ok(())
        });
        grouped
    }
}

/// A stream grouped by key: the records of one key are aggregated together. Records without a key are dropped.
pub struct KGroupedStream<K: Data, V: Nullable> {
    pub(crate) plan: Plan,
    pub(crate) node: Rc<GroupedNode<K, V>>,
}

/// A grouping as it was recorded. How keys were before, whether they could be null, is left to two functions.
pub(crate) struct GroupedNode<K: Data, V: Nullable> {
    name: Late<String>,
    pub(crate) serdes: RefCell<Serdes<K, V>>,
    pub(crate) planned: Planned<GroupedPlan>,
    /// The repartition topic that all aggregations of a named grouping share.
    shared: Cell<Option<NodeId>>,
    pub(crate) take: TakeKeyed<K, V>,
    writer: fn(SharedSerde<K>, SharedSerde<V::Inner>) -> RepartitionWriter,
}

/// Takes a record whose key may be null.
pub(crate) type TakeKeyed<K, V> = fn(Input<'_>) -> Record<Option<K>, V>;

/// What a grouping came to in the draft.
pub(crate) struct GroupedPlan {
    pub(crate) stream: StreamPlan,
    /// The name that the program gave it.
    pub(crate) name: Option<String>,
}

fn take<K: Nullable, V: Nullable>(input: Input<'_>) -> Record<Option<K::Inner>, V> {
    let record = input.take::<K, V>();
    Record {
        key: record.key.into_option(),
        value: record.value,
        timestamp: record.timestamp,
        headers: record.headers,
    }
}

fn writer<K: Nullable, V: Nullable>(key: SharedSerde<K::Inner>, value: SharedSerde<V::Inner>) -> RepartitionWriter {
    RepartitionTopic::<K, V> {
        key,
        value,
        partitions: None,
        partitioner: None,
    }
    .writer()
}

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Names the grouping: its repartition topic is `<application id>-<name>-repartition`, one for all aggregations of
    /// this grouping.
    pub fn named(&self, name: impl Into<String>) -> Self {
        self.node.name.set(name.into());
        self.clone()
    }

    /// The serde of the keys. By default the stream's, or the type's own.
    pub fn key_serde(&self, serde: impl Serde<K>) -> Self {
        self.node.serdes.borrow_mut().key = Some(Arc::new(serde));
        self.clone()
    }

    /// The serde of the values. By default the stream's, or the type's own.
    pub fn value_serde(&self, serde: impl Serde<V::Inner>) -> Self {
        self.node.serdes.borrow_mut().value = Some(Arc::new(serde));
        self.clone()
    }
}

impl<K: Data, V: Nullable> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            node: self.node.clone(),
        }
    }
}

impl<K: Data, V: Nullable> GroupedNode<K, V> {
    fn inherit<K0: Nullable>(&self, above: &StreamNode<K0, V>, map: fn(&Serdes<K0, V>) -> Serdes<K, V>) {
        let own = self.serdes.take();
        self.serdes.replace(own.or(&map(&above.serdes.borrow())));
    }

    /// The node under which an aggregation stands: the stream's own, or a repartition topic's. `store` names the topic
    /// if the grouping has no name.
    pub(crate) fn aggregation_parent(&self, draft: &mut Draft, store: &str) -> Result<NodeId> {
        let planned = self.planned.get(store)?;
        if !planned.stream.key_changed {
            return Ok(planned.stream.node);
        }
        let base = planned.name.as_deref().unwrap_or(store);
        let (key, value) = self.serdes.borrow().resolve(base)?;
        let (new, _) = repartition_node(draft, base, Merging::Allowed, (self.writer)(key, value))?;
        let node = match (self.shared.get(), &planned.name) {
            (Some(shared), Some(_)) => shared,
            _ => new,
        };
        self.shared.set(Some(node));
        draft.attach(planned.stream.node, node);
        Ok(node)
    }
}
