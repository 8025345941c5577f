//! The executable copy of a subtopology that a task owns.
//!
//! Nodes stand in one list and know their children by number. A record is handed down by value, depth first: the parent
//! takes the child out of its place, calls it with a context over all the others, and puts it back. Between two nodes the
//! record's type is erased without an allocation: the parent's stack holds the record, the child takes it from there.

use std::any::Any;

use crate::error::Error;
use crate::record::Record;

mod alone;
mod ask;
mod builder;
mod context;
pub mod handler;
mod parts;
mod run;
mod sink;
mod source;
mod timers;

pub use alone::{Alone, Scheduled, Tap};
pub use builder::GraphBuilder;
pub use context::NodeContext;
pub use handler::{
    DeadLetter, Decision, ErrorHandlers, Failure, FailureHandler, Outcome, Part, ProductionFailure, ProductionHandler,
    ProductionOutcome, ProductionResponse, Response, Stage,
};
pub use parts::{InputId, SourceTopics, StoreAccess, Totals};
pub use run::Graph;
pub use sink::{DynamicTopic, Partitioner, Partitions, SinkNode, SinkTopic};
pub use source::{RawRecord, Source, SourceNode};
pub use timers::{Clock, TimerId};

/// A processor or sink of the executable graph. Operators, users' processors and sinks are all nodes.
pub trait Node: Send {
    /// Called once per task, in topological order, when its stores are ready.
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        let _ = cx;
        Ok(())
    }

    /// Takes the record that a parent forwards.
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error>;

    /// A timer of this node is due; `now` is the current time of its clock.
    fn punctuate(&mut self, cx: &mut NodeContext<'_>, timer: TimerId, now: i64) -> Result<(), Error> {
        let _ = (cx, timer, now);
        Ok(())
    }

    /// A store that this node is connected to is to be flushed for a commit. A node that owns a cached store takes the
    /// changes out of it now, one by one (`State::flush_next`), and forwards them.
    fn flush(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        let _ = cx;
        Ok(())
    }

    /// Called once when the task goes away.
    fn close(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A record on the caller's stack, its type erased. The node that it is handed to takes it out.
pub struct Input<'a>(&'a mut dyn Any);

impl<'a> Input<'a> {
    /// Wraps the slot that holds the record.
    pub fn new<K: 'static, V: 'static>(slot: &'a mut Option<Record<K, V>>) -> Self {
        Self(slot)
    }

    /// The record. Panics if the parent forwarded another type: typed builders make that impossible, hand-wired
    /// topologies are told which types meet.
    pub fn take<K: 'static, V: 'static>(self) -> Record<K, V> {
        self.0
            .downcast_mut::<Option<Record<K, V>>>()
            .and_then(Option::take)
            .unwrap_or_else(|| {
                panic!(
                    "a record of other types was forwarded to a node that takes {}",
                    std::any::type_name::<Record<K, V>>()
                )
            })
    }

    /// Whether the record has these types.
    pub fn is<K: 'static, V: 'static>(&self) -> bool {
        self.0.is::<Option<Record<K, V>>>()
    }
}
