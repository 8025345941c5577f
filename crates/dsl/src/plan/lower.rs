//! Writes the draft to a topology, in Java's order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use kstreams_store::{EngineKind, Kind as StoreType};
use kstreams_topology::blueprint::{InternalTopic, NodeKind, NodeSpec, SinkTarget, Topology};
use kstreams_topology::graph::{Partitioner, SinkNode, SinkTopic, SourceNode};
use kstreams_topology::stores::{StoreDefinition, StoreId};
use kstreams_topology::{Nullable, TimestampExtractor};

use super::node::{Draft, NodeId};
use crate::builder::BuildOptions;
use crate::error::Result;
use crate::option::{BothSerdes, Consumed, Produced};
use crate::step::Factory;

/// Where a logical node is written: its name and the names of its parents.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) parents: Vec<String>,
    /// Whether a join further down wants records without a key.
    pub(crate) wants_null_keys: bool,
}

impl Site {
    /// The same place under another name.
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            parents: self.parents.clone(),
            wants_null_keys: self.wants_null_keys,
        }
    }

    /// The place of a node below another.
    pub(crate) fn below(name: &str, parent: &str) -> Self {
        Self {
            name: name.to_owned(),
            parents: vec![parent.to_owned()],
            wants_null_keys: false,
        }
    }
}

/// The topology that is being written.
pub(crate) struct Lowering {
    topology: Topology,
    options: BuildOptions,
}

impl Lowering {
    pub(crate) fn new(options: BuildOptions) -> Self {
        Self {
            topology: Topology::new(),
            options,
        }
    }

    /// Writes all nodes: those that were attached first come first, but never before all of their parents.
    pub(crate) fn write(mut self, mut draft: Draft) -> Result<Topology> {
        let mut waiting = BinaryHeap::from([Reverse((0, Draft::ROOT))]);
        let mut written = vec![false; draft.nodes.len()];
        let wants_null_keys = draft.above_null_key_joins();
        let is_written = |written: &[bool], id: NodeId| written.get(id.0).copied().unwrap_or(false);
        while let Some(Reverse((_, id))) = waiting.pop() {
            let parents = draft.at(id).parents.clone();
            if !is_written(&written, id) && parents.iter().all(|parent| is_written(&written, *parent)) {
                let site = Site {
                    name: draft.at(id).name.clone(),
                    parents: parents.iter().map(|parent| draft.at(*parent).name.clone()).collect(),
                    wants_null_keys: wants_null_keys.get(id.0).copied().unwrap_or(false),
                };
                if let Some(write) = draft.at_mut(id).write.take() {
                    write(&mut self, &site)?;
                }
                if let Some(done) = written.get_mut(id.0) {
                    *done = true;
                }
            }
            for child in &draft.at(id).children {
                waiting.push(Reverse((draft.at(*child).priority, *child)));
            }
        }
        Ok(self.topology)
    }

    /// Where stores are kept that do not say so themselves.
    pub(crate) fn default_engine(&self) -> EngineKind {
        self.options.default_engine
    }

    /// Whether Java's known mistakes are to be made, too.
    pub(crate) fn java_quirks(&self) -> bool {
        self.options.java_quirks
    }

    /// Writes a processor that uses these stores.
    pub(crate) fn processor(&mut self, site: &Site, new: Factory, stores: &[String]) -> Result<()> {
        self.topology.add_node(NodeSpec {
            name: site.name.clone(),
            parents: site.parents.clone(),
            stores: stores.to_vec(),
            kind: NodeKind::Processor { new },
        })?;
        Ok(())
    }

    /// Writes a store, which its processors name afterwards.
    pub(crate) fn store(&mut self, definition: StoreDefinition) -> Result<()> {
        Ok(self.topology.add_store_definition(definition, &[])?)
    }

    /// The names of the stores that a processor asks for.
    pub(crate) fn store_names(&self, processor: &str, stores: Vec<StoreId>) -> Result<Vec<String>> {
        Ok(self.topology.store_names(processor, stores)?)
    }

    /// What a store that is written holds.
    pub(crate) fn store_kind(&self, name: &str) -> Option<StoreType> {
        let mut stores = self.topology.stores();
        let store = stores.find(|store| store.spec.name == name);
        store.map(|store| store.spec.kind)
    }

