//! What a user changes of the options with which stores in RocksDB are opened.

use std::fmt;
#[cfg(feature = "rocksdb")]
use std::sync::Arc;

/// Changes the options of stores in RocksDB, store by store: Kafka Streams' `RocksDBConfigSetter`. The default changes
/// nothing, and without the feature `rocksdb` there is nothing else.
///
/// ```
/// # #[cfg(feature = "rocksdb")] {
/// use kstreams_store::RocksDbOptions;
///
/// let options = RocksDbOptions::new(|store, options| {
///     if store == "large" {
///         options.set_write_buffer_size(64 << 20);
///     }
/// });
/// # }
/// ```
#[derive(Clone, Default)]
pub struct RocksDbOptions {
    #[cfg(feature = "rocksdb")]
    change: Option<Arc<Change>>,
}

/// Gets a store's name and its options.
#[cfg(feature = "rocksdb")]
type Change = dyn Fn(&str, &mut rocksdb::Options) + Send + Sync;

#[cfg(feature = "rocksdb")]
impl RocksDbOptions {
    /// Calls `change` with a store's name and the options it would be opened with, once for the database and once for each
    /// of its column families. What all stores share, the block cache, is in `block_cache_bytes` of the
    /// [`StorageConfig`](crate::StorageConfig).
    pub fn new(change: impl Fn(&str, &mut rocksdb::Options) + Send + Sync + 'static) -> Self {
        Self {
            change: Some(Arc::new(change)),
        }
    }

    pub(crate) fn apply(&self, store: &str, options: &mut rocksdb::Options) {
        if let Some(change) = &self.change {
            change(store, options);
        }
    }
}

impl fmt::Debug for RocksDbOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksDbOptions").finish_non_exhaustive()
    }
}

/// Options are equal if they are changed by the same closure.
impl PartialEq for RocksDbOptions {
    fn eq(&self, _other: &Self) -> bool {
        #[cfg(feature = "rocksdb")]
        return match (&self.change, &_other.change) {
            (Some(change), Some(other)) => Arc::ptr_eq(change, other),
            (change, other) => change.is_none() && other.is_none(),
        };
        #[cfg(not(feature = "rocksdb"))]
        true
    }
}

impl Eq for RocksDbOptions {}

#[cfg(all(test, feature = "rocksdb"))]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::spec::{EngineKind, Kind, Logging, StoreSpec};
    use crate::state::CacheBudget;
    use crate::storage::{PersistentEngine, Storage, StorageConfig};

    #[test]
    fn each_store_is_opened_with_its_options() {
        let opened = Arc::new(Mutex::new(Vec::new()));
        let seen = opened.clone();
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(StorageConfig {
            directory: directory.path().to_owned(),
            engine: PersistentEngine::RocksDb,
            process_id: String::new(),
            block_cache_bytes: 1 << 20,
            rocksdb: RocksDbOptions::new(move |store, options| {
                options.set_write_buffer_size(1 << 20);
                seen.lock().unwrap().push(store.to_owned());
            }),
        })
        .unwrap();
        let spec = StoreSpec {
            name: "large".into(),
            kind: Kind::KeyValue,
            engine: EngineKind::Persistent,
            caching: false,
            logging: Logging::Disabled,
        };
        storage.state(&spec, "0_0", None, &CacheBudget::new(0)).unwrap();
        assert_eq!(*opened.lock().unwrap(), ["large"; 3]);
    }
}
