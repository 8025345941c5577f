//! What happens to a record that cannot be read or processed: the handlers decide.

use std::sync::Arc;

use kstreams_store::RecordContext;

use crate::error::Error;
use crate::task_id::TaskId;

/// What a handler decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// The record is dropped and counted. What was forwarded before the failure stays.
    Continue,
    /// The task fails.
    Fail,
}

/// A record that could not be read or processed.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The task.
    pub task: TaskId,
    /// The node's name.
    pub node: &'a str,
    /// Where the record came from; without a topic while punctuating.
    pub context: &'a RecordContext,
    /// What went wrong.
    pub error: &'a Error,
}

/// A closure that decides about a failure.
pub type FailureHandler = Arc<dyn Fn(&Failure<'_>) -> Response + Send + Sync>;

/// The handlers of a task. Both fail by default.
#[derive(Clone)]
pub struct ErrorHandlers {
    /// Asked about records whose key or value cannot be decoded.
    pub deserialization: FailureHandler,
    /// Asked about records on which a processor fails.
    pub processing: FailureHandler,
}

impl Default for ErrorHandlers {
    fn default() -> Self {
        Self {
            deserialization: Arc::new(|_| Response::Fail),
            processing: Arc::new(|_| Response::Fail),
        }
    }
}

impl std::fmt::Debug for ErrorHandlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErrorHandlers")
    }
}

impl ErrorHandlers {
    /// Handlers that log and go on.
    pub fn log_and_continue() -> Self {
        let handler: FailureHandler = Arc::new(|failure| {
            tracing::warn!(
                task = %failure.task,
                node = failure.node,
                topic = failure.context.topic.as_deref(),
                partition = failure.context.partition,
                offset = failure.context.offset,
                error = failure.error as &dyn std::error::Error,
                "record dropped"
            );
            Response::Continue
        });
        Self {
            deserialization: handler.clone(),
            processing: handler,
        }
    }
}

/// The record's place, as errors print it.
pub(crate) fn place(context: &RecordContext) -> String {
    match &context.topic {
        Some(topic) => format!("{topic}-{} offset {}", context.partition, context.offset),
        None => format!("a punctuation at {}", context.timestamp),
    }
}
