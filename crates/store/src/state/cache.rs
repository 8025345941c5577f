//! The record cache of one store: the latest value per key, until it is evicted or flushed.
//!
//! All stores of a stream thread share a budget of bytes. Two lists run through the entries: one by last use, which says
//! who is evicted first, and one of the dirty entries by last write, which is the order in which they are flushed. Sizes
//! are counted as Kafka Streams counts them, so that the same budget evicts at the same record.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kstreams_wire::{Header, Headers, TopicName};

use crate::context::RecordContext;
use crate::layout::timed::Rows;
use crate::small::Small;
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

    fn is_exceeded_without(&self, bytes: usize) -> bool {
        self.used().saturating_sub(bytes) > self.total()
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

/// One cached value, and the record that wrote it last. It is kept small: a cache is as fast as its entries are close.
pub(super) struct Entry {
    value: Small,
    timestamp: i64,
    offset: i64,
    headers: Option<Box<Headers>>,
    /// The number of the record's [`Origin`].
    origin: u32,
    deleted: bool,
    dirty: bool,
}

/// Where records come from: the same few topic partitions again and again.
struct Origin {
    topic: Option<TopicName>,
    partition: i32,
}

impl Origin {
    fn is_of(&self, context: &RecordContext) -> bool {
        self.partition == context.partition && self.topic == context.topic
    }
}

impl Entry {
    /// The value; `None` is a deletion that was not flushed yet.
    pub(super) fn value(&self) -> Option<&[u8]> {
        (!self.deleted).then_some(&*self.value)
    }

    fn change<'a>(&'a self, key: &'a [u8], context: &'a RecordContext) -> Flushed<'a> {
        Flushed {
            key,
            new: self.value(),
            old: None,
            context,
        }
    }

    fn set(&mut self, value: Option<&[u8]>, context: &RecordContext, origin: u32) {
        self.value.set(value.unwrap_or_default());
        self.deleted = value.is_none();
        (self.timestamp, self.offset, self.origin) = (context.timestamp, context.offset, origin);
        if self.headers.is_some() || !context.headers.is_empty() {
            self.headers = (!context.headers.is_empty()).then(|| Box::new(context.headers.clone()));
        }
    }
}

fn headers_bytes(headers: &Headers) -> usize {
    let bytes = |header: &Header| header.key.len() + header.value.as_ref().map_or(0, bytes::Bytes::len);
    headers.iter().map(bytes).sum()
}

/// An entry's neighbours in the cache's two orders.
#[derive(Clone, Copy, Default)]
struct Node {
    used: Links,
    written: Links,
}

struct Used;

impl By<Node> for Used {
    fn links(node: &mut Node) -> &mut Links {
        &mut node.used
    }
}

struct Written;

impl By<Node> for Written {
    fn links(node: &mut Node) -> &mut Links {
        &mut node.written
    }
}

/// An entry that left the cache.
pub(super) struct Taken {
    pub(super) key: Small,
    pub(super) entry: Entry,
    pub(super) dirty: bool,
}

impl Taken {
    pub(super) fn change<'a>(&'a self, context: &'a RecordContext) -> Flushed<'a> {
        self.entry.change(&self.key, context)
    }
}

/// The record cache of one store.
pub(super) struct Cache {
    budget: CacheBudget,
    rows: Option<Rows>,
    bytes: usize,
    /// The bytes of evicted entries that still count.
    held: usize,
    entries: Table<Entry>,
    /// One per slot of the entries.
    nodes: Vec<Node>,
    /// Latest use first.
    used: List<Node, Used>,
    /// The dirty ones, earliest write first.
    written: List<Node, Written>,
    origins: Vec<Origin>,
    /// The context of the entry that was cleaned or taken out last.
    context: RecordContext,
    /// The entry touched last: a put mostly follows a get of the same key.
    recent: Slot,
    /// Entries that ranges came by since the last change of the orders: they count as used.
    visited: RefCell<Vec<Slot>>,
}

