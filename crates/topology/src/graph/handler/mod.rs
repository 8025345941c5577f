//! What happens to a record that cannot be read, processed or sent: the handlers decide (KIP-1033).

use std::error::Error;

use kstreams_store::RecordContext;
use kstreams_wire::{Headers, TopicName};

use crate::task_id::TaskId;

mod choice;
mod dead_letter;
mod response;

pub use choice::{ErrorHandlers, FailureHandler, ProductionHandler};
pub use dead_letter::DeadLetter;
pub use response::{Decision, Outcome, ProductionOutcome, ProductionResponse, Response};

/// A record that could not be read or processed.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// The task.
    pub task: TaskId,
    /// The node's name.
    pub node: &'a str,
    /// Where the record came from, with its time and headers as the node sees them; without a topic while punctuating.
    pub context: &'a RecordContext,
    /// The key of the input record, undecoded. `None` if it is null, or if no input record is being processed: in
    /// punctuations, and for records that waited in a cache.
    pub source_key: Option<&'a [u8]>,
    /// The value of the input record, likewise.
    pub source_value: Option<&'a [u8]>,
    /// What went wrong: the serde's error, or what user code returned.
    pub error: &'a (dyn Error + 'static),
}

/// A record that could not be sent.
#[derive(Clone, Copy, Debug)]
pub struct ProductionFailure<'a> {
    /// The input record that led to it, the node that sent it, and the error.
    pub origin: Failure<'a>,
    /// The topic that it was for.
    pub topic: &'a TopicName,
    /// The partition that it was for, if that was chosen.
    pub partition: Option<i32>,
    /// The key's bytes, if it has a key and that could be serialized.
    pub key: Option<&'a [u8]>,
    /// The value's bytes, if it has a value and that could be serialized.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a Headers,
    /// Its timestamp in milliseconds; `None` if the producer was to choose.
    pub timestamp: Option<i64>,
    /// How far it came.
    pub stage: Stage,
    /// Whether trying again may help.
    pub retriable: bool,
}

/// How far a record came that could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A part of it could not be serialized.
    Serialization(Part),
    /// The broker did not take it.
    Sending,
}

/// The parts of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// The record's place, as errors print it.
pub(crate) fn place(context: &RecordContext) -> String {
    match &context.topic {
        Some(topic) => format!("{topic}-{} offset {}", context.partition, context.offset),
        None => format!("a punctuation at {}", context.timestamp),
    }
}
