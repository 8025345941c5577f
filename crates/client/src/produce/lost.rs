//! What could not be written, handed back record by record to an owner who asks for that.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::{Headers, TopicPartition};

use crate::error::Error;

/// Where a record came from, as its owner has it: kept with the record until that is acknowledged, given back with it if
/// it is lost.
pub type Origin = Arc<dyn Any + Send + Sync>;

/// What a refusal says that the broker did not explain.
pub const UNEXPLAINED: &str = "produce";

/// What a producer does about records that it cannot deliver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// It writes nothing more to their partition, and every call gives the first such failure.
    #[default]
    Stop,
    /// It goes on, and hands them back: see [`Producer::take_lost`](super::Producer::take_lost).
    Report,
}

/// Whether lost records may be in the log nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are not there.
    NotWritten,
    /// An attempt ended without an answer. A transaction they belong to can only be aborted.
    Unknown,
}

/// Records of one partition that were not delivered, for one reason.
#[derive(Clone, Debug)]
pub struct Lost {
    /// Where they were to go.
    pub partition: TopicPartition,
    /// Why they did not get there.
    pub error: Error,
    /// Whether they may have got there all the same.
    pub fate: Fate,
    /// The records, in the order in which they were appended.
    pub records: Vec<LostRecord>,
}

impl Lost {
    /// As an error that stays.
    pub(super) fn to_error(&self) -> Error {
        Error::Delivery {
            partition: self.partition.clone(),
            records: i32::try_from(self.records.len()).unwrap_or(i32::MAX),
            source: Box::new(self.error.clone()),
        }
    }
}

/// A record that was not delivered, as it was appended.
#[derive(Clone, Debug)]
pub struct LostRecord {
    /// The key, or null.
    pub key: Option<Bytes>,
    /// The value, or null.
    pub value: Option<Bytes>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The headers.
    pub headers: Headers,
    /// Where it came from, if that was told.
    pub origin: Option<Origin>,
}

/// Whether a broker that refuses a batch with this code certainly did not write it, or the topic is gone with it. Other
/// codes may come after the leader wrote, while it waited for its followers.
pub(super) fn is_certain(code: ErrorCode) -> bool {
    [
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::MESSAGE_TOO_LARGE,
        ErrorCode::RECORD_LIST_TOO_LARGE,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::INVALID_REQUIRED_ACKS,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_TIMESTAMP,
        ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        ErrorCode::POLICY_VIOLATION,
        ErrorCode::INVALID_RECORD,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode::CONCURRENT_TRANSACTIONS,
    ]
    .contains(&code)
}

/// Whether a batch is refused for what became of its producer or its transaction: no record is to blame.
pub(super) fn is_of_producer(code: ErrorCode) -> bool {
    [
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::INVALID_TXN_STATE,
        ErrorCode::TRANSACTION_ABORTABLE,
        ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        ErrorCode::UNKNOWN_PRODUCER_ID,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    ]
    .contains(&code)
}
