//! The topology as it is built: nodes, stores and topics by name. It is checked while it grows, and never changes once
//! tasks run: they get executable copies, see [`Topology::build_graph`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::{Error, Result};
use crate::pattern::TopicPattern;
use crate::stores::{StoreDefinition, StoreId};

mod build;
mod copartition;
mod describe;
mod feed;
mod java;
mod node;
mod subtopology;
#[cfg(test)]
mod tests;
mod topics;
mod typed;

pub use build::{GraphScope, TaskEnvironment};
pub use copartition::{PartitionCounts, TopicPartitions};
pub use feed::Feed;
pub use node::{NewProcessor, NewSink, NewSource, NodeKind, NodeSpec, ResetPolicy, SinkTarget, Topics};
pub use subtopology::{SourcePattern, StoreEntry, Subtopologies, Subtopology};
pub use topics::{InternalTopicConfig, changelog_config, changelog_config_with, changelog_topic, repartition_config};
pub use typed::{Consumed, Produced};

/// An internal topic between two parts of a topology: written by a sink, read by a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    /// Its name without the application id.
    pub name: String,
    /// How many partitions the user asked for; `None`: as many as what is written to it comes from.
    pub partitions: Option<i32>,
}

#[derive(Clone, Debug)]
struct StoreSlot {
    definition: StoreDefinition,
    /// The source topic that serves as changelog.
    source_topic: Option<String>,
    users: Vec<usize>,
    /// Whether every instance keeps all of it.
    global: bool,
}

/// A topology under construction: sources, processors, sinks and stores, named and connected.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    nodes: Vec<NodeSpec>,
    by_name: HashMap<String, usize>,
    stores: Vec<StoreSlot>,
    internal: BTreeMap<String, Option<i32>>,
    sources_by_topic: BTreeMap<String, usize>,
    patterns: Vec<TopicPattern>,
    copartitioned: Vec<BTreeSet<String>>,
}

impl Topology {
    /// A topology without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node. Its parents must be there already.
    pub fn add_node(&mut self, spec: NodeSpec) -> Result<()> {
        if self.by_name.contains_key(&spec.name) {
            return Err(invalid(format!("node {} is already added", spec.name)));
        }
        self.check_parents(&spec)?;
        let at = self.nodes.len();
        if let NodeKind::Source { topics, .. } = &spec.kind {
            self.register_topics(&spec.name, topics, at)?;
        }
        if !spec.stores.is_empty() && !matches!(spec.kind, NodeKind::Processor { .. }) {
            return Err(invalid(format!(
                "node {} is no processor and cannot use stores",
                spec.name
            )));
        }
        for store in &spec.stores {
            self.store_slot(store)?;
        }
        let stores = spec.stores.clone();
        self.by_name.insert(spec.name.clone(), at);
        self.nodes.push(spec);
        for store in &stores {
            self.store_slot_mut(store)?.users.push(at);
        }
        Ok(())
    }

    fn check_parents(&self, spec: &NodeSpec) -> Result<()> {
        match (&spec.kind, spec.parents.is_empty()) {
            (NodeKind::Source { .. }, true) => return Ok(()),
            (NodeKind::Source { .. }, false) => {
                return Err(invalid(format!("source {} cannot have parents", spec.name)));
            }
            (_, true) => return Err(invalid(format!("node {} needs at least one parent", spec.name))),
            (_, false) => {}
        }
        for parent in &spec.parents {
            if *parent == spec.name {
                return Err(invalid(format!("node {parent} cannot be its own parent")));
            }
            let known = self.by_name.get(parent).and_then(|at| self.nodes.get(*at));
            let Some(known) = known else {
                return Err(invalid(format!(
                    "parent {parent} of node {} is not added yet",
                    spec.name
                )));
            };
            if matches!(known.kind, NodeKind::Sink { .. }) {
                return Err(invalid(format!(
                    "sink {parent} cannot be a parent of node {}",
                    spec.name
                )));
            }
        }
        Ok(())
    }

    fn register_topics(&mut self, name: &str, topics: &Topics, at: usize) -> Result<()> {
        let topics = match topics {
            Topics::Names(topics) => topics,
            Topics::Pattern(pattern) => return self.register_pattern(pattern),
        };
        if topics.is_empty() {
            return Err(invalid(format!("source {name} needs at least one topic")));
        }
        for topic in topics {
            if self.sources_by_topic.contains_key(topic) {
                return Err(invalid(format!("topic {topic} is already read by another source")));
            }
            if self.patterns.iter().any(|pattern| pattern.matches(topic)) {
                return Err(invalid(format!(
                    "topic {topic} is already matched by another source's pattern"
                )));
            }
        }
        for topic in topics {
            self.sources_by_topic.insert(topic.clone(), at);
        }
        Ok(())
    }

    fn register_pattern(&mut self, pattern: &str) -> Result<()> {
        let pattern = TopicPattern::parse(pattern)?;
        let matched = self.sources_by_topic.keys().find(|topic| pattern.matches(topic));
        if let Some(topic) = matched {
            let pattern = pattern.as_str();
            return Err(invalid(format!(
                "pattern {pattern} matches topic {topic}, which another source reads"
            )));
        }
        self.patterns.push(pattern);
        Ok(())
    }

    /// Adds a store and connects it to these processors.
    pub fn add_store_definition(&mut self, definition: StoreDefinition, processors: &[&str]) -> Result<()> {
        let name = definition.spec.name.clone();
        if self.store_slot(&name).is_ok() {
            return Err(invalid(format!("store {name} is already added")));
        }
        for processor in processors {
            self.processor(processor, &name)?;
        }
        self.stores.push(StoreSlot {
            definition,
            source_topic: None,
            users: Vec::new(),
            global: false,
        });
        processors
            .iter()
            .try_for_each(|processor| self.connect(processor, &[&name]))
    }

