//! Entries of a store that Kafka Streams in Java wrote, read out of its RocksDB, which stays as it is.
//!
//! What of it can be taken over is a key-value store that was closed in good order, so that somebody says up to which offset
//! of its changelog it goes: the file `.checkpoint` of the task in 4.1, the column family `offsets` of the store in 4.3.

use std::fs;
use std::path::Path;

use kstreams_wire::TopicPartition;
use rocksdb::{DB, DBRawIterator, Options};

use crate::engine::{Batch, Cause, Engine};
use crate::spec::Kind;

/// Where Java keeps plain values; where it has others, this must be empty.
const PLAIN: &str = "default";
const TIMESTAMPED: &str = "keyValueWithTimestamp";
/// What a store says of itself since 4.3.
const OFFSETS: &str = "offsets";
const STATUS: &str = "status";
const CLOSED: i64 = 0;
/// Entries are handed to our engine when this many bytes of them wait.
const CHUNK_BYTES: usize = 4 << 20;

/// What came of an import.
pub(crate) enum Import {
    /// Our store has all entries, and goes up to this offset.
    Done { offset: i64 },
    /// Nothing was taken over, for this reason.
    Refused(&'static str),
}

/// Copies a store of Java's at `path` into one of ours that is empty. `task` is the directory of its task.
pub(crate) fn import(
    (path, task): (&Path, &Path),
    kind: Kind,
    changelog: &TopicPartition,
    ours: &mut dyn Engine,
) -> Result<Import, Cause> {
    let family = match kind {
        Kind::KeyValue => PLAIN,
        Kind::TimestampedKeyValue => TIMESTAMPED,
        _ => return Ok(Import::Refused("stores of this kind are not imported")),
    };
    let options = Options::default();
    let families = DB::list_cf(&options, path)?;
    let theirs = DB::open_cf_for_read_only(&options, path, &families, false)?;
    for other in families.iter().filter(|name| *name != family && *name != OFFSETS) {
        if !is_empty(&theirs, other)? {
            let reason = match other.as_str() {
                PLAIN => "it holds values without timestamps",
                _ => "it holds values of another kind",
            };
            return Ok(Import::Refused(reason));
        }
    }
    if !families.iter().any(|name| name == family) {
        return Ok(Import::Refused("it holds values of another kind"));
    }
    let offset = match families.iter().any(|name| name == OFFSETS) {
        true => offset_within(&theirs, changelog)?,
        false => offset_beside(task, changelog)?,
    };
    let Some(offset) = offset else {
        return Ok(Import::Refused("it was not closed in good order"));
    };
    copy(iterator(&theirs, family)?, offset, ours)?;
    Ok(Import::Done { offset })
}

fn iterator<'a>(database: &'a DB, family: &str) -> Result<DBRawIterator<'a>, Cause> {
    let family = database.cf_handle(family).ok_or("a column family is missing")?;
    let mut entries = database.raw_iterator_cf(family);
    entries.seek_to_first();
    entries.status()?;
    Ok(entries)
}

fn is_empty(database: &DB, family: &str) -> Result<bool, Cause> {
    Ok(!iterator(database, family)?.valid())
}

/// The offset that the store itself tells, if it was closed.
fn offset_within(database: &DB, changelog: &TopicPartition) -> Result<Option<i64>, Cause> {
    let family = database.cf_handle(OFFSETS).ok_or("a column family is missing")?;
    let number = |key: &str| -> Result<Option<i64>, Cause> {
        let bytes = database.get_pinned_cf(family, key)?;
        Ok(bytes.and_then(|bytes| bytes.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))))
    };
    if number(STATUS)? != Some(CLOSED) {
        return Ok(None);
    }
    let offset = number(&format!("{}-{}", changelog.topic, changelog.partition))?;
    Ok(offset.filter(|offset| *offset >= 0))
}

/// The offset that the checkpoint file of the task tells: a version, a count, then lines of topic, partition and offset.
fn offset_beside(task: &Path, changelog: &TopicPartition) -> Result<Option<i64>, Cause> {
    let text = match fs::read_to_string(task.join(".checkpoint")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let mut lines = text.lines();
    if lines.next() != Some("0") {
        return Ok(None);
    }
    let partition = changelog.partition.to_string();
    let offset = lines.skip(1).find_map(|line| {
        let mut words = line.split_whitespace();
        let is_it = words.next() == Some(&*changelog.topic) && words.next() == Some(&*partition);
        is_it.then(|| words.next()?.parse::<i64>().ok()).flatten()
    });
    Ok(offset.filter(|offset| *offset >= 0))
}

/// Copies in chunks. The offset comes with the last one: until then ours counts as nothing.
fn copy(mut entries: DBRawIterator<'_>, offset: i64, ours: &mut dyn Engine) -> Result<(), Cause> {
    let mut chunk: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    while let Some((key, value)) = entries.item() {
        bytes += key.len() + value.len();
        chunk.push((key.to_vec(), value.to_vec()));
        if bytes >= CHUNK_BYTES {
            write(&mut chunk, None, ours)?;
            bytes = 0;
        }
        entries.next();
    }
    entries.status()?;
    write(&mut chunk, Some(offset), ours)
}

fn write(chunk: &mut Vec<(Vec<u8>, Vec<u8>)>, offset: Option<i64>, ours: &mut dyn Engine) -> Result<(), Cause> {
    let mut writes = chunk.iter().map(|(key, value)| (&**key, Some(&**value)));
    ours.write(Batch {
        drop_before: None,
        writes: &mut writes,
        offset,
        changelog_id: None,
        positions: &[],
    })?;
    chunk.clear();
    Ok(())
}
