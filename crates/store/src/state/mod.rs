//! One store of one task as bytes: the write path in one place.
//!
//! A write goes into the cache, or straight on: to the changelog and into the write buffer. What leaves the cache takes the
//! same way later. At commit the buffer goes to the engine, together with the changelog offset. Reads look into cache,
//! buffer and engine, in this order.

mod below;
mod cache;
mod flushed;
pub mod kind;
mod list;
mod merge;
mod scan;
mod seen;
mod timed;

#[cfg(test)]
mod tests;

use crate::context::RecordContext;
use crate::engine::Engine;
use crate::error::Result;
use crate::identity::Identity;
use crate::layout::timed::Rows;
use crate::output::Output;
use crate::range::{KeyRange, Order};
use crate::record::ChangelogRecord;
use crate::spec::{Changelog, ChangelogId, Kind};
use crate::state::below::{Below, Passed};
use crate::state::cache::{Cache, Entry, Taken};
use crate::state::flushed::Waiting;
use crate::state::kind::Row;
use crate::storage::{Lease, StoreReader};
use crate::table::Slot;

pub use cache::CacheBudget;
pub use flushed::Flushed;
pub use merge::Range;
pub use scan::{Keys, Scan, Scanned};
pub use timed::{Closed, TimedRow};

/// Restored records are handed to the engine when this many bytes of them wait.
const RESTORE_BYTES: usize = 4 << 20;

/// What a task lends to a store operation that may write: where changelog records go, and the record being processed.
pub struct Write<'a> {
    /// Takes the changelog records.
    pub output: &'a mut dyn Output,
    /// Where the record being processed came from.
    pub context: &'a RecordContext,
}

/// Which changes a cached store hands out when they leave its cache.
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

/// One store of one task. Values are bytes in the layout of the store's [`Kind`]: a timestamped store's begin with eight
/// bytes of timestamp, see [`layout`](crate::layout).
///
/// The store calls nobody. Changes that an operation with a [`Write`] pushed out of the cache wait in
/// [`next_flushed`](Self::next_flushed); at commit, [`flush_next`](Self::flush_next) hands out the rest one by one.
pub struct State {
    cache: Option<Cache>,
    below: Below,
    forward: Forward,
    waiting: Waiting,
    /// The value read last, where it is not lent by the cache.
    value: Vec<u8>,
    /// The row read or written last, in stores of rows.
    scratch: Row,
    /// The entry flushed last, if that took it out of the cache.
    left: Option<Taken>,
    /// The bytes of the row of a window or session store that is at work.
    row: Vec<u8>,
    /// The latest time put into the cache of such a store.
    cached_to: Option<i64>,
    _lease: Option<Lease>,
}

/// The parts of a store, put together by the storage.
pub(crate) struct Parts<'a> {
    pub(crate) identity: Identity,
    pub(crate) changelog: Option<Changelog>,
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) cache: Option<&'a CacheBudget>,
    pub(crate) lease: Option<Lease>,
}

impl State {
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self> {
        Ok(Self {
            cache: parts
                .cache
                .map(|budget| Cache::new(budget, Rows::of(parts.identity.kind))),
            below: Below::new(parts.identity, parts.changelog, parts.engine)?,
            forward: Forward::default(),
            waiting: Waiting::default(),
            value: Vec::new(),
            scratch: Row::default(),
            left: None,
            row: Vec::new(),
            cached_to: None,
            _lease: parts.lease,
        })
    }

    /// A store whose entries another thread writes.
    pub(crate) fn reader(identity: Identity, engine: Box<dyn Engine>) -> Result<Self> {
        let state = Self::new(Parts {
            identity,
            changelog: None,
            engine,
            cache: None,
            lease: None,
        })?;
        Ok(Self {
            below: state.below.read_only(),
            ..state
        })
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.below.identity().store
    }

    /// The task's id.
    pub fn task(&self) -> &str {
        &self.below.identity().task
    }

    /// The store's kind.
    pub fn kind(&self) -> Kind {
        self.below.identity().kind
    }

    /// The changelog that the store was opened with.
    pub fn changelog(&self) -> Option<&Changelog> {
        self.below.changelog()
    }

    /// The id of the changelog's topic that the store was built from; `None` if nobody said.
    pub fn changelog_id(&self) -> Option<ChangelogId> {
        self.below.changelog_id()
    }

    /// Says which topic the changelog is. It is kept with the next commit.
    pub fn identify(&mut self, changelog: ChangelogId) {
        self.below.identify(changelog);
    }

    /// Whether writes pass through the record cache, and so changes are handed out when they leave it.
    pub fn is_cached(&self) -> bool {
        self.cache.is_some()
    }

    /// Says which changes are handed out when they leave the cache.
    pub fn forward(&mut self, forward: Forward) {
        self.forward = forward;
    }

