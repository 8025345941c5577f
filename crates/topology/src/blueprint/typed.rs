//! Adding sources, processors, sinks and stores with their types: the Processor API's way to build a topology.

use std::sync::Arc;

use kstreams_store::Kind;

use super::{NodeKind, NodeSpec, ResetPolicy, SinkTarget, Topics, Topology};
use crate::error::{Error, Result};
use crate::graph::{DynamicTopic, Partitioner, SinkNode, SinkTopic, SourceNode};
use crate::processor::{FixedKeyNode, FixedKeyProcessor, Processor, ProcessorNode};
use crate::record::Nullable;
use crate::serde::{DefaultSerde, Serde};
use crate::stores::{StoreBuilder, StoreHandle, StoreId, StoreKind};
use crate::timestamp::TimestampExtractor;

/// How a source reads: serdes, timestamps, and where it starts.
pub struct Consumed<K: Nullable, V: Nullable> {
    /// Reads keys.
    pub key: Arc<dyn Serde<K::Inner>>,
    /// Reads values.
    pub value: Arc<dyn Serde<V::Inner>>,
    /// Chooses timestamps.
    pub extractor: TimestampExtractor<K, V>,
    /// Where to start without a committed offset; `None` leaves that to the configuration.
    pub reset: Option<ResetPolicy>,
}

impl<K: Nullable, V: Nullable> Clone for Consumed<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
            extractor: self.extractor.clone(),
            reset: self.reset,
        }
    }
}

impl<K: Nullable, V: Nullable> Consumed<K, V> {
    /// Reads with these serdes.
    pub fn with(key: impl Serde<K::Inner>, value: impl Serde<V::Inner>) -> Self {
        Self::with_shared(Arc::new(key), Arc::new(value))
    }

    /// Reads with these serdes, which others use, too.
    pub fn with_shared(key: Arc<dyn Serde<K::Inner>>, value: Arc<dyn Serde<V::Inner>>) -> Self {
        Self {
            key,
            value,
            extractor: TimestampExtractor::default(),
            reset: None,
        }
    }

    /// Chooses timestamps like this.
    pub fn timestamp(mut self, extractor: TimestampExtractor<K, V>) -> Self {
        self.extractor = extractor;
        self
    }

    /// Starts here without a committed offset.
    pub fn reset(mut self, reset: ResetPolicy) -> Self {
        self.reset = Some(reset);
        self
    }
}

impl<K: Nullable, V: Nullable> Default for Consumed<K, V>
where
    K::Inner: DefaultSerde,
    V::Inner: DefaultSerde,
{
    fn default() -> Self {
        Self::with(
            <K::Inner as DefaultSerde>::Serde::default(),
            <V::Inner as DefaultSerde>::Serde::default(),
        )
    }
}

/// How a sink writes: serdes, and which partition.
pub struct Produced<K: Nullable, V: Nullable> {
    /// Writes keys.
    pub key: Arc<dyn Serde<K::Inner>>,
    /// Writes values.
    pub value: Arc<dyn Serde<V::Inner>>,
    /// Chooses partitions; `None` leaves that to the producer.
    pub partitioner: Option<Partitioner<K, V>>,
}

impl<K: Nullable, V: Nullable> Clone for Produced<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
            partitioner: self.partitioner.clone(),
        }
    }
}

impl<K: Nullable, V: Nullable> Produced<K, V> {
    /// Writes with these serdes.
    pub fn with(key: impl Serde<K::Inner>, value: impl Serde<V::Inner>) -> Self {
        Self::with_shared(Arc::new(key), Arc::new(value))
    }

    /// Writes with these serdes, which others use, too.
    pub fn with_shared(key: Arc<dyn Serde<K::Inner>>, value: Arc<dyn Serde<V::Inner>>) -> Self {
        Self {
            key,
            value,
            partitioner: None,
        }
    }

    /// Chooses partitions like this.
    pub fn partitioner(mut self, partitioner: Partitioner<K, V>) -> Self {
        self.partitioner = Some(partitioner);
        self
    }
}

impl<K: Nullable, V: Nullable> Default for Produced<K, V>
where
    K::Inner: DefaultSerde,
    V::Inner: DefaultSerde,
{
    fn default() -> Self {
        Self::with(
            <K::Inner as DefaultSerde>::Serde::default(),
            <V::Inner as DefaultSerde>::Serde::default(),
        )
    }
}

/// Where a typed sink sends.
enum Destination<K, V> {
    Topic(String),
    Dynamic { label: String, choose: DynamicTopic<K, V> },
}

impl Topology {
    /// Adds a source.
    pub fn add_source<K: Nullable, V: Nullable>(
        &mut self,
        name: &str,
        topics: impl Into<Topics>,
        consumed: Consumed<K, V>,
    ) -> Result<&mut Self> {
        let reset = consumed.reset;
        let new = Arc::new(move || {
            let Consumed {
                key, value, extractor, ..
            } = consumed.clone();
            Box::new(SourceNode::<K, V>::new(key, value, extractor)) as Box<dyn crate::graph::Source>
        });
        self.add_node(NodeSpec {
            name: name.to_owned(),
            parents: Vec::new(),
            stores: Vec::new(),
            kind: NodeKind::Source {
                topics: topics.into(),
                reset,
                new,
            },
        })?;
        Ok(self)
    }

