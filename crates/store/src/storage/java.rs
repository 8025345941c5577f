//! What Kafka Streams in Java left in a state directory: recognised, never changed.
//!
//! Java keeps a task's stores below `<task>/`: a key-value store is a RocksDB in `rocksdb/<store>`, a window or session store
//! has one for each segment in `<store>/<store>.<start>`. Our engines keep theirs elsewhere, so that neither side ever opens
//! what the other one wrote, and both can go back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::engine::{Cause, Engine};
use crate::spec::{Changelog, Kind};

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

/// What was taken over of a store of Java's.
pub(super) enum TakenOver {
    /// All of it, which is up to this offset of the changelog.
    #[cfg_attr(
        not(feature = "rocksdb"),
        expect(dead_code, reason = "nothing is read without RocksDB")
    )]
    Until(i64),
    /// Nothing, for this reason.
    Not(&'static str),
}

/// Copies a store of Java's into one of ours. The places are the store's and its task's.
#[cfg(feature = "rocksdb")]
pub(super) fn take_over(
    places: (&Path, &Path),
    kind: Kind,
    changelog: &Changelog,
    ours: &mut dyn Engine,
) -> Result<TakenOver, Cause> {
    use crate::engine::import::{Import, import};
    let imported = import(places, kind, changelog.partition(), ours)?;
    Ok(match imported {
        Import::Done { offset } => TakenOver::Until(offset),
        Import::Refused(why) => TakenOver::Not(why),
    })
}

/// Without RocksDB nothing of Java's can be read.
#[cfg(not(feature = "rocksdb"))]
pub(super) fn take_over(_: (&Path, &Path), _: Kind, _: &Changelog, _: &mut dyn Engine) -> Result<TakenOver, Cause> {
    Ok(TakenOver::Not("this program is built without the feature rocksdb"))
}