    /// The value of `key`. In a cached store a miss fills the cache, which may push other entries out: hence `write`.
    pub fn get(&mut self, write: &mut Write<'_>, key: &[u8]) -> Result<Option<&[u8]>> {
        let found = match &mut self.cache {
            Some(cache) => cache.touch(key),
            None => None,
        };
        if let Some(slot) = found {
            return Ok(self.cache.as_ref().and_then(|cache| cache.at(slot)?.value()));
        }
        if !self.below.read(key, &mut self.value)? {
            return Ok(None);
        }
        if let Some(cache) = &mut self.cache
            && !cache.is_idle()
        {
            cache.fill(key, &self.value);
            self.evict(write.output)?;
        }
        Ok(Some(&self.value))
    }

    /// The value of `key`, seen from outside of processing: the cache is looked into, not changed.
    pub fn peek(&mut self, key: &[u8]) -> Result<Option<&[u8]>> {
        if let Some(cache) = &self.cache
            && let Some(slot) = cache.find(key)
        {
            return Ok(cache.at(slot).and_then(|entry| entry.value()));
        }
        Ok(self.below.read(key, &mut self.value)?.then_some(&self.value))
    }

    /// The value of `key` as of the last commit.
    pub fn peek_committed(&mut self, key: &[u8]) -> Result<Option<&[u8]>> {
        Ok(self.below.read_committed(key, &mut self.value)?.then_some(&self.value))
    }

    /// Makes handles with which other threads read what is committed; `None` if the store's entries are its own alone, as
    /// they are in memory.
    pub fn share(&self) -> Option<StoreReader> {
        self.below.share()
    }

