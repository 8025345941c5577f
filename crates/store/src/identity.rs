//! Which store it is: what every message about it names.

use std::path::PathBuf;

use crate::engine::{Cause, Damaged};
use crate::error::Error;
use crate::spec::{EngineKind, Kind};

/// A store's name, task and place.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) engine: EngineKind,
    pub(crate) store: String,
    pub(crate) task: String,
    /// Where the engine keeps it.
    pub(crate) path: PathBuf,
}

impl Identity {
    /// The engine could not do something.
    pub(crate) fn failed_to(&self, action: &'static str, source: impl Into<Cause>) -> Error {
        let (store, task, path) = (self.store.clone(), self.task.clone(), self.path.clone());
        match source.into().downcast::<Damaged>() {
            Ok(damaged) => Error::Damaged {
                action,
                store,
                task,
                path,
                source: damaged.0,
            },
            Err(source) => Error::Engine {
                action,
                store,
                task,
                path,
                source,
            },
        }
    }

    /// An earlier write failed.
    pub(crate) fn failed(&self) -> Error {
        Error::Failed {
            store: self.store.clone(),
        }
    }

    /// It belongs to another thread.
    pub(crate) fn read_only(&self) -> Error {
        Error::ReadOnly {
            store: self.store.clone(),
        }
    }

    /// A value is not in the layout of the store's kind.
    pub(crate) fn malformed(&self) -> Error {
        Error::Malformed {
            store: self.store.clone(),
            kind: self.kind,
        }
    }
}
