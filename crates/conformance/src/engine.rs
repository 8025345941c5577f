//! Where a case keeps its persistent stores.

use std::fmt;

use kstreams_store::{PersistentEngine, Result, RocksDbOptions, Storage, StorageConfig};
use tempfile::TempDir;

/// What stands in for the engine of persistent stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Memory, which is fast.
    Memory,
    /// fjall, in a directory of the case's own.
    Fjall,
    /// RocksDB, likewise.
    #[cfg(feature = "rocksdb")]
    RocksDb,
}

impl Engine {
    /// All that are compiled in.
    pub fn all() -> Vec<Self> {
        vec![
            Self::Memory,
            Self::Fjall,
            #[cfg(feature = "rocksdb")]
            Self::RocksDb,
        ]
    }

    /// The engine of this name, if it is compiled in.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|engine| engine.to_string() == name)
    }

    /// A storage, and the directory that has to outlive it.
    pub(crate) fn storage(self) -> Result<(Storage, Option<TempDir>)> {
        let engine = match self {
            Self::Memory => return Ok((Storage::in_memory(), None)),
            Self::Fjall => PersistentEngine::Fjall,
            #[cfg(feature = "rocksdb")]
            Self::RocksDb => PersistentEngine::RocksDb,
        };
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let config = StorageConfig {
            directory: directory.path().join("app"),
            engine,
            process_id: "00000000-0000-0000-0000-000000000001".to_owned(),
            block_cache_bytes: 1 << 20,
            rocksdb: RocksDbOptions::default(),
        };
        Ok((Storage::open(config)?, Some(directory)))
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Fjall => "fjall",
            #[cfg(feature = "rocksdb")]
            Self::RocksDb => "rocksdb",
        })
    }
}
