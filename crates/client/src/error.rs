//! What can go wrong between this client and the brokers.

use std::sync::Arc;
use std::time::Duration;

use kstreams_wire::code::ErrorCode;
use kstreams_wire::{TopicName, TopicPartition};

use crate::config::ConfigError;

/// What a client can meet. Cloning is cheap: the same failure may have several recipients.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The I/O thread could not be started.
    #[error("could not start the I/O thread")]
    Start(#[source] Arc<std::io::Error>),
    /// No connection could be made.
    #[error("could not connect to broker {address}")]
    Unreachable {
        /// Host and port that were tried.
        address: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The connection broke before the answer was there.
    #[error("the connection to broker {address} closed before {api} was answered")]
    Disconnected {
        /// Host and port of the broker.
        address: String,
        /// The request.
        api: &'static str,
    },
    /// The answer did not come in time.
    #[error("broker {address} did not answer {api} within {waited:?}")]
    RequestTimeout {
        /// Host and port of the broker.
        address: String,
        /// The request.
        api: &'static str,
        /// `request.timeout.ms`.
        waited: Duration,
    },
    /// A blocking call ran out of time.
    #[error("{what} was not done within {waited:?}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What stood in the way, as far as it is known.
        #[source]
        source: Option<Box<Error>>,
    },
    /// Metadata names no broker with this id.
    #[error("no broker with id {node} is known")]
    UnknownNode {
        /// The broker's id.
        node: i32,
    },
    /// The broker and this client share no version of a request.
    #[error("broker {address} does not speak a version of {api} that this client knows")]
    Unsupported {
        /// Host and port of the broker.
        address: String,
        /// The request.
        api: &'static str,
    },
    /// Bytes that are not what they should be.
    #[error("could not make sense of what a broker sent, or put into bytes what it is to get")]
    Wire(#[source] Arc<kstreams_wire::Error>),
    /// The broker refused a request.
    #[error("{what}: {code}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The broker's word.
        code: ErrorCode,
    },
    /// The topic does not exist, or this client may not see it.
    #[error("topic {topic}: {code}")]
    Topic {
        /// The topic.
        topic: TopicName,
        /// The broker's word.
        code: ErrorCode,
    },
    /// Reading a partition failed for good.
    #[error("could not fetch from {partition}: {code}")]
    Fetch {
        /// The partition.
        partition: TopicPartition,
        /// The broker's word.
        code: ErrorCode,
    },
    /// A fetched batch is damaged.
    #[error("batch of {partition} at offset {offset} is damaged")]
    Corrupt {
        /// The partition.
        partition: TopicPartition,
        /// The batch's first offset, or the position of the fetch.
        offset: i64,
        /// What is wrong with it.
        #[source]
        source: Arc<kstreams_wire::Error>,
    },
    /// A record is larger than a request may be.
    #[error("record of {size} bytes for {partition} is larger than max.request.size of {limit}")]
    RecordTooLarge {
        /// Where it was to go.
        partition: TopicPartition,
        /// Its size with all overhead.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A partition that the topic does not have.
    #[error("topic {} has {partitions} partitions: there is no partition {}", partition.topic, partition.partition)]
    NoSuchPartition {
        /// Where the record was to go.
        partition: TopicPartition,
        /// How many the topic has.
        partitions: i32,
    },
    /// Records could not be delivered.
    #[error("could not deliver {records} records to {partition}")]
    Delivery {
        /// Where they were to go.
        partition: TopicPartition,
        /// How many were in the batch.
        records: i32,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The group is rebalancing; join it before the next commit.
    #[error("group {group} is rebalancing")]
    RebalanceInProgress {
        /// The group.
        group: String,
    },
    /// The group does not know this member any more, or another took its place.
    #[error("group {group} does not count us as a member: {code}")]
    NotMember {
        /// The group.
        group: String,
        /// The broker's word.
        code: ErrorCode,
    },
    /// Another producer writes under the same transactional id, or the coordinator gave the transaction up.
    #[error("the producer of transactional id {id} was replaced: {code}")]
    Fenced {
        /// The transactional id.
        id: String,
        /// The broker's word.
        code: ErrorCode,
    },
    /// The transaction did not work out; it can be aborted, and then the producer goes on.
    #[error("the transaction of {id} must be aborted: {what}: {code}")]
    Abortable {
        /// The transactional id.
        id: String,
        /// What was asked for.
        what: String,
        /// The broker's word.
        code: ErrorCode,
    },
    /// Something is asked of a producer's transaction that does not fit what it did before.
    #[error("transactional id {id}: {what}")]
    TransactionState {
        /// The transactional id.
        id: String,
        /// What does not fit.
        what: &'static str,
    },
    /// A consumer that did not join a group has no offsets.
    #[error("the consumer did not join a group")]
    NoGroup,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl From<kstreams_wire::Error> for Error {
    fn from(error: kstreams_wire::Error) -> Self {
        Self::Wire(Arc::new(error))
    }
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// True if the same call may succeed later, perhaps at another broker.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Disconnected { .. }
            | Self::RequestTimeout { .. }
            | Self::Timeout { .. }
            | Self::UnknownNode { .. }
            | Self::RebalanceInProgress { .. } => true,
            Self::Refused { code, .. } | Self::Topic { code, .. } | Self::Fetch { code, .. } => code.is_retriable(),
            Self::Delivery { source, .. } => source.is_retriable(),
            _ => false,
        }
    }

    /// The broker's error code, if it is one that was met.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. }
            | Self::Topic { code, .. }
            | Self::Fetch { code, .. }
            | Self::NotMember { code, .. }
            | Self::Fenced { code, .. }
            | Self::Abortable { code, .. } => Some(*code),
            Self::Delivery { source, .. } => source.code(),
            Self::Timeout {
                source: Some(source), ..
            } => source.code(),
            _ => None,
        }
    }
}
