//! Executable copies of a topology, one per task.

use std::collections::HashMap;

use kstreams_store::{Changelog, State, StoreSpec};
use kstreams_wire::{TopicName, TopicPartition};

use super::topics::changelog_topic;
use super::{NodeKind, SinkTarget, Topics, Topology};
use crate::error::{Error, Result};
use crate::graph::{ErrorHandlers, Graph, GraphBuilder, SourceTopics, StoreAccess};
use crate::pattern::TopicPattern;
use crate::task_id::TaskId;

/// Which part of a topology a graph is a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphScope {
    /// One subtopology, which may be one that fills global stores.
    Subtopology(u32),
    /// All that have tasks, as the test driver runs them.
    All,
}

/// What a task brings along when its graph is built.
pub struct TaskEnvironment<'a> {
    /// The task.
    pub task: TaskId,
    /// The application id.
    pub application_id: &'a str,
    /// Who decides about records that fail.
    pub handlers: ErrorHandlers,
    /// The least time between two sweeps for what is due by then, see [`NodeContext::emit_interval`].
    ///
    /// [`NodeContext::emit_interval`]: crate::graph::NodeContext::emit_interval
    pub emit_interval_ms: i64,
    /// Opens a global store to be read. Not called for parts that fill one.
    pub read_global: &'a mut dyn FnMut(&StoreSpec) -> kstreams_store::Result<State>,
    /// Opens a store.
    pub open_store: &'a mut dyn FnMut(&StoreSpec, Option<Changelog>) -> kstreams_store::Result<State>,
}

impl Topology {
    /// An executable copy of a part of the topology, with its stores open.
    pub fn build_graph(&self, scope: GraphScope, environment: TaskEnvironment<'_>) -> Result<Graph> {
        let members: Vec<usize> = match scope {
            GraphScope::All => self.local_nodes(),
            GraphScope::Subtopology(id) => {
                let groups = self.groups();
                let part = usize::try_from(id).ok().and_then(|id| groups.get(id));
                part.cloned()
                    .ok_or_else(|| Error::Topology(format!("there is no subtopology {id}")))?
            }
        };
        let mut builder = GraphBuilder::new();
        self.build_nodes(&mut builder, &members, environment.application_id)?;
        let TaskEnvironment {
            task,
            application_id,
            handlers,
            emit_interval_ms,
            read_global,
            open_store,
        } = environment;
        for entry in self.store_entries(&members, application_id) {
            let changelog = entry.changelog.map(|topic| {
                let partition = TopicPartition::new(topic, task.partition);
                if entry.changelog_is_source {
                    Changelog::Source(partition)
                } else {
                    Changelog::Own(partition)
                }
            });
            let state = open_store(&entry.spec, changelog)?;
            let definition = &self.store_slot(&entry.spec.name)?.definition;
            let topic = changelog_topic(application_id, &entry.spec.name);
            builder.add_store(entry.id, StoreAccess::Connected, state, (definition.front)(&topic));
        }
        // A part that fills a global store sees no other one.
        let readable = if self.is_global(&members) { &[] } else { &*self.stores };
        for slot in readable.iter().filter(|slot| slot.global) {
            let definition = &slot.definition;
            let state = read_global(&definition.spec)?;
            let topic = changelog_topic(application_id, &definition.spec.name);
            builder.add_store(definition.id, StoreAccess::Everyone, state, (definition.front)(&topic));
        }
        Ok(builder.build(task, application_id, handlers, emit_interval_ms))
    }

    /// The nodes of all parts that have tasks.
    fn local_nodes(&self) -> Vec<usize> {
        let groups = self.groups();
        let mut nodes: Vec<usize> = groups
            .into_iter()
            .filter(|group| !self.is_global(group))
            .flatten()
            .collect();
        nodes.sort_unstable();
        nodes
    }

    fn build_nodes(&self, builder: &mut GraphBuilder, members: &[usize], application_id: &str) -> Result<()> {
        let mut built: HashMap<&str, usize> = HashMap::new();
        let full = |topic: &str| TopicName::from(self.topic_name(application_id, topic));
        for node in members.iter().filter_map(|at| self.nodes.get(*at)) {
            let at = match &node.kind {
                NodeKind::Source { topics, new, .. } => {
                    let topics = match topics {
                        Topics::Names(names) => SourceTopics::Names(names.iter().map(|topic| full(topic)).collect()),
                        Topics::Pattern(pattern) => SourceTopics::Pattern(TopicPattern::parse(pattern)?),
                    };
                    builder.add_source(&node.name, topics, new())
                }
                NodeKind::Processor { new } => {
                    let stores = node.stores.iter().filter_map(|store| self.store_id(store));
                    builder.add_processor(&node.name, new(), stores.collect())
                }
                NodeKind::Sink { topic, new } => {
                    let topic = match topic {
                        SinkTarget::Topic(topic) => Some(full(topic)),
                        SinkTarget::Dynamic(_) => None,
                    };
                    builder.add_sink(&node.name, new(topic.as_ref()))
                }
            };
            for parent in node.parents.iter().filter_map(|parent| built.get(parent.as_str())) {
                builder.connect(*parent, at);
            }
            built.insert(&node.name, at);
        }
        Ok(())
    }
}
