//! Entries in fjall: one database for the process, one keyspace per store.
//!
//! * `mod`: the database, a store's engine
//! * [`said`]: a store's format and changelog offset, an entry among the others, so that one batch writes entries and offset
//!
//! The database has its own worker threads and journal: that is why the stores of a process share one.

mod said;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::fjall::config::HashRatioPolicy;
use ::fjall::{Database, Iter, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};
use said::Said;

use crate::engine::shared::{ReadOnly, Reads};
use crate::engine::{Batch, Cause, Cursor, DAMAGED, Damaged, Engine, Home, NewReader, Opened, Place};
use crate::range::{KeyRange, Order};
use crate::spec::ChangelogId;

/// Bytes of one store that wait in memory before they are sorted into files. Every task has such stores, so this is what
/// decides how much memory an application needs.
const MEMTABLE_BYTES: u64 = 4 << 20;
/// The journal keeps what waits in memory; fjall takes no less.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Threads that flush and compact, all stores together.
const WORKERS: usize = 2;
/// Buckets per entry of the hash index in a block: point reads are what stores do most.
const HASH_RATIO: f32 = 0.75;

/// The database of a process, opened at the first need.
pub(crate) struct FjallHome {
    path: PathBuf,
    block_cache_bytes: u64,
    database: Mutex<Option<OpenDatabase>>,
}

#[derive(Clone)]
struct OpenDatabase {
    database: Database,
    /// A write failed: the database takes no further ones until it is opened anew.
    broken: Arc<AtomicBool>,
}

impl FjallHome {
    pub(crate) fn new(directory: &Path, block_cache_bytes: u64) -> Self {
        Self {
            path: directory.join("fjall"),
            block_cache_bytes,
            database: Mutex::new(None),
        }
    }

    fn database(&self) -> Result<OpenDatabase, Cause> {
        let mut opened = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        match &*opened {
            Some(opened) if !opened.broken.load(Ordering::Relaxed) => return Ok(opened.clone()),
            _ => *opened = None,
        }
        let database = Database::builder(&self.path)
            .cache_size(self.block_cache_bytes)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .open()
            .map_err(not_opened)?;
        let broken = Arc::default();
        Ok(opened.insert(OpenDatabase { database, broken }).clone())
    }

    fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The names of the keyspaces of a task, or of all tasks, and the stores in them.
    fn stores(database: &Database) -> impl Iterator<Item = (String, String)> {
        database.list_keyspace_names().into_iter().filter_map(|name| {
            let (task, store) = name.split_once('/')?;
            Some((task.to_owned(), store.to_owned()))
        })
    }
}

impl Home for FjallHome {
    fn path(&self, _place: &Place) -> PathBuf {
        self.path.clone()
    }

    fn open(&self, place: &Place, format: &str) -> Result<Opened, Cause> {
        let OpenDatabase { database, broken } = self.database()?;
        let entries = database.keyspace(&keyspace_name(&place.task, &place.store)?, entry_options)?;
        let said = match said(&entries)? {
            Some(said) if said.format == format => said.with_changelog(&place.changelog),
            Some(said) => return Ok(Opened::OtherFormat(said.format)),
            None if !entries.is_empty()? => return Ok(Opened::OtherFormat("none".to_owned())),
            None => {
                let said = Said::of_a_new_store(format, &place.changelog);
                entries.insert(said::KEY, said.encode())?;
                said
            }
        };
        Ok(Opened::Engine(Box::new(FjallEngine {
            database,
            entries,
            said,
            damaged: Cell::new(false),
            broken,
        })))
    }

    fn tasks(&self) -> Result<BTreeSet<String>, Cause> {
        if !self.exists() {
            return Ok(BTreeSet::new());
        }
        let OpenDatabase { database, .. } = self.database()?;
        Ok(Self::stores(&database).map(|(task, _)| task).collect())
    }

    fn offsets(&self, task: &str) -> Result<BTreeMap<String, i64>, Cause> {
        let mut offsets = BTreeMap::new();
        if !self.exists() {
            return Ok(offsets);
        }
        let OpenDatabase { database, .. } = self.database()?;
        for (_, store) in Self::stores(&database).filter(|(owner, _)| owner == task) {
            let entries = database.keyspace(&keyspace_name(task, &store)?, entry_options)?;
            if let Some(offset) = said(&entries)?.and_then(|said| said.offset()) {
                offsets.insert(store, offset);
            }
        }
        Ok(offsets)
    }

