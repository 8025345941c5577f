//! A node by itself, for tests: what it forwards, schedules and asks for is kept instead of done.

use std::any::Any;

use kstreams_store::{Output, RecordContext, State};

use super::parts::{StoreAccess, StoreSlot};
use super::{Clock, ErrorHandlers, Graph, GraphBuilder, Input, Node, NodeContext, TimerId};
use crate::error::Result;
use crate::stores::StoreId;
use crate::task_id::TaskId;

/// Takes what a node without children forwards, and to which child by name.
pub type Tap = Box<dyn FnMut(Option<&str>, Input<'_>) + Send>;

/// A schedule that was not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Which one.
    pub timer: TimerId,
    /// Its clock.
    pub clock: Clock,
    /// Its interval in milliseconds.
    pub every_ms: i64,
    /// When it is due next.
    pub due: i64,
}

/// The surroundings of a single node.
pub struct Alone(Graph);

struct Nothing;

impl Node for Nothing {
    fn process(&mut self, _: &mut NodeContext<'_>, _: Input<'_>) -> Result<()> {
        Ok(())
    }
}

impl Alone {
    /// Surroundings of a node of this task and application; what it forwards goes to `tap`.
    pub fn new(task: TaskId, application_id: &str, node_name: &str, tap: Tap) -> Self {
        let mut builder = GraphBuilder::new();
        builder.add_processor(node_name, Box::new(Nothing), Vec::new());
        let mut graph = builder.build(task, application_id, ErrorHandlers::default(), 0);
        graph.parts.tap = Some(tap);
        Self(graph)
    }

    /// Adds a store that the node may use.
    pub fn add_store(&mut self, id: StoreId, state: State, front: Box<dyn Any + Send>) {
        self.0.parts.stores.push(StoreSlot {
            id,
            access: StoreAccess::Everyone,
            state,
            front,
        });
    }

    /// What the node is lent for one call.
    pub fn context<'a>(&'a mut self, output: &'a mut dyn Output) -> NodeContext<'a> {
        NodeContext {
            parts: &mut self.0.parts,
            output,
            node: 0,
            raw: None,
        }
    }

    /// Sets the record that is being processed.
    pub fn set_record(&mut self, record: RecordContext) {
        self.0.parts.record = record;
    }

    /// The record that is being processed.
    pub fn record(&self) -> &RecordContext {
        &self.0.parts.record
    }

    /// Sets the largest timestamp that the task has seen.
    pub fn set_stream_time(&mut self, time: i64) {
        self.0.parts.stream_time = time;
    }

    /// Sets the wall clock, in milliseconds.
    pub fn set_wall_clock(&mut self, now: i64) {
        self.0.parts.wall_clock = now;
    }

    /// What the node has scheduled, by due time and clock.
    pub fn scheduled(&self) -> Vec<Scheduled> {
        self.0.parts.timers.scheduled()
    }

    /// Whether the node asked for a commit.
    pub fn commit_requested(&self) -> bool {
        self.0.commit_requested()
    }

    /// Forgets that the node asked for a commit.
    pub fn reset_commit(&mut self) {
        self.0.take_commit_request();
    }

    /// How many records the node dropped.
    pub fn dropped(&self) -> u64 {
        self.0.totals().dropped
    }
}
