//! Entries in RocksDB: one database per store, laid out as Kafka Streams does.
//!
//! A column family `offsets` holds the changelog offset. The write-ahead log is off: a crash loses what was not flushed to
//! files, but a batch is lost or kept as one, entries and offset together, and the changelog has what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompactionStyle, DBCompressionType,
    DBRawIterator, ErrorKind as RocksErrorKind, FlushOptions, LogLevel, Options, ReadOptions, WriteBatch,
};
use tracing::warn;

use crate::engine::shared::{ReadOnly, Reads};
use crate::engine::{Batch, Cause, Cursor, DAMAGED, Damaged, Engine, Home, NewReader, Opened, Place};
use crate::range::{KeyRange, Order};
use crate::spec::ChangelogId;
use crate::storage::RocksDbOptions;

/// The column family of plain values.
const PLAIN: &str = "default";
/// The column family of timestamped values.
const TIMESTAMPED: &str = "keyValueWithTimestamp";
/// The column family of what a store says of itself.
const META: &str = "offsets";
/// Which format the entries have; not a key that Kafka Streams knows.
const FORMAT: &str = "kstreams.format";
/// The id of the changelog whose name follows.
const CHANGELOG_ID: &str = "kstreams.changelog-id.";
/// What our own keys begin with.
const OWN: &[u8] = b"kstreams.";
/// A file beside a store that says that its files are damaged.
const DAMAGED_FILE: &str = "DAMAGED";
const WRITE_BUFFER_BYTES: usize = 16 << 20;
const META_BUFFER_BYTES: usize = 1 << 20;
const BLOCK_BYTES: usize = 4 << 10;
const BLOOM_BITS: f64 = 10.0;
/// Commits after which entries are flushed to files even if there are few: what a crash loses has to be still in the
/// changelog.
const FLUSH_COMMITS: u32 = 300;

/// The RocksDB databases under a state directory: `rocksdb/<task>/<store>`.
pub(crate) struct RocksHome {
    directory: PathBuf,
    cache: Cache,
    /// What the user changes of the options.
    changes: RocksDbOptions,
}

impl RocksHome {
    pub(crate) fn new(directory: &Path, block_cache_bytes: u64, changes: RocksDbOptions) -> Self {
        Self {
            // Not below the task's own directory: there Java keeps its databases, with other column families.
            directory: directory.join("rocksdb"),
            changes,
            cache: Cache::new_lru_cache(usize::try_from(block_cache_bytes).unwrap_or(usize::MAX)),
        }
    }

    fn stores_of(&self, task: &str) -> PathBuf {
        self.directory.join(task)
    }

    fn path_of(&self, task: &str, store: &str) -> PathBuf {
        self.stores_of(task).join(store)
    }

    fn options(&self) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.cache);
        blocks.set_block_size(BLOCK_BYTES);
        blocks.set_bloom_filter(BLOOM_BITS, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_atomic_flush(true);
        options.set_block_based_table_factory(&blocks);
        options.set_compaction_style(DBCompactionStyle::Universal);
        options.set_compression_type(DBCompressionType::None);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_max_write_buffer_number(3);
        options.set_optimize_filters_for_hits(true);
        options.set_log_level(LogLevel::Error);
        options.set_keep_log_file_num(1);
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        options.increase_parallelism(i32::try_from(cores).unwrap_or(2));
        options
    }

    fn options_of(&self, store: &str) -> Options {
        let mut options = self.options();
        self.changes.apply(store, &mut options);
        options
    }

    fn open_database(&self, path: &Path, store: &str) -> Result<DB, Cause> {
        let mut meta = self.options();
        meta.set_write_buffer_size(META_BUFFER_BYTES);
        let families = [
            ColumnFamilyDescriptor::new(PLAIN, self.options_of(store)),
            ColumnFamilyDescriptor::new(TIMESTAMPED, self.options_of(store)),
            ColumnFamilyDescriptor::new(META, meta),
        ];
        Ok(DB::open_cf_descriptors(&self.options_of(store), path, families)?)
    }
}

impl Home for RocksHome {
    fn path(&self, place: &Place) -> PathBuf {
        self.path_of(&place.task, &place.store)
    }

