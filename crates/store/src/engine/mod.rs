//! Where entries rest: the memory, fjall and RocksDB engines behind one trait.
//!
//! An engine knows bytes and atomic batches, nothing else: no cache, no changelog, no uncommitted write ever reaches it.

#[cfg(feature = "fjall")]
pub(crate) mod fjall;
#[cfg(feature = "rocksdb")]
pub(crate) mod import;
pub(crate) mod memory;
#[cfg(feature = "rocksdb")]
pub(crate) mod rocks;
pub(crate) mod shared;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::range::{KeyRange, Order};
use crate::spec::ChangelogId;

/// What an engine's library said. The caller adds which store it was, and where.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The format of a store whose files were found to be damaged: nobody expects it, so such a store is never opened as it is.
#[cfg(any(feature = "fjall", feature = "rocksdb"))]
pub(crate) const DAMAGED: &str = "damaged";

/// What an engine's library said of files that are not as it wrote them.
#[derive(Debug, thiserror::Error)]
#[error("its files are damaged")]
#[cfg_attr(
    not(any(feature = "fjall", feature = "rocksdb")),
    expect(dead_code, reason = "only engines on disk have files")
)]
pub(crate) struct Damaged(#[source] pub(crate) Cause);

/// The entries and the changelog offset of one store.
pub(crate) trait Engine: Send {
    /// Copies the value of `key` into `value`, which is empty. Says whether there is one.
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause>;

    /// Prepares for [`range`](Self::range), where that takes something.
    fn index(&mut self) {}

    /// A cursor on the first entry of a range that is not empty. It sees the entries as they are now.
    fn range(&self, range: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause>;

    /// Whether batches are to come in the order of their keys.
    fn wants_order(&self) -> bool {
        true
    }

    /// Applies a batch: all of it or, whatever happens, nothing. Afterwards it survives the process.
    fn write(&mut self, batch: Batch<'_>) -> Result<(), Cause>;

    /// The changelog offset of the last batch that had one.
    fn offset(&self) -> Option<i64>;

    /// The id of the changelog that the offset belongs to, as of the last batch that had one.
    fn changelog_id(&self) -> Option<ChangelogId> {
        None
    }

    /// About how many entries there will be when the given writes are applied: keys, and whether each is put or deleted.
    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause>;

    /// Makes what was written survive the machine, as far as the engine can.
    fn close(&mut self) -> Result<(), Cause>;

    /// What was last said of a partition in [`Batch::positions`].
    fn position(&self, partition: &str) -> Result<Option<i64>, Cause>;

    /// Makes read-only engines over the same entries, for other threads. `None` if this engine has its entries to itself.
    fn share(&self) -> Option<NewReader> {
        None
    }

    /// Whether a batch can be written now: not while readers hold what it would be written to.
    fn is_free(&mut self) -> bool {
        true
    }

    /// Lets a read-only engine see what was written since the last call.
    fn refresh(&mut self) {}
}

/// Makes read-only engines over shared entries.
pub(crate) type NewReader = Box<dyn Fn() -> Box<dyn Engine> + Send + Sync>;

/// The writes of one commit. Each key occurs once.
pub(crate) struct Batch<'a> {
    /// Every entry with a smaller key than this is deleted. None of the writes has one.
    pub(crate) drop_before: Option<&'a [u8]>,
    /// Keys and new values; `None` deletes.
    pub(crate) writes: &'a mut dyn Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    /// The changelog offset that goes with them; `None` keeps the one there is.
    pub(crate) offset: Option<i64>,
    /// The id of the changelog; `None` keeps the one there is.
    pub(crate) changelog_id: Option<ChangelogId>,
    /// Where the reading of partitions goes on whose records are in the entries, for a store that several fill.
    pub(crate) positions: &'a [(String, i64)],
}

/// A place in a range.
pub(crate) trait Cursor {
    /// The entry here; `None` behind the last.
    fn entry(&self) -> Option<(&[u8], &[u8])>;

    /// Moves on by one.
    fn advance(&mut self) -> Result<(), Cause>;
}

/// Where the persistent stores of a process live.
pub(crate) trait Home: Send + Sync {
    /// Where the engine keeps a store, for messages.
    fn path(&self, place: &Place) -> PathBuf;

    /// Opens a store, or creates it with this format.
    fn open(&self, place: &Place, format: &str) -> Result<Opened, Cause>;

    /// The tasks that have stores.
    fn tasks(&self) -> Result<BTreeSet<String>, Cause>;

    /// The changelog offsets of a task's stores, by store.
    fn offsets(&self, task: &str) -> Result<BTreeMap<String, i64>, Cause>;

    /// Deletes the stores of a task, none of which is open.
    fn delete(&self, task: &str) -> Result<(), Cause>;

    /// Deletes a store that is not open.
    fn delete_store(&self, task: &str, store: &str) -> Result<(), Cause>;
}

/// A store in a [`Home`].
pub(crate) struct Place {
    pub(crate) task: String,
    pub(crate) store: String,
    #[cfg_attr(
        not(any(feature = "fjall", feature = "rocksdb")),
        expect(dead_code, reason = "only engines on disk keep offsets")
    )]
    /// The name of its changelog's partition: a stored offset belongs to it. Empty without a changelog.
    pub(crate) changelog: String,
}

/// What [`Home::open`] found.
#[cfg_attr(
    not(any(feature = "fjall", feature = "rocksdb")),
    expect(dead_code, reason = "only engines on disk find anything")
)]
pub(crate) enum Opened {
    /// The store, ready.
    Engine(Box<dyn Engine>),
    /// A store of another format, which was left alone.
    OtherFormat(String),
}
