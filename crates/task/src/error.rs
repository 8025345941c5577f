//! What can go wrong while a task runs.

use kstreams_wire::TopicPartition;

use crate::lifecycle::TaskState;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a task cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A node, a store or the output failed.
    #[error(transparent)]
    Graph(#[from] kstreams_topology::Error),
    /// A store failed.
    #[error(transparent)]
    Store(Box<kstreams_store::Error>),
    /// Fetched bytes are no records.
    #[error("the records fetched from {partition} are corrupt")]
    Corrupt {
        /// Where they came from.
        partition: TopicPartition,
        /// What is wrong with them.
        #[source]
        source: kstreams_wire::Error,
    },
    /// No source of the task reads this topic.
    #[error("no source of the task reads {partition}")]
    UnknownInput {
        /// The partition.
        partition: TopicPartition,
    },
    /// A call that the task's state does not allow.
    #[error("a task that is {state:?} cannot {call}")]
    Lifecycle {
        /// What was asked for.
        call: &'static str,
        /// The state it met.
        state: TaskState,
    },
}

impl From<kstreams_store::Error> for Error {
    fn from(error: kstreams_store::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

impl Error {
    /// The error of a state store, if this is one.
    pub fn store(&self) -> Option<&kstreams_store::Error> {
        match self {
            Self::Store(error) => Some(error),
            Self::Graph(error) => error.store(),
            _ => None,
        }
    }
}
