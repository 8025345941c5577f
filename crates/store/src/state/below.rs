//! What lies below the cache: the changelog, the buffer of writes that wait for the next commit, and the engine.

use std::mem;

use crate::context::RecordContext;
use crate::engine::{Batch, Cause, Cursor, Engine};
use crate::error::{Error, Result};
use crate::fault;
use crate::identity::Identity;
use crate::layout;
use crate::layout::timed::{Rest, Rows, SEEN};
use crate::output::{Output, OutputRecord, TopicId};
use crate::range::{KeyRange, Order};
use crate::record::{ChangelogRecord, Logged, NO_HEADERS};
use crate::small::Small;
use crate::spec::{Changelog, ChangelogId};
use crate::state::Forward;
use crate::state::cache::Entry;
use crate::state::flushed::Flushed;
use crate::state::kind::{self, DirtyKeys};
use crate::state::merge::{self, Range};
use crate::state::seen::{Part, Seen};
use crate::storage::StoreReader;
use crate::table::{Slots, Table};

/// What a key and its value weigh in the buffer beside their bytes, roughly.
const ENTRY_BYTES: usize = 80;

pub(super) struct Below {
    identity: Identity,
    changelog: Option<Changelog>,
    /// The changelog's id at the output, asked for at the first write.
    topic: Option<TopicId>,
    buffer: Table<Option<Small>>,
    buffered_bytes: usize,
    engine: Box<dyn Engine>,
    offset: Option<i64>,
    /// The changelog's id, where the engine does not know it yet.
    unsaved_id: Option<ChangelogId>,
    /// Of window and session stores: the times seen.
    seen: Option<Seen>,
    /// Of versioned stores: how many versions came too late.
    pub(super) too_old: u64,
    /// The changelog key of the row being logged.
    logged: Vec<u8>,
    /// The value before the change being flushed.
    old: Vec<u8>,
    /// The keys that are logged at the next flush, in stores that log no sooner.
    pub(super) dirty: DirtyKeys,
    /// A write failed half-way: the changelog may lack what the buffer has.
    failed: bool,
    /// The entries are another thread's.
    read_only: bool,
}

/// What of a flushed change is to be forwarded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    Nothing,
    Change,
    ChangeWithOld,
}

impl Below {
    pub(super) fn new(identity: Identity, changelog: Option<Changelog>, engine: Box<dyn Engine>) -> Result<Self> {
        let seen = Seen::load(identity.kind, identity.engine, &*engine);
        let seen = seen.map_err(|cause| identity.failed_to("read", cause))?;
        Ok(Self {
            seen,
            too_old: 0,
            logged: Vec::new(),
            identity,
            changelog,
            topic: None,
            buffer: Table::default(),
            buffered_bytes: 0,
            offset: engine.offset(),
            unsaved_id: None,
            engine,
            old: Vec::new(),
            dirty: DirtyKeys::default(),
            failed: false,
            read_only: false,
        })
    }

    /// The same, to be read only.
    pub(super) fn read_only(self) -> Self {
        Self {
            read_only: true,
            ..self
        }
    }

