//! Putting a graph together.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use kstreams_store::{RecordContext, State};

use super::parts::{NODE, NodeSlot, Parts, Role, SourceSlot, SourceTopics, StoreAccess, StoreSlot, Totals};
use super::timers::Timers;
use super::{ErrorHandlers, Graph, Node, Source};
use crate::stores::StoreId;
use crate::task_id::TaskId;

/// Puts a graph together, in topological order: parents first.
pub struct GraphBuilder {
    nodes: Vec<(NodeSlot, Vec<usize>)>,
    stores: Vec<StoreSlot>,
    sources: Vec<SourceSlot>,
}

impl Default for GraphBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            stores: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// Adds a source of these topics; its number.
    pub fn add_source(&mut self, name: &str, topics: SourceTopics, source: Box<dyn Source>) -> usize {
        let node = self.push(name, None, Role::Source);
        self.sources.push(SourceSlot {
            node,
            topics,
            source: Some(source),
        });
        node
    }

    /// Adds a processor that uses these stores; its number.
    pub fn add_processor(&mut self, name: &str, node: Box<dyn Node>, stores: Vec<StoreId>) -> usize {
        let at = self.push(name, Some(node), Role::Processor);
        if let Some((slot, _)) = self.nodes.last_mut() {
            slot.stores = stores.into();
        }
        at
    }

    /// Adds a sink; its number.
    pub fn add_sink(&mut self, name: &str, node: Box<dyn Node>) -> usize {
        self.push(name, Some(node), Role::Sink)
    }

    fn push(&mut self, name: &str, node: Option<Box<dyn Node>>, role: Role) -> usize {
        let slot = NodeSlot {
            name: name.to_owned(),
            children: Box::default(),
            stores: Box::default(),
            node,
            role,
        };
        self.nodes.push((slot, Vec::new()));
        self.nodes.len() - 1
    }

    /// Makes `child` the next child of `parent`.
    pub fn connect(&mut self, parent: usize, child: usize) {
        self.nodes.get_mut(parent).expect(NODE).1.push(child);
    }

    /// Adds an open store and its typed front.
    pub fn add_store(&mut self, id: StoreId, access: StoreAccess, state: State, front: Box<dyn Any + Send>) {
        self.stores.push(StoreSlot {
            id,
            access,
            state,
            front,
        });
    }

    /// The graph of this task. `emit_interval`: see [`NodeContext::emit_interval`](super::NodeContext::emit_interval).
    pub fn build(self, task: TaskId, application_id: &str, handlers: ErrorHandlers, emit_interval: i64) -> Graph {
        let nodes = self.nodes.into_iter().map(|(slot, children)| NodeSlot {
            children: children.into(),
            ..slot
        });
        Graph {
            parts: Parts {
                nodes: nodes.collect(),
                stores: self.stores,
                timers: Timers::new(),
                // Before the first record, stores are written to at time 0, as in Java.
                record: RecordContext::none(0),
                stream_time: -1,
                wall_clock: 0,
                task,
                application_id: Arc::from(application_id),
                handlers,
                tap: None,
                emit_interval,
                metadata: BTreeMap::new(),
                totals: Totals::default(),
                commit_requested: false,
                inputs: Vec::new(),
                current: 0,
            },
            sources: self.sources,
        }
    }
}
