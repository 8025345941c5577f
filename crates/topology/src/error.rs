//! What can go wrong while a topology is built or run.

use kstreams_store::OutputError;
use kstreams_wire::TopicName;

use crate::graph::handler::Part;
use crate::panic::Panic;
use crate::serde::SerdeError;

/// An error of user code, whatever its type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a topology could not be built, or a record not be processed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The topology is wired wrongly.
    #[error("invalid topology: {0}")]
    Topology(String),
    /// User code failed, and no node has put its name to it yet: the processing handler is still to be asked.
    #[error("user code failed")]
    User(#[source] BoxError),
    /// User code failed in this node, and the processing handler said that the task is to fail.
    #[error("processor {node} failed on {at}")]
    Processing {
        /// The node's name.
        node: String,
        /// The record, as topic, partition and offset.
        at: String,
        /// What user code said.
        #[source]
        source: BoxError,
    },
    /// A record could not be decoded, and the deserialization handler said that the task is to fail.
    #[error("could not decode the record at {at} in source {node}")]
    Deserialization {
        /// The source's name.
        node: String,
        /// The record, as topic, partition and offset.
        at: String,
        /// What the serde said.
        #[source]
        source: Box<SerdeError>,
    },
    /// User code failed in this node where it is not about a record, so that no handler is asked.
    #[error("processor {node} failed in {call}")]
    Lifecycle {
        /// The node's name.
        node: String,
        /// What was called.
        call: &'static str,
        /// What user code said.
        #[source]
        source: BoxError,
    },
    /// A handler panicked while it was asked about a failure.
    #[error("the {handler} handler, asked about {at} in node {node}, {panic}")]
    Handler {
        /// Which handler.
        handler: &'static str,
        /// The node's name.
        node: String,
        /// The record, as topic, partition and offset.
        at: String,
        /// What the handler's panic said.
        panic: Box<Panic>,
        /// The failure that it was asked about.
        #[source]
        source: BoxError,
    },
    /// A record could not be serialized, and the production handler said that the task is to fail.
    #[error("sink {node} could not serialize the {part} of a record for topic {topic}, made of {at}")]
    Production {
        /// The sink's name.
        node: String,
        /// The topic it was for.
        topic: TopicName,
        /// What of the record could not be serialized.
        part: Part,
        /// The input record, as topic, partition and offset.
        at: String,
        /// What the serde said.
        #[source]
        source: Box<SerdeError>,
    },
    /// A processor could not encode a key or value for a store.
    #[error("could not encode a record for topic {topic}")]
    Serialization {
        /// The topic it was for.
        topic: String,
        /// What the serde said.
        #[source]
        source: SerdeError,
    },
    /// A record carries a timestamp that its extractor refuses.
    #[error("record at {at} in source {node} has the invalid timestamp {timestamp}")]
    InvalidTimestamp {
        /// The source's name.
        node: String,
        /// The record, as topic, partition and offset.
        at: String,
        /// The timestamp.
        timestamp: i64,
    },
    /// The output took no record. Never shown to the processing handler: the record is not to blame.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A state store failed. Never shown to the processing handler: the record is not to blame.
    #[error(transparent)]
    Store(Box<kstreams_store::Error>),
}

impl From<kstreams_store::Error> for Error {
    fn from(error: kstreams_store::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<Panic> for Error {
    fn from(panic: Panic) -> Self {
        Self::User(Box::new(panic))
    }
}

impl Error {
    /// An error of user code, or the error of ours that user code handed on.
    pub fn from_user(error: BoxError) -> Self {
        match error.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(theirs) => Error::User(theirs),
        }
    }

    /// The error of user code as user code made it; of other errors the error itself.
    pub(crate) fn into_user(self) -> BoxError {
        match self {
            Error::User(theirs) => theirs,
            ours => Box::new(ours),
        }
    }

    /// The error of a state store, if this is one.
    pub fn store(&self) -> Option<&kstreams_store::Error> {
        match self {
            Error::Store(error) => Some(error),
            _ => None,
        }
    }

    /// The error where no record is to blame: of user code, in this call of this node.
    pub(crate) fn in_call(self, node: &str, call: &'static str) -> Self {
        if !self.is_record_failure() {
            return self;
        }
        Error::Lifecycle {
            node: node.to_owned(),
            call,
            source: self.into_user(),
        }
    }

    /// Whether the processing handler may decide about it: the record or the code is to blame, and nobody decided yet.
    pub fn is_record_failure(&self) -> bool {
        matches!(self, Error::User(_) | Error::Serialization { .. })
    }
}