impl Cache {
    /// The cache of a store with these rows, if it has rows with times.
    pub(super) fn new(budget: &CacheBudget, rows: Option<Rows>) -> Self {
        Self {
            budget: budget.clone(),
            rows,
            bytes: 0,
            held: 0,
            entries: Table::default(),
            nodes: Vec::new(),
            used: List::default(),
            written: List::default(),
            origins: Vec::new(),
            context: RecordContext::none(-1),
            recent: NONE,
            visited: RefCell::default(),
        }
    }

    /// Whether nothing can stay here: writes may as well pass by.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.budget.total() == 0
    }

    /// The slot of `key`, which becomes the one used last.
    pub(super) fn touch(&mut self, key: &[u8]) -> Option<Slot> {
        self.settle();
        let slot = if self.entries.holds(self.recent, key) {
            self.recent
        } else {
            self.entries.find(key)?
        };
        self.recent = slot;
        self.used.move_to_front(&mut self.nodes, slot);
        Some(slot)
    }

    /// Where ranges note the entries that they come by.
    pub(super) fn visited(&self) -> &RefCell<Vec<Slot>> {
        &self.visited
    }

    /// Makes the entries that ranges came by those used last.
    fn settle(&mut self) {
        for slot in self.visited.get_mut().drain(..) {
            if self.entries.at(slot).is_some() {
                self.used.move_to_front(&mut self.nodes, slot);
            }
        }
    }

    /// The slot of `key`, left where it is.
    pub(super) fn find(&self, key: &[u8]) -> Option<Slot> {
        self.entries.find(key)
    }

    pub(super) fn at(&self, slot: Slot) -> Option<&Entry> {
        self.entries.at(slot)
    }

    /// Adds a value that was read from below.
    pub(super) fn fill(&mut self, key: &[u8], value: &[u8]) {
        self.add(key, Some(value), &RecordContext::none(-1));
    }

    /// Sets a value, which becomes dirty, the one used last and the one written last.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>, context: &RecordContext) {
        let slot = match self.touch(key) {
            Some(slot) => {
                self.update(slot, value, context);
                slot
            }
            None => self.add(key, value, context),
        };
        let Some(entry) = self.entries.at_mut(slot) else { return };
        if entry.dirty {
            self.written.move_to_back(&mut self.nodes, slot);
        } else {
            entry.dirty = true;
            self.written.push_back(&mut self.nodes, slot);
        }
    }

    fn update(&mut self, slot: Slot, value: Option<&[u8]>, context: &RecordContext) {
        let origin = self.origin(context);
        let before = self.weight(slot);
        let Some(entry) = self.entries.at_mut(slot) else { return };
        entry.set(value, context, origin);
        let after = self.weight(slot);
        self.bytes = self.bytes + after - before;
        self.budget.change(before, after);
    }

    fn add(&mut self, key: &[u8], value: Option<&[u8]>, context: &RecordContext) -> Slot {
        self.settle();
        let origin = self.origin(context);
        let mut entry = Entry {
            value: Small::default(),
            timestamp: -1,
            offset: -1,
            headers: None,
            origin,
            deleted: false,
            dirty: false,
        };
        entry.set(value, context, origin);
        let slot = self.entries.insert_new(key, entry);
        let bytes = self.weight(slot);
        if self.nodes.len() <= slot as usize {
            self.nodes.resize(slot as usize + 1, Node::default());
        }
        self.used.push_front(&mut self.nodes, slot);
        self.recent = slot;
        self.bytes += bytes;
        self.budget.change(0, bytes);
        slot
    }

    /// How much of the budget an entry takes: as much as in Kafka Streams, so that both hold the same entries. Rows that only
    /// stand for others there are not any.
    fn weight(&self, slot: Slot) -> usize {
        let Some((key, entry)) = self.entries.entry(slot) else {
            return 0;
        };
        let key_bytes = match &self.rows {
            None => Some(key.len()),
            Some(rows) => rows.cached_key_bytes(key),
        };
        key_bytes.map_or(0, |key_bytes| ENTRY_BYTES + key_bytes + bytes(&self.origins, entry))
    }

    /// The number of a record's origin, a new one if need be.
    fn origin(&mut self, context: &RecordContext) -> u32 {
        let known = self.origins.iter().position(|origin| origin.is_of(context));
        let number = known.unwrap_or_else(|| {
            self.origins.push(Origin {
                topic: context.topic.clone(),
                partition: context.partition,
            });
            self.origins.len() - 1
        });
        u32::try_from(number).expect("a task reads fewer than 2^32 topic partitions")
    }

    /// Takes out the entry that was not used for longest, if the thread's stores are above their budget. Of the evicted
    /// entries that still count, those `on_the_way` from before this round of evictions make it exceeded, too.
    pub(super) fn evict(&mut self, on_the_way: usize) -> Option<Taken> {
        if !self.budget.is_exceeded_without(self.held.saturating_sub(on_the_way)) {
            return None;
        }
        self.settle();
        let oldest = self.used.back()?;
        let bytes = self.weight(oldest);
        let taken = self.take(oldest)?;
        if taken.dirty {
            self.held += bytes;
            self.budget.change(0, bytes);
        }
        Some(taken)
    }

    /// The bytes of evicted entries that still count.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Gives back the bytes of evicted entries whose changes are forwarded by now. Kafka Streams counts them until then:
    /// stores below that get these changes find the budget still exceeded, and evict, too.
    pub(super) fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.budget.change(held, 0);
    }

    /// The dirty entry that was written first; it is clean from now on. The caller has to [`take`](Self::take) a deletion
    /// out.
    pub(super) fn clean_next(&mut self) -> Option<Slot> {
        let slot = self.written.front()?;
        self.written.remove(&mut self.nodes, slot);
        let entry = self.entries.at_mut(slot)?;
        entry.dirty = false;
        recall(&mut self.context, &self.origins, entry);
        Some(slot)
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Taken> {
        let dirty = self.entries.at(slot)?.dirty;
        let bytes = self.weight(slot);
        if dirty {
            self.written.remove(&mut self.nodes, slot);
        }
        self.used.remove(&mut self.nodes, slot);
        let (key, entry) = self.entries.remove(slot)?;
        recall(&mut self.context, &self.origins, &entry);
        self.bytes -= bytes;
        self.budget.change(bytes, 0);
        if self.recent == slot {
            self.recent = NONE;
        }
        Some(Taken { key, entry, dirty })
    }

    /// The context of the entry that was cleaned or taken out last.
    pub(super) fn context(&self) -> &RecordContext {
        &self.context
    }

    /// The change that the entry cleaned last stands for.
    pub(super) fn change(&self, slot: Slot) -> Option<Flushed<'_>> {
        let (key, entry) = self.entries.entry(slot)?;
        Some(entry.change(key, &self.context))
    }

    /// Drops everything, dirty or not.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.nodes.clear();
        self.used = List::default();
        self.written = List::default();
        self.release();
        self.budget.change(self.bytes, 0);
        self.bytes = 0;
        self.recent = NONE;
        self.visited.get_mut().clear();
    }

    /// Puts the [entries](Self::entries) in order.
    pub(super) fn index(&mut self) {
        self.settle();
        self.entries.index();
    }

    /// The entries, once they are [indexed](Self::index).
    pub(super) fn entries(&self) -> &Table<Entry> {
        &self.entries
    }
}

/// What Kafka Streams counts of an entry, beside its key and what all entries have.
fn bytes(origins: &[Origin], entry: &Entry) -> usize {
    let origin = origins.get(entry.origin as usize);
    let topic = origin
        .and_then(|origin| origin.topic.as_ref())
        .map_or(0, |topic| topic.len());
    entry.value.len() + topic + entry.headers.as_deref().map_or(0, headers_bytes)
}

/// Makes `context` that of an entry.
fn recall(context: &mut RecordContext, origins: &[Origin], entry: &Entry) {
    if let Some(origin) = origins.get(entry.origin as usize)
        && !origin.is_of(context)
    {
        context.topic.clone_from(&origin.topic);
        context.partition = origin.partition;
    }
    (context.timestamp, context.offset) = (entry.timestamp, entry.offset);
    context.headers = entry.headers.as_deref().cloned().unwrap_or_default();
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.release();
        self.budget.change(self.bytes, 0);
    }
}