    /// The times that a window or session store has seen.
    pub(super) fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    pub(super) fn seen_mut(&mut self) -> Option<&mut Seen> {
        self.seen.as_mut()
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn changelog(&self) -> Option<&Changelog> {
        self.changelog.as_ref()
    }

    pub(super) fn offset(&self) -> Option<i64> {
        self.offset
    }

    pub(super) fn changelog_id(&self) -> Option<ChangelogId> {
        self.unsaved_id.or(self.engine.changelog_id())
    }

    pub(super) fn identify(&mut self, id: ChangelogId) {
        self.unsaved_id = Some(id).filter(|id| self.engine.changelog_id() != Some(*id));
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// Copies the value of `key` into `value`, which is emptied first. Says whether there is one. What is too old in a
    /// window or session store is not seen.
    pub(super) fn read(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        value.clear();
        if let Some(seen) = &self.seen
            && seen.rows.row(key).is_none_or(|row| row.time <= seen.horizon())
        {
            return Ok(false);
        }
        self.read_any(key, value)
    }

    /// Like [`read`](Self::read), however old.
    pub(super) fn read_any(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        value.clear();
        if let Some(buffered) = self.buffer.get(key) {
            value.extend_from_slice(buffered.as_deref().unwrap_or_default());
            return Ok(buffered.is_some());
        }
        self.read_committed(key, value)
    }

    /// Like [`read_any`](Self::read_any), as of the last commit.
    pub(super) fn read_committed(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        value.clear();
        let read = self.engine.get(key, value);
        read.map_err(|cause| self.identity.failed_to("read", cause))
    }

    /// Makes readers of what is committed.
    pub(super) fn share(&self) -> Option<StoreReader> {
        Some(StoreReader::new(self.identity.clone(), self.engine.share()?))
    }

    /// Logs and buffers a write.
    pub(super) fn write(
        &mut self,
        output: &mut dyn Output,
        key: &[u8],
        value: Option<&[u8]>,
        context: &RecordContext,
    ) -> Result<()> {
        let part = if self.is_index(key) { Part::Index } else { Part::Put };
        self.write_part(output, (key, value), context, part)
    }

    /// Whether these are the bytes of a row that stands for another one in the order of time.
    fn is_index(&self, key: &[u8]) -> bool {
        self.seen.is_some() && !Rows::is_by_key(key)
    }

    fn write_part(
        &mut self,
        output: &mut dyn Output,
        (key, value): (&[u8], Option<&[u8]>),
        context: &RecordContext,
        part: Part,
    ) -> Result<()> {
        if self.failed {
            return Err(self.identity.failed());
        }
        if self.read_only {
            return Err(self.identity.read_only());
        }
        if let Some(Changelog::Own(_)) = &self.changelog
            && part != Part::Index
        {
            let logged = self.log(output, key, value, context);
            self.failed = logged.is_err();
            logged?;
        }
        if let Some(seen) = &mut self.seen {
            let row = seen.rows.row(key).ok_or_else(|| self.identity.malformed())?;
            // A deletion of a duplicate deletes nothing, it is only logged. Java's stores in memory still take note of its time.
            let is_void = seen.rows.rest == Rest::Sequence && value.is_none();
            let is_noted = !is_void || seen.in_memory;
            let is_admitted = is_noted && seen.admits(row, part);
            if is_void || !is_admitted {
                return Ok(());
            }
        }
        self.buffer(key, value);
        Ok(())
    }

    /// Like [`write`](Self::write), for the deletion of a row that may be too old to be there.
    pub(super) fn remove(&mut self, output: &mut dyn Output, key: &[u8], context: &RecordContext) -> Result<()> {
        self.write_part(output, (key, None), context, Part::Removal)
    }

    /// Writes a change that left the cache, and says what of it is to be forwarded. A deletion of what was never there is
    /// neither written nor forwarded if anybody listens.
    pub(super) fn flush(&mut self, output: &mut dyn Output, forward: Forward, change: Flushed<'_>) -> Result<Passed> {
        if forward == Forward::Nothing || self.is_index(change.key) {
            self.write(output, change.key, change.new, change.context)?;
            return Ok(Passed::Nothing);
        }
        let mut old = mem::take(&mut self.old);
        let wanted = forward == Forward::NewAndOld;
        let existed = (wanted || change.new.is_none()) && self.read(change.key, &mut old)?;
        self.old = old;
        if change.new.is_none() && !existed {
            return Ok(Passed::Nothing);
        }
        self.write(output, change.key, change.new, change.context)?;
        Ok(if wanted && existed {
            Passed::ChangeWithOld
        } else {
            Passed::Change
        })
    }

    /// The value before the change flushed last, if that passed [`Passed::ChangeWithOld`].
    pub(super) fn old(&self) -> &[u8] {
        &self.old
    }

    /// Applies a changelog record.
    pub(super) fn restore(&mut self, record: &ChangelogRecord<'_>) -> Result<()> {
        if kind::restore(self, record)? {
            return Ok(());
        }
        let mut stored = mem::take(&mut self.old);
        stored.clear();
        if let Some(value) = record.value {
            layout::restored(self.identity.kind, value, record.timestamp, &mut stored);
        }
        let restored = self.restore_stored(record.key, record.value.map(|_| &*stored));
        self.old = stored;
        restored
    }

    fn restore_stored(&mut self, key: &[u8], stored: Option<&[u8]>) -> Result<()> {
        let Some(seen) = &mut self.seen else {
            self.buffer(key, stored);
            return Ok(());
        };
        let rows = seen.rows;
        let row = rows.restored(key).ok_or_else(|| self.identity.malformed())?;
        if !seen.admits_restored(row) {
            return Ok(());
        }
        let mut bytes = mem::take(&mut self.logged);
        rows.by_key(row, &mut bytes);
        self.buffer(&bytes, stored);
        if rows.by_time {
            rows.by_time(row, &mut bytes);
            self.buffer(&bytes, stored.map(|_| &[][..]));
        }
        self.logged = bytes;
        Ok(())
    }

    /// Has a key logged at the next flush.
    pub(super) fn mark_dirty(&mut self, key: &[u8]) {
        if let Some(Changelog::Own(_)) = &self.changelog {
            self.dirty.insert(key);
        }
    }

    /// The changelog is applied up to here.
    pub(super) fn restored_to(&mut self, offset: i64) {
        self.offset = Some(offset);
    }

    /// Hands the buffered writes and the offset to the engine as one batch.
    pub(super) fn commit(&mut self, changelog_offset: Option<i64>) -> Result<()> {
        if self.failed {
            return Err(self.identity.failed());
        }
        let offset = changelog_offset.or(self.offset);
        if let Some(seen) = self.seen.as_mut().and_then(Seen::take_changed) {
            self.buffer(&SEEN, Some(&seen));
        }
        if self.buffer.is_empty() && offset == self.engine.offset() && self.unsaved_id.is_none() {
            return Ok(());
        }
        fault::reach("store:1");
        let written = self.write_buffer(offset, &[]);
        written.map_err(|cause| self.identity.failed_to("write", cause))?;
        fault::reach("store:2");
        self.offset = offset;
        self.unsaved_id = None;
        if let Some(seen) = &mut self.seen {
            seen.committed();
        }
        self.clear();
        Ok(())
    }

    /// Hands the buffered writes to the engine, together with where the reading of partitions goes on. False if readers
    /// hold what that would be written to.
    pub(super) fn commit_positions(&mut self, positions: &[(String, i64)]) -> Result<bool> {
        if !self.engine.is_free() {
            return Ok(false);
        }
        let written = self.write_buffer(None, positions);
        written.map_err(|cause| self.identity.failed_to("write", cause))?;
        if let Some(seen) = &mut self.seen {
            seen.committed();
        }
        self.clear();
        Ok(true)
    }

    pub(super) fn position(&self, partition: &str) -> Result<Option<i64>> {
        let read = self.engine.position(partition);
        read.map_err(|cause| self.identity.failed_to("read", cause))
    }

    /// Sees what was written by others.
    pub(super) fn refresh(&mut self) {
        self.engine.refresh();
    }

    fn write_buffer(&mut self, offset: Option<i64>, positions: &[(String, i64)]) -> std::result::Result<(), Cause> {
        let expired = self.seen.as_ref().and_then(Seen::expired);
        if let Some(expired) = &expired {
            self.buffer.remove_before(expired);
        }
        let changelog_id = self.unsaved_id;
        let drop_before = expired.as_ref().map(<[u8; 8]>::as_slice);
        let mut writes = self.buffer.slots().map(|(_, key, value)| (key, value.as_deref()));
        if !self.engine.wants_order() {
            let writes = &mut writes;
            return self.engine.write(Batch {
                drop_before,
                writes,
                offset,
                changelog_id,
                positions,
            });
        }
        let mut sorted: Vec<(&[u8], Option<&[u8]>)> = writes.collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        let writes = &mut sorted.into_iter();
        self.engine.write(Batch {
            drop_before,
            writes,
            offset,
            changelog_id,
            positions,
        })
    }

    /// Forgets what was not committed.
    pub(super) fn discard(&mut self) {
        self.clear();
        self.dirty.clear();
        self.offset = self.engine.offset();
        self.topic = None;
        self.failed = false;
        self.forget_seen();
    }

    pub(super) fn approximate_entries(&self) -> Result<u64> {
        let mut buffered = self.buffer.slots().map(|(_, key, value)| (key, value.is_some()));
        let entries = self.engine.approximate_entries(&mut buffered);
        entries.map_err(|cause| self.identity.failed_to("read", cause))
    }

    /// Prepares for [`indexed_range`](Self::indexed_range).
    pub(super) fn index(&mut self) {
        self.buffer.index();
        self.engine.index();
    }

    /// The entries of a range; `cached` lie above all others.
    pub(super) fn indexed_range<'a>(
        &'a self,
        range: &KeyRange,
        order: Order,
        cached: Option<merge::Entries<'a, Entry>>,
    ) -> Result<Range<'a>> {
        let resting = self.resting(range, order)?;
        Ok(self.layers(order, cached, self.buffer.range(range, order), resting))
    }

