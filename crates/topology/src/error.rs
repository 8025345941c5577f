//! What can go wrong while a topology is built or run.

use kstreams_store::OutputError;

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
        source: SerdeError,
    },
    /// A key or value could not be encoded.
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

    /// Whether the processing handler may decide about it: the record or the code is to blame, and nobody decided yet.
    pub fn is_record_failure(&self) -> bool {
        matches!(self, Error::User(_) | Error::Serialization { .. })
    }
}
