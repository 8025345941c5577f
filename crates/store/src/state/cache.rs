//! The record cache of one store: the latest value per key, until it is evicted or flushed.
//!
//! All stores of a stream thread share a budget of bytes. Two lists run through the entries: one by last use, which says
//! who is evicted first, and one of the dirty entries by last write, which is the order in which they are flushed. Sizes
//! are counted as Kafka Streams counts them, so that the same budget evicts at the same record.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::context::RecordContext;
use crate::range::KeyRange;
use crate::state::flushed::Flushed;
use crate::state::list::{By, Links, List};
use crate::table::{NONE, Slot, Table};

/// The bytes that all cached stores of one stream thread share. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct CacheBudget(Arc<Account>);

#[derive(Debug)]
struct Account {
    total: AtomicUsize,
    used: AtomicUsize,
}

impl CacheBudget {
    /// A budget of this many bytes; with 0 every write passes straight through.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Account {
            total: AtomicUsize::new(bytes),
            used: AtomicUsize::new(0),
        }))
    }

    /// The bytes in total.
    pub fn total(&self) -> usize {
        self.0.total.load(Ordering::Relaxed)
    }

    /// The bytes in use.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Changes the total. Stores above it shrink at their next write.
    pub fn resize(&self, bytes: usize) {
        self.0.total.store(bytes, Ordering::Relaxed);
    }

    fn is_exceeded(&self) -> bool {
        self.used() > self.total()
    }

    fn change(&self, before: usize, after: usize) {
        if after > before {
            self.0.used.fetch_add(after - before, Ordering::Relaxed);
        } else if before > after {
            self.0.used.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

/// What an entry weighs beside key, value, topic and headers: three references and the dirty mark, then timestamp, offset
/// and partition of its record.
const ENTRY_BYTES: usize = 3 * 8 + 1 + 8 + 8 + 4;

/// One cached value.
pub(super) struct Entry {
    value: Vec<u8>,
    deleted: bool,
    dirty: bool,
    used: Links,
    written: Links,
    context: RecordContext,
}

impl Entry {
    /// The value; `None` is a deletion that was not flushed yet.
    pub(super) fn value(&self) -> Option<&[u8]> {
        (!self.deleted).then_some(&self.value)
    }

    fn change<'a>(&'a self, key: &'a [u8]) -> Flushed<'a> {
        Flushed {
            key,
            new: self.value(),
            old: None,
            context: &self.context,
        }
    }

    fn set(&mut self, value: Option<&[u8]>) {
        self.value.clear();
        self.value.extend_from_slice(value.unwrap_or_default());
        self.deleted = value.is_none();
    }

    fn bytes(&self) -> usize {
        let topic = self.context.topic.as_ref().map_or(0, |topic| topic.len());
        let headers = &self.context.headers;
        let headers = headers
            .iter()
            .map(|header| header.key.len() + header.value.as_ref().map_or(0, |value| value.len()));
        self.value.len() + topic + headers.sum::<usize>()
    }
}

struct Used;

impl By<Entry> for Used {
    fn links(entry: &mut Entry) -> &mut Links {
        &mut entry.used
    }
}

struct Written;

impl By<Entry> for Written {
    fn links(entry: &mut Entry) -> &mut Links {
        &mut entry.written
    }
}

/// An entry that left the cache.
pub(super) struct Taken {
    pub(super) key: Box<[u8]>,
    pub(super) entry: Entry,
    pub(super) dirty: bool,
}

impl Taken {
    pub(super) fn change(&self) -> Flushed<'_> {
        self.entry.change(&self.key)
    }
}

/// The record cache of one store.
pub(super) struct Cache {
    budget: CacheBudget,
    bytes: usize,
    entries: Table<Entry>,
    /// Latest use first.
    used: List<Entry, Used>,
    /// The dirty ones, earliest write first.
    written: List<Entry, Written>,
    /// The entry touched last: a put mostly follows a get of the same key.
    recent: Slot,
}

impl Cache {
    pub(super) fn new(budget: &CacheBudget) -> Self {
        Self {
            budget: budget.clone(),
            bytes: 0,
            entries: Table::default(),
            used: List::default(),
            written: List::default(),
            recent: NONE,
        }
    }

    /// Whether nothing can stay here: writes may as well pass by.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.budget.total() == 0
    }

    /// The slot of `key`, which becomes the one used last.
    pub(super) fn touch(&mut self, key: &[u8]) -> Option<Slot> {
        let slot = if self.entries.holds(self.recent, key) {
            self.recent
        } else {
            self.entries.find(key)?
        };
        self.recent = slot;
        self.used.move_to_front(&mut self.entries, slot);
        Some(slot)
    }

    /// The slot of `key`, left where it is.
    pub(super) fn find(&self, key: &[u8]) -> Option<Slot> {
        self.entries.find(key)
    }

    pub(super) fn at(&self, slot: Slot) -> Option<&Entry> {
        self.entries.at(slot)
    }

    /// Adds a value that was read from below.
    pub(super) fn fill(&mut self, key: &[u8], value: &[u8]) -> Slot {
        self.add(key, Some(value), RecordContext::none(-1))
    }

    /// Sets a value, which becomes dirty, the one used last and the one written last.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>, context: &RecordContext) {
        let slot = match self.touch(key) {
            Some(slot) => {
                self.update(slot, value, context);
                slot
            }
            None => self.add(key, value, context.clone()),
        };
        let Some(entry) = self.entries.at_mut(slot) else { return };
        if entry.dirty {
            self.written.move_to_back(&mut self.entries, slot);
        } else {
            entry.dirty = true;
            self.written.push_back(&mut self.entries, slot);
        }
    }

    fn update(&mut self, slot: Slot, value: Option<&[u8]>, context: &RecordContext) {
        let Some(entry) = self.entries.at_mut(slot) else { return };
        let before = entry.bytes();
        entry.set(value);
        let held = &mut entry.context;
        // The topic hardly ever changes, and comparing is cheaper than counting references.
        if held.topic != context.topic {
            held.topic.clone_from(&context.topic);
        }
        if !(held.headers.is_empty() && context.headers.is_empty()) {
            held.headers.clone_from(&context.headers);
        }
        (held.partition, held.offset, held.timestamp) = (context.partition, context.offset, context.timestamp);
        let after = entry.bytes();
        self.bytes = self.bytes + after - before;
        self.budget.change(before, after);
    }

    fn add(&mut self, key: &[u8], value: Option<&[u8]>, context: RecordContext) -> Slot {
        let mut entry = Entry {
            value: Vec::new(),
            deleted: false,
            dirty: false,
            used: Links::default(),
            written: Links::default(),
            context,
        };
        entry.set(value);
        let bytes = ENTRY_BYTES + key.len() + entry.bytes();
        let slot = self.entries.insert_new(key, entry);
        self.used.push_front(&mut self.entries, slot);
        self.recent = slot;
        self.bytes += bytes;
        self.budget.change(0, bytes);
        slot
    }

    /// Takes out the entry that was not used for longest, if the thread's stores are above their budget.
    pub(super) fn evict(&mut self) -> Option<Taken> {
        if !self.budget.is_exceeded() {
            return None;
        }
        self.take(self.used.back()?)
    }

    /// The dirty entry that was written first; it is clean from now on. The caller has to [`take`](Self::take) a deletion
    /// out.
    pub(super) fn clean_next(&mut self) -> Option<Slot> {
        let slot = self.written.front()?;
        self.written.remove(&mut self.entries, slot);
        self.entries.at_mut(slot)?.dirty = false;
        Some(slot)
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Taken> {
        let dirty = self.entries.at(slot)?.dirty;
        if dirty {
            self.written.remove(&mut self.entries, slot);
        }
        self.used.remove(&mut self.entries, slot);
        let (key, entry) = self.entries.remove(slot)?;
        let bytes = ENTRY_BYTES + key.len() + entry.bytes();
        self.bytes -= bytes;
        self.budget.change(bytes, 0);
        if self.recent == slot {
            self.recent = NONE;
        }
        Some(Taken { key, entry, dirty })
    }

    /// The key and the entry in a slot.
    pub(super) fn entry(&self, slot: Slot) -> Option<(&[u8], &Entry)> {
        self.entries.entry(slot)
    }

    /// The change that the entry in a slot stands for.
    pub(super) fn change(&self, slot: Slot) -> Option<Flushed<'_>> {
        let (key, entry) = self.entries.entry(slot)?;
        Some(entry.change(key))
    }

    /// Drops everything, dirty or not.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.used = List::default();
        self.written = List::default();
        self.budget.change(self.bytes, 0);
        self.bytes = 0;
        self.recent = NONE;
    }

    /// Prepares for [`range`](Self::range).
    pub(super) fn index(&mut self) {
        self.entries.index();
    }

    /// The slots of a range in key order.
    pub(super) fn range<'a>(&'a self, range: &KeyRange) -> impl DoubleEndedIterator<Item = Slot> + use<'a> {
        self.entries.range(range)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.budget.change(self.bytes, 0);
    }
}
