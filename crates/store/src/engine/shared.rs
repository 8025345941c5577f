//! Entries that one thread writes and others read.
//!
//! In memory there are two copies of them. Readers hold the one that was published last, each for as long as it likes; the
//! writer changes the other one, which nobody reads, and then they change places. So no reader waits, none locks to read,
//! and each sees whole batches only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::memory::MemoryEngine;
use crate::engine::{Batch, Cause, Cursor, Engine, NewReader};
use crate::range::{KeyRange, Order};
use crate::small::Small;

/// The writer's side of entries in memory.
pub(crate) struct SharedEngine {
    live: Arc<MemoryEngine>,
    spare: Arc<MemoryEngine>,
    /// The batch that the spare copy lacks.
    behind: Behind,
    published: Arc<Published>,
}

#[derive(Default)]
struct Behind {
    drop_before: Option<Box<[u8]>>,
    writes: Vec<(Box<[u8]>, Option<Small>)>,
    positions: Vec<(String, i64)>,
}

/// Where the writer leaves the live copy for the readers.
struct Published {
    version: AtomicU64,
    live: Mutex<Arc<MemoryEngine>>,
}

impl Default for SharedEngine {
    fn default() -> Self {
        let copy = || {
            let mut copy = MemoryEngine::default();
            // A reader cannot build the index, so that it is there from the start.
            copy.index();
            Arc::new(copy)
        };
        let live = copy();
        Self {
            published: Arc::new(Published {
                version: AtomicU64::new(0),
                live: Mutex::new(live.clone()),
            }),
            live,
            spare: copy(),
            behind: Behind::default(),
        }
    }
}

impl Engine for SharedEngine {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
        self.live.get(key, value)
    }

    fn range(&self, range: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause> {
        self.live.range(range, order)
    }

    fn wants_order(&self) -> bool {
        false
    }

    fn write(&mut self, batch: Batch<'_>) -> Result<(), Cause> {
        let Some(spare) = Arc::get_mut(&mut self.spare) else {
            return Err("readers still hold the copy that is to be written".into());
        };
        let behind = std::mem::take(&mut self.behind);
        let mut writes = behind.writes.iter().map(|(key, value)| (&**key, value.as_deref()));
        spare.write(Batch {
            drop_before: behind.drop_before.as_deref(),
            writes: &mut writes,
            offset: None,
            changelog_id: None,
            positions: &behind.positions,
        })?;
        self.behind.positions = batch.positions.to_vec();
        self.behind.drop_before = batch.drop_before.map(Box::from);
        self.behind.writes = batch
            .writes
            .map(|(key, value)| (Box::from(key), value.map(Small::from)))
            .collect();
        let mut writes = self.behind.writes.iter().map(|(key, value)| (&**key, value.as_deref()));
        spare.write(Batch {
            writes: &mut writes,
            ..batch
        })?;
        std::mem::swap(&mut self.live, &mut self.spare);
        *self.published.live.lock().unwrap_or_else(PoisonError::into_inner) = self.live.clone();
        self.published.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn offset(&self) -> Option<i64> {
        self.live.offset()
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        self.live.approximate_entries(writes)
    }

    fn close(&mut self) -> Result<(), Cause> {
        Ok(())
    }

    fn position(&self, partition: &str) -> Result<Option<i64>, Cause> {
        self.live.position(partition)
    }

    fn share(&self) -> Option<NewReader> {
        let published = self.published.clone();
        Some(Box::new(move || {
            let mut reader = SharedReader {
                published: published.clone(),
                seen: None,
                live: Arc::default(),
            };
            reader.refresh();
            Box::new(ReadOnly(reader))
        }))
    }

    fn is_free(&mut self) -> bool {
        Arc::get_mut(&mut self.spare).is_some()
    }
}

/// A reader's side of entries in memory.
struct SharedReader {
    published: Arc<Published>,
    seen: Option<u64>,
    live: Arc<MemoryEngine>,
}

/// What a read-only engine reads from.
pub(crate) trait Reads: Send {
    /// See [`Engine::get`].
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause>;

    /// See [`Engine::range`].
    fn range(&self, range: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause>;

    /// See [`Engine::approximate_entries`].
    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause>;

    /// See [`Engine::refresh`].
    fn refresh(&mut self) {}
}

impl Reads for SharedReader {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
        self.live.get(key, value)
    }

    fn range(&self, range: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause> {
        self.live.range(range, order)
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        self.live.approximate_entries(writes)
    }

    fn refresh(&mut self) {
        let version = Some(self.published.version.load(Ordering::Acquire));
        if self.seen != version {
            self.seen = version;
            let live = self.published.live.lock().unwrap_or_else(PoisonError::into_inner);
            self.live = live.clone();
        }
    }
}

/// An engine that reads what another one writes.
pub(crate) struct ReadOnly<R>(pub(crate) R);

impl<R: Reads> Engine for ReadOnly<R> {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
        self.0.get(key, value)
    }

    fn range(&self, range: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause> {
        self.0.range(range, order)
    }

    fn write(&mut self, _: Batch<'_>) -> Result<(), Cause> {
        Err("it can only be read here".into())
    }

    fn offset(&self) -> Option<i64> {
        None
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        self.0.approximate_entries(writes)
    }

    fn close(&mut self) -> Result<(), Cause> {
        Ok(())
    }

    fn position(&self, _: &str) -> Result<Option<i64>, Cause> {
        Ok(None)
    }

    fn refresh(&mut self) {
        self.0.refresh();
    }
}
