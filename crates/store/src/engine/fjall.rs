//! Entries in fjall: one database for the process, one keyspace per store.
//!
//! A keyspace `meta` holds each store's format and changelog offset, so that one batch writes entries and offset. The
//! database has its own worker threads and journal: that is why the stores of a process share one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::fjall::config::HashRatioPolicy;
use ::fjall::{Database, Iter, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};

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
const META: &str = "meta";
const FORMAT: &str = "format";
const OFFSET: &str = "offset";
const CHANGELOG_ID: &str = "changelog-id";

/// The database of a process, opened at the first need.
pub(crate) struct FjallHome {
    path: PathBuf,
    block_cache_bytes: u64,
    database: Mutex<Option<OpenDatabase>>,
}

#[derive(Clone)]
struct OpenDatabase {
    database: Database,
    /// Formats and offsets.
    meta: Keyspace,
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
        let meta = database.keyspace(META, || KeyspaceCreateOptions::default().max_memtable_size(1 << 20))?;
        let broken = Arc::default();
        Ok(opened.insert(OpenDatabase { database, meta, broken }).clone())
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
        let OpenDatabase { database, meta, broken } = self.database()?;
        let name = keyspace_name(&place.task, &place.store)?;
        let entries = database.keyspace(&name, entry_options)?;
        let format_key = meta_key(&place.task, &place.store, FORMAT);
        match meta.get(&format_key)? {
            Some(found) if *found == *format.as_bytes() => {}
            Some(found) => return Ok(Opened::OtherFormat(String::from_utf8_lossy(&found).into_owned())),
            None if !entries.is_empty()? => return Ok(Opened::OtherFormat("none".to_owned())),
            None => meta.insert(&format_key, format)?,
        }
        let offset_key = meta_key(&place.task, &place.store, OFFSET);
        let said = meta.get(&offset_key)?;
        let offset = said.and_then(|bytes| of_changelog(&bytes, &place.changelog).map(i64::from_be_bytes));
        let id_key = meta_key(&place.task, &place.store, CHANGELOG_ID);
        let said = meta.get(&id_key)?;
        let changelog_id = said.and_then(|bytes| of_changelog(&bytes, &place.changelog).map(ChangelogId));
        Ok(Opened::Engine(Box::new(FjallEngine {
            database,
            meta,
            entries,
            format_key,
            offset_key,
            id_key,
            broken,
            changelog_id,
            changelog: place.changelog.clone(),
            offset,
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
        let OpenDatabase { database, meta, .. } = self.database()?;
        for (_, store) in Self::stores(&database).filter(|(owner, _)| owner == task) {
            if let Some(bytes) = meta.get(meta_key(task, &store, OFFSET))?
                && let Some((offset, _)) = bytes.split_first_chunk()
            {
                offsets.insert(store, i64::from_be_bytes(*offset));
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
        let OpenDatabase { database, meta, .. } = self.database()?;
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        for said in meta.prefix(meta_key(task, store, "")) {
            batch.remove(&meta, said.key()?);
        }
        // First what the store says of itself: entries that a crash leaves behind have no format, and are not trusted.
        batch.commit()?;
        let entries = database.keyspace(&keyspace_name(task, store)?, KeyspaceCreateOptions::default)?;
        Ok(database.delete_keyspace(entries)?)
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

fn meta_key(task: &str, store: &str, what: &str) -> String {
    format!("{task}/{store}/{what}")
}

/// Something that is said of a changelog, and which one that is: of another changelog it means nothing.
fn with_changelog(said: &[u8], changelog: &str) -> Vec<u8> {
    [said, changelog.as_bytes()].concat()
}

/// Where the position of one of several partitions stands.
fn position_key(offset_key: &str, partition: &str) -> String {
    format!("{offset_key}/{partition}")
}

fn of_changelog<const N: usize>(bytes: &[u8], changelog: &str) -> Option<[u8; N]> {
    let (said, name) = bytes.split_first_chunk()?;
    (name == changelog.as_bytes()).then_some(*said)
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

/// fjall knows no empty key. Keys of zeros alone, and so the empty one, get one zero more: the order stays.
fn stored_key(key: &[u8]) -> Cow<'_, [u8]> {
    if key.iter().any(|byte| *byte != 0) {
        return Cow::Borrowed(key);
    }
    let mut longer = key.to_vec();
    longer.push(0);
    Cow::Owned(longer)
}

/// The key that was stored as this one.
fn given_key(key: &[u8]) -> &[u8] {
    match key.split_last() {
        Some((0, shorter)) if shorter.iter().all(|byte| *byte == 0) => shorter,
        _ => key,
    }
}

struct FjallEngine {
    database: Database,
    meta: Keyspace,
    entries: Keyspace,
    format_key: String,
    offset_key: String,
    id_key: String,
    changelog: String,
    offset: Option<i64>,
    changelog_id: Option<ChangelogId>,
    broken: Arc<AtomicBool>,
}

impl FjallEngine {
    /// If a read failed because files are damaged: no process is to open the store again as it is.
    fn suspect(&self, cause: Cause) -> Cause {
        if !cause.downcast_ref().is_some_and(is_damage) {
            return cause;
        }
        if let Err(error) = self.meta.insert(&self.format_key, DAMAGED) {
            tracing::warn!(%error, store = self.format_key, "could not note that a store is damaged");
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
        // The journal reaches the operating system at once: what is committed survives the process, not the machine.
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        if let Some(end) = writes.drop_before {
            for entry in self.entries.range(..stored_key(end)) {
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
        if let Some(offset) = writes.offset {
            batch.insert(
                &self.meta,
                self.offset_key.as_str(),
                with_changelog(&offset.to_be_bytes(), &self.changelog),
            );
        }
        if let Some(ChangelogId(id)) = writes.changelog_id {
            batch.insert(&self.meta, self.id_key.as_str(), with_changelog(&id, &self.changelog));
        }
        for (partition, position) in writes.positions {
            batch.insert(
                &self.meta,
                position_key(&self.offset_key, partition),
                with_changelog(&position.to_be_bytes(), partition),
            );
        }
        batch.commit().map_err(|error| self.breaks(error))?;
        self.offset = writes.offset.or(self.offset);
        self.changelog_id = writes.changelog_id.or(self.changelog_id);
        Ok(())
    }

    fn offset(&self) -> Option<i64> {
        self.offset
    }

    fn changelog_id(&self) -> Option<ChangelogId> {
        self.changelog_id
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        self.entries.approximate_entries(writes)
    }

    fn close(&mut self) -> Result<(), Cause> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn position(&self, partition: &str) -> Result<Option<i64>, Cause> {
        let stored = self.meta.get(position_key(&self.offset_key, partition))?;
        Ok(stored.and_then(|bytes| of_changelog(&bytes, partition).map(i64::from_be_bytes)))
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
        Ok((self.approximate_len() + puts) as u64)
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
        let bounds = (from.map(stored_key), to.map(stored_key));
        let mut cursor = Self {
            entries: entries.range::<Cow<'_, [u8]>, _>(bounds),
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