    /// Connects a processor to stores.
    pub fn connect(&mut self, processor: &str, stores: &[&str]) -> Result<()> {
        for store in stores {
            let at = self.processor(processor, store)?;
            let slot = self.store_slot_mut(store)?;
            if !slot.users.contains(&at) {
                slot.users.push(at);
            }
            if let Some(node) = self.nodes.get_mut(at)
                && !node.stores.iter().any(|known| known == store)
            {
                node.stores.push((*store).to_owned());
            }
        }
        Ok(())
    }

    fn processor(&self, name: &str, store: &str) -> Result<usize> {
        let at = self.by_name.get(name).copied();
        let Some((at, node)) = at.and_then(|at| Some((at, self.nodes.get(at)?))) else {
            return Err(invalid(format!("processor {name} for store {store} is not added yet")));
        };
        if !matches!(node.kind, NodeKind::Processor { .. }) {
            return Err(invalid(format!(
                "node {name} is no processor and cannot use store {store}"
            )));
        }
        Ok(at)
    }

    /// Makes a store's source topic serve as its changelog: it gets no changelog of its own.
    pub fn use_source_topic_as_changelog(&mut self, store: &str, topic: &str) -> Result<()> {
        self.store_slot_mut(store)?.source_topic = Some(topic.to_owned());
        Ok(())
    }

    /// Makes a store global: every instance keeps all of it, filled from its source by its processor, and every processor
    /// may read it without being connected. It is not logged: its source topic holds what it holds.
    pub fn make_global(&mut self, store: &str) -> Result<()> {
        self.store_slot_mut(store)?.global = true;
        Ok(())
    }

    /// The names of the global stores.
    pub fn global_stores(&self) -> impl Iterator<Item = &str> {
        let global = self.stores.iter().filter(|slot| slot.global);
        global.map(|slot| slot.definition.spec.name.as_str())
    }

    /// Whether these nodes fill a global store. They make no tasks.
    fn is_global(&self, nodes: &[usize]) -> bool {
        let global = self.stores.iter().filter(|slot| slot.global);
        global.flat_map(|slot| &slot.users).any(|user| nodes.contains(user))
    }

    /// Says that a topic is internal: it is created by the application, under its id.
    pub fn add_internal_topic(&mut self, topic: InternalTopic) {
        self.internal.insert(topic.name, topic.partitions);
    }

    /// Says that these sources' topics must have equally many partitions. Groups that share a topic become one.
    pub fn copartition(&mut self, sources: &[&str]) -> Result<()> {
        for source in sources {
            if !self.by_name.contains_key(*source) {
                return Err(invalid(format!("source {source} is not added yet")));
            }
        }
        self.copartitioned
            .push(sources.iter().map(|source| (*source).to_owned()).collect());
        Ok(())
    }

    /// The sources from which records come to these nodes.
    pub fn sources_above(&self, nodes: &[&str]) -> BTreeSet<String> {
        let mut sources = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut waiting = nodes.to_vec();
        while let Some(name) = waiting.pop() {
            let node = self.by_name.get(name).and_then(|at| self.nodes.get(*at));
            let Some(node) = node.filter(|_| seen.insert(name)) else {
                continue;
            };
            if let NodeKind::Source { .. } = node.kind {
                sources.insert(node.name.clone());
            }
            waiting.extend(node.parents.iter().map(String::as_str));
        }
        sources
    }

    /// The ids of the stores of these names.
    pub fn store_id(&self, name: &str) -> Option<StoreId> {
        self.store_slot(name).ok().map(|slot| slot.definition.id)
    }

    /// The stores' definitions, in the order in which they were added.
    pub fn stores(&self) -> impl Iterator<Item = &StoreDefinition> {
        self.stores.iter().map(|slot| &slot.definition)
    }

    /// Whether there is a node of this name.
    pub fn has_node(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The nodes, in the order in which they were added, which is a topological one.
    pub fn nodes(&self) -> &[NodeSpec] {
        &self.nodes
    }

    /// The topics that sources name: internal ones undecorated.
    pub fn source_topics(&self) -> impl Iterator<Item = &str> {
        self.sources_by_topic.keys().map(String::as_str)
    }

    /// The patterns by which sources read.
    pub fn source_patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(TopicPattern::as_str)
    }

    /// Whether a source reads all topics that match this topic's name.
    pub fn matches_pattern(&self, topic: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(topic))
    }

    fn store_slot(&self, name: &str) -> Result<&StoreSlot> {
        let slot = self.stores.iter().find(|slot| slot.definition.spec.name == name);
        slot.ok_or_else(|| invalid(format!("store {name} is not added yet")))
    }

    fn store_slot_mut(&mut self, name: &str) -> Result<&mut StoreSlot> {
        let slot = self.stores.iter_mut().find(|slot| slot.definition.spec.name == name);
        slot.ok_or_else(|| invalid(format!("store {name} is not added yet")))
    }

    /// The name that a topic has on the broker: internal ones begin with the application id.
    pub fn topic_name(&self, application_id: &str, topic: &str) -> String {
        if self.internal.contains_key(topic) {
            format!("{application_id}-{topic}")
        } else {
            topic.to_owned()
        }
    }
}

fn invalid(message: String) -> Error {
    Error::Topology(message)
}