    fn open(&self, place: &Place, format: &str) -> Result<Opened, Cause> {
        let path = self.path_of(&place.task, &place.store);
        fs::create_dir_all(&path)?;
        if path.join(DAMAGED_FILE).exists() {
            return Ok(Opened::OtherFormat(DAMAGED.to_owned()));
        }
        let database = match self.open_database(&path, &place.store) {
            Err(cause) if is_damage(&cause) => {
                warn!(path = %path.display(), %cause, "a store cannot be opened: its files are damaged");
                return Ok(Opened::OtherFormat(DAMAGED.to_owned()));
            }
            opened => opened?,
        };
        let engine = RocksEngine {
            family: if format.ends_with("timestamped") {
                TIMESTAMPED
            } else {
                PLAIN
            },
            offset_key: place.changelog.clone(),
            id_key: format!("{CHANGELOG_ID}{}", place.changelog),
            changelog_id: None,
            path,
            offset: None,
            commits: 0,
            database: Arc::new(database),
        };
        let meta = engine.family(META)?;
        match engine.database.get_pinned_cf(meta, FORMAT)? {
            Some(found) if *found == *format.as_bytes() => {}
            Some(found) => return Ok(Opened::OtherFormat(String::from_utf8_lossy(&found).into_owned())),
            None if engine.has_entries()? => return Ok(Opened::OtherFormat("none".to_owned())),
            None => {
                let mut batch = WriteBatch::default();
                batch.put_cf(meta, FORMAT, format);
                engine.database.write_without_wal(batch)?;
            }
        }
        let offset = engine.database.get_pinned_cf(meta, &engine.offset_key)?;
        let offset = offset.and_then(|bytes| bytes.first_chunk().map(|bytes| i64::from_be_bytes(*bytes)));
        let id = engine.database.get_pinned_cf(meta, &engine.id_key)?;
        let changelog_id = id.and_then(|bytes| bytes.first_chunk().map(|bytes| ChangelogId(*bytes)));
        Ok(Opened::Engine(Box::new(RocksEngine {
            offset,
            changelog_id,
            ..engine
        })))
    }

    fn tasks(&self) -> Result<BTreeSet<String>, Cause> {
        let mut tasks = BTreeSet::new();
        for task in subdirectories(&self.directory)? {
            if !subdirectories(&self.stores_of(&task))?.is_empty() {
                tasks.insert(task);
            }
        }
        Ok(tasks)
    }

    fn offsets(&self, task: &str) -> Result<BTreeMap<String, i64>, Cause> {
        let mut offsets = BTreeMap::new();
        for store in subdirectories(&self.stores_of(task))? {
            let path = self.path_of(task, &store);
            // Read-only: the store may be open, and is not to be created.
            let Ok(database) = DB::open_cf_for_read_only(&Options::default(), path, [PLAIN, META], false) else {
                continue;
            };
            let Some(meta) = database.cf_handle(META) else { continue };
            let mut entries = database.raw_iterator_cf(meta);
            entries.seek_to_first();
            while let Some((key, value)) = entries.item() {
                if !key.starts_with(OWN)
                    && let Some(offset) = value.first_chunk()
                {
                    offsets.insert(store.clone(), i64::from_be_bytes(*offset));
                }
                entries.next();
            }
        }
        Ok(offsets)
    }

    fn delete(&self, task: &str) -> Result<(), Cause> {
        remove(&self.directory.join(task))
    }

    fn delete_store(&self, task: &str, store: &str) -> Result<(), Cause> {
        remove(&self.path_of(task, store))
    }
}

/// The names of the directories in a directory, which need not exist.
fn subdirectories(path: &Path) -> Result<Vec<String>, Cause> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn remove(path: &Path) -> Result<(), Cause> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

struct RocksEngine {
    family: &'static str,
    path: PathBuf,
    offset_key: String,
    offset: Option<i64>,
    id_key: String,
    changelog_id: Option<ChangelogId>,
    commits: u32,
    database: Arc<DB>,
}

/// The entries of one kind in a database, to be read.
#[derive(Clone)]
struct RocksEntries {
    family: &'static str,
    database: Arc<DB>,
}

impl Reads for RocksEntries {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
        get(&self.database, self.family, key, value)
    }

    fn range(&self, wanted: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause> {
        Ok(Box::new(range(&self.database, self.family, wanted, order)?))
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        approximate_entries(&self.database, self.family, writes)
    }
}

fn family<'a>(database: &'a DB, name: &'static str) -> Result<&'a ColumnFamily, Cause> {
    let family = database.cf_handle(name);
    family.ok_or_else(|| format!("column family {name} is missing").into())
}

fn get(database: &DB, name: &'static str, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
    let found = database.get_pinned_cf(family(database, name)?, key)?;
    if let Some(found) = &found {
        value.extend_from_slice(found);
    }
    Ok(found.is_some())
}

fn range<'a>(database: &'a DB, name: &'static str, range: &KeyRange, order: Order) -> Result<RocksCursor<'a>, Cause> {
    let (start, end) = range.half_open();
    let mut options = ReadOptions::default();
    if let Some(start) = start {
        options.set_iterate_lower_bound(start);
    }
    if let Some(end) = end {
        options.set_iterate_upper_bound(end);
    }
    let mut entries = database.raw_iterator_cf_opt(family(database, name)?, options);
    match order {
        Order::Forward => entries.seek_to_first(),
        Order::Reverse => entries.seek_to_last(),
    }
    entries.status()?;
    Ok(RocksCursor { entries, order })
}