    fn delete(&self, task: &str) -> Result<(), Cause> {
        if !self.exists() {
            return Ok(());
        }
        let OpenDatabase { database, .. } = self.database()?;
        for (_, store) in Self::stores(&database).filter(|(owner, _)| owner == task) {
            self.delete_store(task, &store)?;
        }
        Ok(())
    }

    fn delete_store(&self, task: &str, store: &str) -> Result<(), Cause> {
        if !self.exists() {
            return Ok(());
        }
        let OpenDatabase { database, .. } = self.database()?;
        let entries = database.keyspace(&keyspace_name(task, store)?, entry_options)?;
        // First what the store says of itself: entries that a crash leaves behind have no format, and are not trusted.
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        batch.remove(&entries, said::KEY);
        batch.commit()?;
        Ok(database.delete_keyspace(entries)?)
    }
}

/// What a store says of itself; if its files are damaged just there, that they are.
fn said(entries: &Keyspace) -> Result<Option<Said>, Cause> {
    match entries.get(said::KEY) {
        Err(error) if is_damage(&error) => {
            tracing::warn!(store = %entries.name(), %error, "the files of a store are damaged");
            Ok(Some(Said::of_a_new_store(DAMAGED, "")))
        }
        bytes => Ok(bytes?.and_then(|bytes| Said::decode(&bytes))),
    }
}

fn entry_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .data_block_hash_ratio_policy(HashRatioPolicy::all(HASH_RATIO))
}

fn keyspace_name(task: &str, store: &str) -> Result<String, Cause> {
    let name = format!("{task}/{store}");
    if name.len() > usize::from(u8::MAX) {
        return Err(format!("the name {name} is longer than 255 bytes").into());
    }
    Ok(name)
}

/// Why the database cannot be opened, and what to do about it where nothing else helps.
fn not_opened(error: ::fjall::Error) -> Cause {
    match error {
        error if is_damage(&error) => Box::new(Damaged(error.into())),
        ::fjall::Error::Locked => "another store of it is still open after a write that failed".into(),
        error => error.into(),
    }
}

/// Whether the error says that files are not as they were written.
fn is_damage(error: &::fjall::Error) -> bool {
    use ::fjall::Error as Database;
    match error {
        Database::Storage(error) => is_damage_of_tree(error),
        Database::JournalRecovery(_)
        | Database::InvalidVersion(_)
        | Database::Decompress(_)
        | Database::InvalidTrailer
        | Database::InvalidTag(_)
        | Database::Unrecoverable => true,
        Database::Io(error) => is_nonsense(error),
        _ => false,
    }
}

fn is_damage_of_tree(error: &::fjall::LsmError) -> bool {
    match error {
        ::fjall::LsmError::Io(error) => is_nonsense(error),
        _ => true,
    }
}

/// Whether a file could be read, but what it has is no sense.
fn is_nonsense(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData)
}

/// fjall writes the length of a key as two bytes.
const KEY_BYTES_MAX: usize = u16::MAX as usize;

type StoredKey<'a> = Cow<'a, [u8]>;

/// fjall knows no empty key, and one is ours ([`said`]). Keys of zeros alone, and so the empty one, get two zeros more: the
/// order stays.
fn stored_key(key: &[u8]) -> StoredKey<'_> {
    if key.iter().any(|byte| *byte != 0) {
        return Cow::Borrowed(key);
    }
    Cow::Owned([key, &[0, 0]].concat())
}

/// The key that was stored as this one.
fn given_key(key: &[u8]) -> &[u8] {
    match key.split_last_chunk() {
        Some((shorter, [0, 0])) if shorter.iter().all(|byte| *byte == 0) => shorter,
        _ => key,
    }
}

/// Where keys in these bounds stand.
fn stored_bounds<'a>(from: Bound<&'a [u8]>, to: Bound<&'a [u8]>) -> (Bound<StoredKey<'a>>, Bound<StoredKey<'a>>) {
    let from = match from {
        Bound::Unbounded => Bound::Excluded(Cow::Borrowed(said::KEY)),
        bounded => bounded.map(stored_key),
    };
    (from, to.map(stored_key))
}

struct FjallEngine {
    database: Database,
    entries: Keyspace,
    said: Said,
    /// Its files are damaged; it has said so.
    damaged: Cell<bool>,
    broken: Arc<AtomicBool>,
}