    /// The entries of a range of which the engine has nothing.
    pub(super) fn unsaved_range<'a>(
        &'a self,
        range: &KeyRange,
        order: Order,
        cached: Option<merge::Entries<'a, Entry>>,
    ) -> Range<'a> {
        self.layers(order, cached, self.buffer.range(range, order), None)
    }

    fn resting(&self, range: &KeyRange, order: Order) -> Result<Option<Box<dyn Cursor + '_>>> {
        if range.is_empty() {
            return Ok(None);
        }
        let cursor = self.engine.range(range, order);
        Ok(Some(cursor.map_err(|cause| self.identity.failed_to("read", cause))?))
    }

    fn layers<'a>(
        &'a self,
        order: Order,
        cached: Option<merge::Entries<'a, Entry>>,
        slots: Slots<'a>,
        resting: Option<Box<dyn Cursor + 'a>>,
    ) -> Range<'a> {
        let buffered = merge::Entries {
            table: &self.buffer,
            slots,
            value: |value: &Option<Small>| value.as_deref(),
            visited: None,
        };
        Range::new(&self.identity, order, cached, buffered, resting)
    }

    /// The entries of a range as of the last commit.
    pub(super) fn range_committed(&mut self, range: &KeyRange, order: Order) -> Result<Range<'_>> {
        self.engine.index();
        let nothing = KeyRange::between(Some(b"1"), Some(b"0"));
        let resting = self.resting(range, order)?;
        Ok(self.layers(order, None, self.buffer.range(&nothing, order), resting))
    }

    /// The rows of a range, in the order of their keys.
    pub(super) fn rows(&mut self, range: &KeyRange) -> Result<Range<'_>> {
        self.index();
        self.indexed_range(range, Order::Forward, None)
    }

    pub(super) fn close(&mut self) -> Result<()> {
        let closed = self.engine.close();
        closed.map_err(|cause| self.identity.failed_to("close", cause))
    }

    fn log(
        &mut self,
        output: &mut dyn Output,
        key: &[u8],
        value: Option<&[u8]>,
        context: &RecordContext,
    ) -> Result<()> {
        let mut logged = mem::take(&mut self.logged);
        let key = match &self.seen {
            None => key,
            Some(seen) => {
                let row = seen.rows.row(key).ok_or_else(|| self.identity.malformed())?;
                seen.rows.logged(row, &mut logged);
                &logged
            }
        };
        let (value, timestamp) = match value {
            Some(stored) => {
                let parts = layout::logged(self.identity.kind, stored, context.timestamp);
                let (value, timestamp) = parts.ok_or_else(|| self.identity.malformed())?;
                (Some(value), timestamp)
            }
            None => (None, context.timestamp),
        };
        let record = Logged {
            key,
            value,
            timestamp: Some(timestamp),
            headers: &NO_HEADERS,
        };
        let sent = self.send(output, record);
        self.logged = logged;
        sent
    }

    /// Sends a record to the changelog, if the store has one of its own.
    pub(super) fn send(&mut self, output: &mut dyn Output, record: Logged<'_>) -> Result<()> {
        let Some(Changelog::Own(changelog)) = &self.changelog else {
            return Ok(());
        };
        if self.failed {
            return Err(self.identity.failed());
        }
        let topic = *self.topic.get_or_insert_with(|| output.topic(&changelog.topic));
        if let Some(timestamp) = record.timestamp.filter(|timestamp| *timestamp < 0) {
            self.failed = true;
            return Err(Error::NegativeTimestamp {
                store: self.identity.store.clone(),
                timestamp,
            });
        }
        let sent = output.send(OutputRecord {
            topic,
            partition: Some(changelog.partition),
            key: Some(record.key),
            value: record.value,
            timestamp: record.timestamp,
            headers: record.headers,
            sender: &self.identity.store,
        });
        self.failed = sent.is_err();
        sent.map_err(|source| Error::Changelog {
            store: self.identity.store.clone(),
            source,
        })
    }

    /// Buffers a write, without logging it.
    pub(super) fn buffer(&mut self, key: &[u8], value: Option<&[u8]>) {
        let bytes = value.map_or(0, <[u8]>::len);
        let Some(slot) = self.buffer.find(key) else {
            self.buffer.insert_new(key, value.map(Small::from));
            self.buffered_bytes += ENTRY_BYTES + key.len() + bytes;
            return;
        };
        let Some(held) = self.buffer.at_mut(slot) else { return };
        self.buffered_bytes = self.buffered_bytes + bytes - held.as_ref().map_or(0, |held| held.len());
        match (held, value) {
            (Some(held), Some(value)) => held.set(value),
            (held, value) => *held = value.map(Small::from),
        }
    }

    /// The times as they were at the last commit; the count of what came too late goes on.
    fn forget_seen(&mut self) {
        let Some(seen) = &self.seen else { return };
        let dropped = seen.dropped;
        match Seen::load(self.identity.kind, self.identity.engine, &*self.engine) {
            Ok(Some(seen)) => self.seen = Some(seen.counting_from(dropped)),
            Ok(None) => {}
            Err(cause) => {
                tracing::error!(store = %self.identity.store, %cause, "could not read the times seen by a store");
                self.failed = true;
            }
        }
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.buffered_bytes = 0;
    }
}
