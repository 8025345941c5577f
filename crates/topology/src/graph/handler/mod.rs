//! What happens to a record that cannot be read, processed or sent: the handlers decide (KIP-1033).

use std::error::Error;
use std::sync::Arc;

use kstreams_store::RecordContext;
use kstreams_wire::{Headers, TopicName};

use crate::task_id::TaskId;

mod dead_letter;
mod response;

pub use dead_letter::DeadLetter;
pub use response::{Outcome, ProductionOutcome, ProductionResponse, Response};

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

/// A closure that decides about records that could not be read or processed.
pub type FailureHandler = Arc<dyn Fn(&Failure<'_>) -> Response + Send + Sync>;

/// A closure that decides about records that could not be sent.
pub type ProductionHandler = Arc<dyn Fn(&ProductionFailure<'_>) -> ProductionResponse + Send + Sync>;

/// The handlers of a task. By default all fail, but for sends that may be tried again.
#[derive(Clone)]
pub struct ErrorHandlers {
    /// Asked about records whose key or value cannot be decoded.
    pub deserialization: FailureHandler,
    /// Asked about records on which a processor fails.
    pub processing: FailureHandler,
    /// Asked about records that cannot be serialized or sent. `None` tries again what may be tried again, and else fails,
    /// and spares the task remembering of every record where it came from until it is acknowledged.
    pub production: Option<ProductionHandler>,
}

impl Default for ErrorHandlers {
    fn default() -> Self {
        Self {
            deserialization: Arc::new(|_| Response::fail()),
            processing: Arc::new(|_| Response::fail()),
            production: None,
        }
    }
}

impl std::fmt::Debug for ErrorHandlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErrorHandlers")
    }
}

impl ErrorHandlers {
    /// Handlers that log and go on. Records that cannot be sent are no exception to the default.
    pub fn log_and_continue() -> Self {
        let handler: FailureHandler = Arc::new(|failure| {
            tracing::warn!(
                task = %failure.task,
                node = failure.node,
                topic = failure.context.topic.as_deref(),
                partition = failure.context.partition,
                offset = failure.context.offset,
                error = failure.error,
                "record dropped"
            );
            Response::resume()
        });
        Self {
            deserialization: handler.clone(),
            processing: handler,
            production: None,
        }
    }

    /// The same handlers, each of which also sends the failed input record to this topic, see [`DeadLetter::of`].
    pub fn with_dead_letters(self, topic: impl Into<TopicName>) -> Self {
        let topic = topic.into();
        let aside = |handler: FailureHandler| -> FailureHandler {
            let topic = topic.clone();
            Arc::new(move |failure| handler(failure).with_dead_letter(DeadLetter::of(failure, topic.clone())))
        };
        Self {
            deserialization: aside(self.deserialization),
            processing: aside(self.processing),
            production: Some(production_aside(
                self.production.unwrap_or_else(default_production),
                topic.clone(),
            )),
        }
    }
}

/// Java's `DefaultProductionExceptionHandler`.
fn default_production() -> ProductionHandler {
    Arc::new(|failure| match failure.retriable {
        true => ProductionResponse::retry(),
        false => ProductionResponse::fail(),
    })
}

fn production_aside(handler: ProductionHandler, topic: TopicName) -> ProductionHandler {
    Arc::new(move |failure| match handler(failure) {
        retry if retry.outcome == ProductionOutcome::Retry => retry,
        other => other.with_dead_letter(DeadLetter::of(&failure.origin, topic.clone())),
    })
}

/// The record's place, as errors print it.
pub(crate) fn place(context: &RecordContext) -> String {
    match &context.topic {
        Some(topic) => format!("{topic}-{} offset {}", context.partition, context.offset),
        None => format!("a punctuation at {}", context.timestamp),
    }
}