impl FjallEngine {
    /// If a read failed because files are damaged: no process is to open the store again as it is.
    fn suspect(&self, cause: Cause) -> Cause {
        if !cause.downcast_ref().is_some_and(is_damage) {
            return cause;
        }
        self.damaged.set(true);
        let damaged = Said::of_a_new_store(DAMAGED, "");
        if let Err(error) = self.entries.insert(said::KEY, damaged.encode()) {
            tracing::warn!(%error, store = %self.entries.name(), "could not note that a store is damaged");
        }
        Box::new(Damaged(cause))
    }

    /// A batch that could not be written ends the database.
    fn breaks(&self, error: ::fjall::Error) -> Cause {
        self.broken.store(true, Ordering::Relaxed);
        match error {
            ::fjall::Error::Poisoned => "an earlier write to the same database failed, of this store or another".into(),
            error => error.into(),
        }
    }
}

impl Engine for FjallEngine {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
        Reads::get(&self.entries, key, value).map_err(|cause| self.suspect(cause))
    }

    fn range(&self, range: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause> {
        let cursor = FjallCursor::new(&self.entries, Some(self), range, order);
        Ok(Box::new(cursor?))
    }

    fn write(&mut self, writes: Batch<'_>) -> Result<(), Cause> {
        if self.damaged.get() {
            return Err("its files are damaged".into());
        }
        let said = self.said.after(&writes);
        // The journal reaches the operating system at once: what is committed survives the process, not the machine.
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        if let Some(end) = writes.drop_before {
            for entry in self
                .entries
                .range(stored_bounds(Bound::Unbounded, Bound::Excluded(end)))
            {
                let key = entry.key().map_err(|error| self.suspect(error.into()))?;
                batch.remove(&self.entries, key);
            }
        }
        for (key, value) in writes.writes {
            let key = stored_key(key);
            if key.len() > KEY_BYTES_MAX {
                return Err(format!("a key of {} bytes is longer than {KEY_BYTES_MAX} bytes", key.len()).into());
            }
            match value {
                Some(value) => batch.insert(&self.entries, &*key, value),
                None => batch.remove(&self.entries, &*key),
            }
        }
        if said != self.said {
            batch.insert(&self.entries, said::KEY, said.encode());
        }
        batch.commit().map_err(|error| self.breaks(error))?;
        self.said = said;
        Ok(())
    }

    fn offset(&self) -> Option<i64> {
        self.said.offset()
    }

    fn changelog_id(&self) -> Option<ChangelogId> {
        self.said.changelog_id()
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        self.entries.approximate_entries(writes)
    }

    fn close(&mut self) -> Result<(), Cause> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn position(&self, partition: &str) -> Result<Option<i64>, Cause> {
        Ok(self.said.positions.get(partition).copied())
    }

    fn share(&self) -> Option<NewReader> {
        let entries = self.entries.clone();
        Some(Box::new(move || Box::new(ReadOnly(entries.clone()))))
    }
}

impl Reads for Keyspace {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
        let found = Keyspace::get(self, stored_key(key))?;
        if let Some(found) = &found {
            value.extend_from_slice(found);
        }
        Ok(found.is_some())
    }

    fn range(&self, range: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause> {
        Ok(Box::new(FjallCursor::new(self, None, range, order)?))
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        let puts = writes.filter(|(_, put)| *put).count();
        Ok((self.approximate_len().saturating_sub(1) + puts) as u64)
    }
}

struct FjallCursor<'a> {
    entries: Iter,
    /// The store that is read, if this is its owner.
    owner: Option<&'a FjallEngine>,
    order: Order,
    here: Option<(Slice, Slice)>,
}

impl<'a> FjallCursor<'a> {
    fn new(entries: &Keyspace, owner: Option<&'a FjallEngine>, range: &KeyRange, order: Order) -> Result<Self, Cause> {
        let (from, to) = range.bounds();
        let mut cursor = Self {
            entries: entries.range(stored_bounds(from, to)),
            owner,
            order,
            here: None,
        };
        cursor.advance()?;
        Ok(cursor)
    }
}

impl Cursor for FjallCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.here.as_ref().map(|(key, value)| (given_key(key), &**value))
    }

    fn advance(&mut self) -> Result<(), Cause> {
        let next = match self.order {
            Order::Forward => self.entries.next(),
            Order::Reverse => self.entries.next_back(),
        };
        let here = next.map(|guard| guard.into_inner()).transpose();
        self.here = here.map_err(|error| match self.owner {
            Some(owner) => owner.suspect(error.into()),
            None => error.into(),
        })?;
        Ok(())
    }
}