    /// Adds a processor below these parents and connects it to its stores. The closure makes one for each task.
    pub fn add_processor<P: Processor>(
        &mut self,
        name: &str,
        new: impl Fn() -> P + Send + Sync + 'static,
        parents: &[&str],
    ) -> Result<&mut Self> {
        let stores = self.store_names(name, new().stores())?;
        self.add_node(NodeSpec {
            name: name.to_owned(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            stores,
            kind: NodeKind::Processor {
                new: Arc::new(move || Box::new(ProcessorNode(new()))),
            },
        })?;
        Ok(self)
    }

    /// Adds a processor that keeps keys below these parents and connects it to its stores.
    pub fn add_fixed_key_processor<P: FixedKeyProcessor>(
        &mut self,
        name: &str,
        new: impl Fn() -> P + Send + Sync + 'static,
        parents: &[&str],
    ) -> Result<&mut Self> {
        let stores = self.store_names(name, new().stores())?;
        self.add_node(NodeSpec {
            name: name.to_owned(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            stores,
            kind: NodeKind::Processor {
                new: Arc::new(move || Box::new(FixedKeyNode(new()))),
            },
        })?;
        Ok(self)
    }

    /// The names of these stores.
    pub fn store_names(&self, processor: &str, ids: Vec<StoreId>) -> Result<Vec<String>> {
        ids.into_iter()
            .map(|id| {
                let definition = self.stores().find(|definition| definition.id == id);
                definition
                    .map(|definition| definition.spec.name.clone())
                    .ok_or_else(|| {
                        super::invalid(format!(
                            "processor {processor} uses a store that is not added to the topology"
                        ))
                    })
            })
            .collect()
    }

    /// Adds a sink below these parents that sends to a topic.
    pub fn add_sink<K: Nullable, V: Nullable>(
        &mut self,
        name: &str,
        topic: &str,
        produced: Produced<K, V>,
        parents: &[&str],
    ) -> Result<&mut Self> {
        self.sink(name, parents, produced, Destination::Topic(topic.to_owned()))
    }

    /// Adds a sink below these parents that sends each record to the topic that the closure names.
    pub fn add_dynamic_sink<K: Nullable, V: Nullable>(
        &mut self,
        name: &str,
        topic: impl Fn(&K, &V, &kstreams_store::RecordContext) -> String + Send + Sync + 'static,
        produced: Produced<K, V>,
        parents: &[&str],
    ) -> Result<&mut Self> {
        let label = std::any::type_name_of_val(&topic).to_owned();
        let choose = Arc::new(topic);
        self.sink(name, parents, produced, Destination::Dynamic { label, choose })
    }

    fn sink<K: Nullable, V: Nullable>(
        &mut self,
        name: &str,
        parents: &[&str],
        produced: Produced<K, V>,
        to: Destination<K, V>,
    ) -> Result<&mut Self> {
        let (target, dynamic) = match to {
            Destination::Topic(topic) => (SinkTarget::Topic(topic), None),
            Destination::Dynamic { label, choose } => (SinkTarget::Dynamic(label), Some(SinkTopic::Dynamic(choose))),
        };
        let new = Arc::new(move |topic: Option<&kstreams_wire::TopicName>| {
            let topic = match (topic, &dynamic) {
                (_, Some(dynamic)) => dynamic.clone(),
                (Some(topic), None) => SinkTopic::Static(topic.clone()),
                (None, None) => unreachable!("a sink has a topic or a closure"),
            };
            let Produced {
                key,
                value,
                partitioner,
            } = produced.clone();
            Box::new(SinkNode::new(topic, key, value, partitioner)) as Box<dyn crate::graph::Node>
        });
        self.add_node(NodeSpec {
            name: name.to_owned(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            stores: Vec::new(),
            kind: NodeKind::Sink { topic: target, new },
        })?;
        Ok(self)
    }

    /// Adds a store. Processors that name its handle in `stores()` are connected when they are added. An error if there is
    /// one of this name, or if it is a window store with a retention shorter than its windows.
    pub fn add_store<S: StoreKind>(&mut self, store: StoreBuilder<S>) -> Result<StoreHandle<S>> {
        let handle = store.handle();
        let definition = store.into_definition();
        if let Kind::Window(layout) = definition.spec.kind
            && layout.retention_ms < layout.size_ms
        {
            return Err(Error::Topology(format!(
                "window store {} forgets windows of {} ms after {} ms: its retention must not be shorter than they are",
                definition.spec.name, layout.size_ms, layout.retention_ms
            )));
        }
        self.add_store_definition(definition, &[])?;
        Ok(handle)
    }
}