    /// Sets or, with `None`, deletes the value of `key`.
    pub fn put(&mut self, write: &mut Write<'_>, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let Some(cache) = &mut self.cache else {
            return self.below.write(write.output, key, value, write.context);
        };
        if cache.is_idle() {
            let change = Flushed {
                key,
                new: value,
                old: None,
                context: write.context,
            };
            let passed = self.below.flush(write.output, self.forward, change)?;
            self.waiting.push(change, passed, self.below.old());
            return Ok(());
        }
        cache.put(key, value, write.context);
        self.evict(write.output)
    }

    /// The entries of a range as they are now: the borrow keeps them so.
    pub fn range(&mut self, range: &KeyRange, order: Order) -> Result<Range<'_>> {
        self.index();
        self.indexed_range(range, order)
    }

    /// The entries of a range as of the last commit.
    pub fn range_committed(&mut self, range: &KeyRange, order: Order) -> Result<Range<'_>> {
        self.below.range_committed(range, order)
    }

    /// Prepares for [`indexed_range`](Self::indexed_range).
    fn index(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.index();
        }
        self.below.index();
    }

    fn indexed_range(&self, range: &KeyRange, order: Order) -> Result<Range<'_>> {
        self.below.indexed_range(range, order, self.cached_range(range, order))
    }

    /// Like [`indexed_range`](Self::indexed_range), where the engine has nothing.
    fn unsaved_range(&self, range: &KeyRange, order: Order) -> Range<'_> {
        self.below.unsaved_range(range, order, self.cached_range(range, order))
    }

    fn cached_range(&self, range: &KeyRange, order: Order) -> Option<merge::Entries<'_, Entry>> {
        self.cache.as_ref().map(|cache| merge::Entries {
            table: cache.entries(),
            slots: cache.entries().range(range, order),
            value: Entry::value,
            visited: Some(cache.visited()),
        })
    }

    /// About how many entries there are, not counting what is only in the cache; exact in memory.
    pub fn approximate_entries(&self) -> Result<u64> {
        self.below.approximate_entries()
    }

    /// Writes all dirty entries of the cache to the changelog and into the write buffer, in the order of each entry's last
    /// write. Changes that are to be forwarded wait in [`next_flushed`](Self::next_flushed).
    pub fn flush(&mut self, output: &mut dyn Output) -> Result<()> {
        while let Some((slot, passed)) = self.flush_one(output)? {
            if let Some(change) = change(self.cache.as_ref(), self.left.as_ref(), slot) {
                self.waiting.push(change, passed, self.below.old());
            }
        }
        kind::flush(&mut self.below, output)
    }

    /// Like [`flush`](Self::flush), but hands out each change that is to be forwarded, so that no list of them is made.
    /// What evictions left comes first; `None` says that all is flushed.
    pub fn flush_next(&mut self, output: &mut dyn Output) -> Result<Option<Flushed<'_>>> {
        if self.waiting.has_next() {
            return Ok(self.waiting.next());
        }
        self.release_forwarded();
        while let Some((slot, passed)) = self.flush_one(output)? {
            if passed != Passed::Nothing {
                let change = change(self.cache.as_ref(), self.left.as_ref(), slot);
                let old = (passed == Passed::ChangeWithOld).then(|| self.below.old());
                return Ok(change.map(|change| Flushed { old, ..change }));
            }
        }
        Ok(None)
    }

    /// Whether [`next_flushed`](Self::next_flushed) has something.
    pub fn has_flushed(&self) -> bool {
        self.waiting.has_next()
    }

    /// The next of the changes that were pushed out of the cache.
    pub fn next_flushed(&mut self) -> Option<Flushed<'_>> {
        self.release_forwarded();
        self.waiting.next()
    }

    /// What was evicted weighs nothing any more once all of it is forwarded: whoever asks for the next change is done with
    /// the one before.
    fn release_forwarded(&mut self) {
        if self.waiting.has_next() {
            return;
        }
        self.waiting.clear();
        if let Some(cache) = &mut self.cache {
            cache.release();
        }
    }

    /// Makes everything that was flushed durable: the buffered writes and the changelog offset in one atomic batch.
    /// `None` keeps the offset. Call it when the changelog records are acknowledged and the input offsets committed.
    pub fn commit(&mut self, changelog_offset: Option<i64>) -> Result<()> {
        self.below.commit(changelog_offset)
    }

    /// Like [`commit`](Self::commit), for a global store: what goes with the writes is where the reading of each partition
    /// goes on that fills it. False, and nothing is done, while readers hold what would be written to: try again.
    pub fn commit_positions(&mut self, positions: &[(String, i64)]) -> Result<bool> {
        self.below.commit_positions(positions)
    }

    /// Where the reading of this partition goes on, as of the last [`commit_positions`](Self::commit_positions).
    pub fn position(&self, partition: &str) -> Result<Option<i64>> {
        self.below.position(partition)
    }

    /// Lets a reader of a global store see what was committed since the last call. It sees whole commits only.
    pub fn refresh(&mut self) {
        self.below.refresh();
    }

    /// Forgets what was not committed, in cache and buffer: the store is as it was at the last commit.
    pub fn discard(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.clear();
        }
        self.waiting.clear();
        self.below.discard();
    }

    /// The offset of the last changelog record that the store holds, counting records restored since the last commit.
    pub fn offset(&self) -> Option<i64> {
        self.below.offset()
    }

    /// Applies changelog records. `last_offset` is that of the last one. They
    /// become durable in large batches on the way, and all of them at the next commit: `commit(None)` ends a restoration.
    pub fn restore<'r>(
        &mut self,
        records: impl IntoIterator<Item = impl Into<ChangelogRecord<'r>>>,
        last_offset: i64,
    ) -> Result<()> {
        if let Some(cache) = &mut self.cache {
            cache.clear();
        }
        for record in records {
            self.below.restore(&record.into())?;
        }
        self.below.restored_to(last_offset);
        if self.below.buffered_bytes() >= RESTORE_BYTES {
            self.below.commit(None)?;
        }
        Ok(())
    }

    /// Bytes that wait in the write buffer for the next commit, about.
    pub fn buffered_bytes(&self) -> usize {
        self.below.buffered_bytes()
    }

    /// Closes the store. What was committed becomes durable beyond a crash of the machine; what was not is gone.
    pub fn close(mut self) -> Result<()> {
        self.below.close()
    }

    /// Pushes entries out while the thread's stores are above their budget. The first dirty one takes all dirty ones along.
    fn evict(&mut self, output: &mut dyn Output) -> Result<()> {
        let on_the_way = self.cache.as_ref().map_or(0, Cache::held);
        while let Some(cache) = &mut self.cache
            && let Some(left) = cache.evict(on_the_way)
        {
            if left.dirty {
                let change = left.change(cache.context());
                let passed = self.below.flush(output, self.forward, change)?;
                self.waiting.push(change, passed, self.below.old());
                self.flush(output)?;
            }
        }
        // The last change that was handed out may be on its way still: this may be a lookup by a node below.
        if self.waiting.is_empty() {
            self.release_forwarded();
        }
        Ok(())
    }

    /// Writes the next dirty entry of the cache. A deletion leaves the cache by that.
    fn flush_one(&mut self, output: &mut dyn Output) -> Result<Option<(Slot, Passed)>> {
        let Some(cache) = &mut self.cache else {
            return Ok(None);
        };
        let Some(slot) = cache.clean_next() else {
            return Ok(None);
        };
        self.left = match cache.at(slot).and_then(Entry::value) {
            Some(_) => None,
            None => cache.take(slot),
        };
        let Some(change) = change(self.cache.as_ref(), self.left.as_ref(), slot) else {
            return Ok(None);
        };
        let passed = self.below.flush(output, self.forward, change)?;
        Ok(Some((slot, passed)))
    }
}

/// The change that an entry stands for: the one that just left the cache, or else the one in this slot.
fn change<'a>(cache: Option<&'a Cache>, left: Option<&'a Taken>, slot: Slot) -> Option<Flushed<'a>> {
    match left {
        Some(left) => Some(left.change(cache?.context())),
        None => cache?.change(slot),
    }
}
