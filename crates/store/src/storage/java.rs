//! What Kafka Streams in Java left in a state directory: recognised, never changed.
//!
//! Java keeps a task's stores below `<task>/`: a key-value store is a RocksDB in `rocksdb/<store>`, a window or session store
//! has one for each segment in `<store>/<store>.<start>`. Our engines keep theirs elsewhere, so that neither side ever opens
//! what the other one wrote, and both can go back.

use std::fs;
use std::path::{Path, PathBuf};

/// A file that every RocksDB has.
const CURRENT: &str = "CURRENT";

/// Where Java keeps a store of a task, if it does.
pub(super) fn store(directory: &Path, task: &str, store: &str) -> Option<PathBuf> {
    let task = directory.join(task);
    let whole = task.join("rocksdb").join(store);
    if whole.join(CURRENT).is_file() {
        return Some(whole);
    }
    let segmented = task.join(store);
    let mut segments = fs::read_dir(&segmented).ok()?.map_while(Result::ok);
    segments
        .any(|segment| segment.path().join(CURRENT).is_file())
        .then_some(segmented)
}
