//! What can go wrong for the program that runs a broker. Clients get Kafka's error codes instead.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use kstreams_wire::code::ErrorCode;

/// The result of an operation on a broker.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a broker could not do what the program that runs it asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("could not listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The broker's thread or its runtime could not be started.
    #[error("could not start the broker's thread")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// A file of the data directory cannot be used.
    #[error("could not use {path}")]
    Data {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the data directory does not say what it should.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another broker uses the data directory.
    #[error("{path} is in use by another broker")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A topic cannot be created or found.
    #[error("topic \"{topic}\": {what}")]
    Topic {
        /// The topic.
        topic: String,
        /// Why.
        what: String,
    },
    /// A code that stands for no error.
    #[error("nothing can be refused with the code {code}")]
    NoRefusal {
        /// The code.
        code: ErrorCode,
    },
    /// A topic config has a value that is not allowed.
    #[error("topic config \"{key}\": {what}")]
    TopicConfig {
        /// The config's key.
        key: String,
        /// What is wrong, and what is allowed.
        what: String,
    },
    /// The broker has stopped.
    #[error("the broker has stopped")]
    Stopped,
}

impl Error {
    pub(crate) fn data(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Data {
            path: path.into(),
            source,
        }
    }
}
