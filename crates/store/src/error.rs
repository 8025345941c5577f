//! What can go wrong with a store.

use std::path::PathBuf;

use crate::output::OutputError;

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a store or with the state directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine could not read or write: the disk is full, a file is damaged, or the like.
    #[error("could not {action} store \"{store}\" of task {task} in {}", path.display())]
    Engine {
        /// What was tried.
        action: &'static str,
        /// The store.
        store: String,
        /// The task.
        task: String,
        /// Where the engine keeps it.
        path: PathBuf,
        /// What the engine said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The files of a store are not as they were written. It is not opened any more as it is: where it has a changelog, it is
    /// rebuilt from that when it is opened next.
    #[error("could not {action} store \"{store}\" of task {task}: its files in {} are damaged", path.display())]
    Damaged {
        /// What was tried.
        action: &'static str,
        /// The store.
        store: String,
        /// The task.
        task: String,
        /// Where the engine keeps it.
        path: PathBuf,
        /// What the engine said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store on disk was written by a version or for a kind that this one cannot read, and has no changelog to be
    /// rebuilt from.
    #[error("store \"{store}\" of task {task} in {} has format \"{found}\", this version reads \"{expected}\"; it has no changelog to be rebuilt from", path.display())]
    Format {
        /// The store.
        store: String,
        /// The task.
        task: String,
        /// Where it is.
        path: PathBuf,
        /// The format found.
        found: String,
        /// The format that was expected.
        expected: String,
    },
    /// A record could not be sent to the store's changelog.
    #[error("could not log a change of store \"{store}\"")]
    Changelog {
        /// The store.
        store: String,
        /// What the output said.
        #[source]
        source: OutputError,
    },
    /// A record with a negative timestamp cannot be logged, because Kafka refuses it.
    #[error("cannot log a change of store \"{store}\" with timestamp {timestamp}: it must not be negative")]
    NegativeTimestamp {
        /// The store.
        store: String,
        /// The timestamp.
        timestamp: i64,
    },
    /// A value has not the layout of its store's kind.
    #[error("a value of store \"{store}\" is not laid out as {kind:?} demands")]
    Malformed {
        /// The store.
        store: String,
        /// Its kind.
        kind: crate::spec::Kind,
    },
    /// An earlier write failed half-way. Discard first: the store would otherwise commit what was never logged.
    #[error("store \"{store}\" failed earlier and must be discarded or closed")]
    Failed {
        /// The store.
        store: String,
    },
    /// A global store was written to by a processor that is not the one that fills it.
    #[error("store \"{store}\" is global: only the processor that fills it from its topic may write to it")]
    ReadOnly {
        /// The store.
        store: String,
    },
    /// The same store of the same task is open elsewhere in this process.
    #[error("store \"{store}\" of task {task} is still open on another thread")]
    InUse {
        /// The store.
        store: String,
        /// The task.
        task: String,
    },
    /// Another process works in the state directory.
    #[error("state directory {} is in use by another process; give each process its own state.dir", path.display())]
    DirectoryLocked {
        /// The directory.
        path: PathBuf,
    },
    /// The state directory is not there any more, or it is another one: somebody deleted it while it was in use. Nothing is
    /// lost that a changelog has.
    #[error("state directory {} was deleted while in use: its stores are rebuilt from their changelogs at the next start", path.display())]
    DirectoryLost {
        /// The directory.
        path: PathBuf,
    },
    /// The state directory could not be read or written.
    #[error("could not {action} {}", path.display())]
    Directory {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The engine could not answer for the whole directory.
    #[error("could not {action} {}", path.display())]
    Storage {
        /// What was tried.
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// What the engine said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine that was asked for is not part of this build.
    #[error("engine \"{engine}\" is not compiled in: build with the feature \"{engine}\"")]
    EngineMissing {
        /// Its name.
        engine: &'static str,
    },
}