fn approximate_entries(
    database: &DB,
    name: &'static str,
    writes: &mut dyn Iterator<Item = (&[u8], bool)>,
) -> Result<u64, Cause> {
    let puts = writes.filter(|(_, put)| *put).count() as u64;
    let keys = database.property_int_value_cf(family(database, name)?, "rocksdb.estimate-num-keys")?;
    Ok(keys.unwrap_or(0) + puts)
}

impl RocksEngine {
    fn family(&self, name: &'static str) -> Result<&ColumnFamily, Cause> {
        family(&self.database, name)
    }

    /// Whether there is an entry, of whatever kind.
    fn has_entries(&self) -> Result<bool, Cause> {
        for name in [PLAIN, TIMESTAMPED] {
            let mut entries = self.database.raw_iterator_cf(self.family(name)?);
            entries.seek_to_first();
            if entries.valid() {
                return Ok(true);
            }
            entries.status()?;
        }
        Ok(false)
    }

    /// If a read failed because files are damaged: no process is to open the store again as it is.
    fn suspect(&self, cause: Cause) -> Cause {
        suspect(&self.path, cause)
    }

    fn flush(&self, wait: bool) -> Result<(), Cause> {
        let mut options = FlushOptions::default();
        options.set_wait(wait);
        let families = [self.family(self.family)?, self.family(META)?];
        Ok(self.database.flush_cfs_opt(&[&families[0], &families[1]], &options)?)
    }
}

impl Engine for RocksEngine {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
        get(&self.database, self.family, key, value).map_err(|cause| self.suspect(cause))
    }

    fn range(&self, wanted: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause> {
        let cursor = range(&self.database, self.family, wanted, order);
        let inner = cursor.map_err(|cause| self.suspect(cause))?;
        Ok(Box::new(OwnersCursor {
            path: &self.path,
            inner,
        }))
    }

    fn write(&mut self, writes: Batch<'_>) -> Result<(), Cause> {
        let (entries, meta) = (self.family(self.family)?, self.family(META)?);
        let mut batch = WriteBatch::default();
        if let Some(end) = writes.drop_before {
            batch.delete_range_cf(entries, &[][..], end);
        }
        for (key, value) in writes.writes {
            match value {
                Some(value) => batch.put_cf(entries, key, value),
                None => batch.delete_cf(entries, key),
            }
        }
        if let Some(offset) = writes.offset {
            batch.put_cf(meta, &self.offset_key, offset.to_be_bytes());
        }
        if let Some(ChangelogId(id)) = writes.changelog_id {
            batch.put_cf(meta, &self.id_key, id);
        }
        for (partition, position) in writes.positions {
            batch.put_cf(meta, partition, position.to_be_bytes());
        }
        self.database.write_without_wal(batch)?;
        self.offset = writes.offset.or(self.offset);
        self.changelog_id = writes.changelog_id.or(self.changelog_id);
        self.commits += 1;
        if self.commits == FLUSH_COMMITS {
            self.commits = 0;
            self.flush(false)?;
        }
        Ok(())
    }

    fn offset(&self) -> Option<i64> {
        self.offset
    }

    fn changelog_id(&self) -> Option<ChangelogId> {
        self.changelog_id
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        approximate_entries(&self.database, self.family, writes)
    }

    fn close(&mut self) -> Result<(), Cause> {
        self.flush(true)
    }

    fn position(&self, partition: &str) -> Result<Option<i64>, Cause> {
        let stored = self.database.get_pinned_cf(self.family(META)?, partition)?;
        Ok(stored.and_then(|bytes| bytes.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))))
    }

    fn share(&self) -> Option<NewReader> {
        let entries = RocksEntries {
            family: self.family,
            database: self.database.clone(),
        };
        Some(Box::new(move || Box::new(ReadOnly(entries.clone()))))
    }
}

/// A cursor of the one who owns the store, and so answers for its files.
struct OwnersCursor<'a> {
    path: &'a Path,
    inner: RocksCursor<'a>,
}

impl Cursor for OwnersCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.inner.entry()
    }

    fn advance(&mut self) -> Result<(), Cause> {
        self.inner.advance().map_err(|cause| suspect(self.path, cause))
    }
}

fn is_damage(cause: &Cause) -> bool {
    let said = cause.downcast_ref::<rocksdb::Error>().map(rocksdb::Error::kind);
    said == Some(RocksErrorKind::Corruption)
}

/// If files are damaged: notes that beside them.
fn suspect(path: &Path, cause: Cause) -> Cause {
    if !is_damage(&cause) {
        return cause;
    }
    if let Err(error) = fs::write(path.join(DAMAGED_FILE), "") {
        warn!(%error, path = %path.display(), "could not note that a store is damaged");
    }
    Box::new(Damaged(cause))
}

struct RocksCursor<'a> {
    entries: DBRawIterator<'a>,
    order: Order,
}

impl Cursor for RocksCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.entries.item()
    }

    fn advance(&mut self) -> Result<(), Cause> {
        match self.order {
            Order::Forward => self.entries.next(),
            Order::Reverse => self.entries.prev(),
        }
        Ok(self.entries.status()?)
    }
}
