//! Dead letters: failed input records as they are put aside, with what went wrong in their headers (KIP-1034).

use bytes::Bytes;
use kstreams_wire::{Headers, TopicName};

use super::Failure;
use crate::exception::{java_exception, stack_trace};

const EXCEPTION: &[u8] = b"__streams.errors.exception";
const MESSAGE: &[u8] = b"__streams.errors.message";
const STACK_TRACE: &[u8] = b"__streams.errors.stacktrace";
const TOPIC: &[u8] = b"__streams.errors.topic";
const PARTITION: &[u8] = b"__streams.errors.partition";
const OFFSET: &[u8] = b"__streams.errors.offset";

/// A record for a dead-letter topic. It is sent through the task's own producer, which chooses the partition: under
/// exactly-once it is part of the transaction in which the failure happened. The topic has to be there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic.
    pub topic: TopicName,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// Milliseconds since 1970; `None` is when it is sent.
    pub timestamp: Option<i64>,
    /// The headers.
    pub headers: Headers,
}

impl DeadLetter {
    /// The record as Java's built-in handlers make it: the bytes of the input record with its timestamp and headers,
    /// behind which six more say what went wrong, and where the record came from. What is not known is null: a
    /// punctuation, say, has no input record.
    pub fn of(failure: &Failure<'_>, topic: impl Into<TopicName>) -> Self {
        let context = failure.context;
        let exception = java_exception(failure.error);
        let mut headers = context.headers.clone();
        let mut text = |key: &'static [u8], value: Option<String>| headers.push(key, value.map(Bytes::from));
        text(EXCEPTION, Some(exception.class.into_owned()));
        text(MESSAGE, exception.message.map(String::from));
        text(STACK_TRACE, Some(stack_trace(failure.error)));
        text(TOPIC, context.topic.as_ref().map(ToString::to_string));
        text(PARTITION, Some(context.partition.to_string()));
        text(OFFSET, Some(context.offset.to_string()));
        Self {
            topic: topic.into(),
            key: failure.source_key.map(Bytes::copy_from_slice),
            value: failure.source_value.map(Bytes::copy_from_slice),
            timestamp: Some(context.timestamp),
            headers,
        }
    }
}
