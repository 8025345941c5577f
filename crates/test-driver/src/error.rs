//! What can go wrong in a test.

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the driver could not do what the test asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The topology cannot be run.
    #[error(transparent)]
    Topology(#[from] kstreams_topology::Error),
    /// The task failed on a record. That record is gone; the driver goes on with the next one.
    #[error("the task failed")]
    Task(#[from] kstreams_task::Error),
    /// The task failed behind a record, when its caches were flushed and what was in them was forwarded.
    #[error("the task failed to flush its caches")]
    Flush(#[source] kstreams_task::Error),
    /// No source reads this topic.
    #[error("no source of the topology reads topic {topic}")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// A record was written to a partition that its topic does not have.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// There is nothing to read.
    #[error("topic {topic} has no record that was not read yet")]
    NoRecord {
        /// The topic.
        topic: String,
    },
    /// A record has a null where the test's types know none.
    #[error("a record of topic {topic} has a null {part} and was read as a type without nulls; read it as an Option")]
    Null {
        /// The topic.
        topic: String,
        /// Key or value.
        part: &'static str,
    },
    /// A test's record could not be encoded, or an output not be decoded, with the test's serdes.
    #[error("could not convert a record of topic {topic}")]
    Serde {
        /// The topic.
        topic: String,
        /// What the serde said.
        #[source]
        source: kstreams_topology::SerdeError,
    },
    /// A test's record has a negative timestamp.
    #[error("timestamp {timestamp} is negative")]
    NegativeTimestamp {
        /// The timestamp.
        timestamp: i64,
    },
    /// The topology has no such store.
    #[error("the topology has no store {store} of that kind")]
    UnknownStore {
        /// The store, as far as the test named it.
        store: String,
    },
    /// A store failed.
    #[error(transparent)]
    Store(Box<kstreams_store::Error>),
    /// The record could not be put into a batch.
    #[error("the record cannot be encoded")]
    Wire(#[from] kstreams_wire::Error),
}

impl From<kstreams_store::Error> for Error {
    fn from(error: kstreams_store::Error) -> Self {
        Self::Store(Box::new(error))
    }
}