    /// Connects a node that is written to stores that are.
    pub(crate) fn connect(&mut self, node: &str, stores: &[&str]) -> Result<()> {
        Ok(self.topology.connect(node, stores)?)
    }

    /// Says that these nodes' records meet by key: the topics above them must have equally many partitions.
    pub(crate) fn copartition(&mut self, nodes: &[&str]) -> Result<()> {
        let sources = self.topology.sources_above(nodes);
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        Ok(self.topology.copartition(&sources)?)
    }

    /// Lets a store be restored from the topic that it is made of.
    pub(crate) fn reuse_topic(&mut self, store: &str, topic: &str) -> Result<()> {
        Ok(self.topology.use_source_topic_as_changelog(store, topic)?)
    }

    /// Makes a store global, see [`Topology::make_global`].
    pub(crate) fn make_global(&mut self, store: &str) -> Result<()> {
        Ok(self.topology.make_global(store)?)
    }

    /// Writes a source.
    pub(crate) fn source<K: Nullable, V: Nullable>(
        &mut self,
        name: &str,
        consumed: Consumed<K, V>,
        (key, value): BothSerdes<K, V>,
    ) -> Result<()> {
        let extractor = consumed.extractor.unwrap_or_default();
        self.topology.add_node(NodeSpec {
            name: name.to_owned(),
            parents: Vec::new(),
            stores: Vec::new(),
            kind: NodeKind::Source {
                topics: consumed.topics,
                reset: consumed.reset,
                new: Arc::new(move || Box::new(SourceNode::<K, V>::new(key.clone(), value.clone(), extractor.clone()))),
            },
        })?;
        Ok(())
    }

    /// Writes a sink.
    pub(crate) fn sink<K: Nullable, V: Nullable>(
        &mut self,
        site: &Site,
        produced: Produced<K, V>,
        serdes: BothSerdes<K, V>,
    ) -> Result<()> {
        self.sink_with(site, produced, serdes, SinkNode::windows_together)
    }

    fn sink_with<K: Nullable, V: Nullable>(
        &mut self,
        site: &Site,
        produced: Produced<K, V>,
        (key, value): BothSerdes<K, V>,
        finish: fn(SinkNode<K, V>) -> SinkNode<K, V>,
    ) -> Result<()> {
        let target = match &produced.topic {
            SinkTopic::Static(topic) => SinkTarget::Topic(topic.to_string()),
            SinkTopic::Dynamic(_) => SinkTarget::Dynamic(produced.label.unwrap_or_else(|| "dynamic".to_owned())),
        };
        let (dynamic, partitioner) = (produced.topic, produced.partitioner);
        self.topology.add_node(NodeSpec {
            name: site.name.clone(),
            parents: site.parents.clone(),
            stores: Vec::new(),
            kind: NodeKind::Sink {
                topic: target,
                new: Arc::new(move |full_name| {
                    let topic = full_name.map_or_else(|| dynamic.clone(), |name| SinkTopic::Static(name.clone()));
                    let node = SinkNode::new(topic, key.clone(), value.clone(), partitioner.clone());
                    Box::new(finish(node))
                }),
            },
        })?;
        Ok(())
    }

    /// Says that a topic belongs to the application, which creates it.
    pub(crate) fn internal_topic(&mut self, name: &str, partitions: Option<i32>) {
        self.topology.add_internal_topic(InternalTopic {
            name: name.to_owned(),
            partitions,
        });
    }

    /// Writes the sink before an internal topic.
    pub(crate) fn internal_sink<K: Nullable, V: Nullable>(
        &mut self,
        site: &Site,
        topic: &str,
        serdes: BothSerdes<K, V>,
        partitioner: Option<Partitioner<K, V>>,
    ) -> Result<()> {
        let produced = Produced {
            partitioner,
            ..Produced::topic(topic)
        };
        self.sink_with(site, produced, serdes, std::convert::identity)
    }

    /// Writes the source behind an internal topic.
    pub(crate) fn internal_source<K: Nullable, V: Nullable>(
        &mut self,
        name: &str,
        topic: &str,
        serdes: BothSerdes<K, V>,
    ) -> Result<()> {
        let consumed = Consumed::<K, V>::topic(topic).timestamps(TimestampExtractor::FailOnInvalid);
        self.source(name, consumed, serdes)
    }
}
