//! Entries in memory: gone when the store is closed, and rebuilt from the changelog.

use std::collections::BTreeMap;

use crate::engine::{Batch, Cause, Cursor, Engine};
use crate::range::{KeyRange, Order};
use crate::small::Small;
use crate::table::{Slot, Slots, Table};

#[derive(Default)]
pub(crate) struct MemoryEngine {
    entries: Table<Small>,
    offset: Option<i64>,
    positions: BTreeMap<String, i64>,
}

impl MemoryEngine {
    /// Sets or deletes the value of `key`.
    fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        match (self.entries.find(key), value) {
            (Some(slot), Some(value)) => {
                if let Some(held) = self.entries.at_mut(slot) {
                    held.set(value);
                }
            }
            (None, Some(value)) => {
                self.entries.insert_new(key, Small::from(value));
            }
            (Some(slot), None) => {
                self.entries.remove(slot);
            }
            (None, None) => {}
        }
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Cause> {
        let found = self.entries.get(key);
        if let Some(found) = found {
            value.extend_from_slice(found);
        }
        Ok(found.is_some())
    }

    fn index(&mut self) {
        self.entries.index();
    }

    fn range(&self, range: &KeyRange, order: Order) -> Result<Box<dyn Cursor + '_>, Cause> {
        let mut cursor = MemoryCursor {
            entries: &self.entries,
            slots: self.entries.range(range, order),
            here: None,
        };
        cursor.advance()?;
        Ok(Box::new(cursor))
    }

    fn wants_order(&self) -> bool {
        false
    }

    fn write(&mut self, batch: Batch<'_>) -> Result<(), Cause> {
        if let Some(end) = batch.drop_before {
            self.entries.remove_before(end);
        }
        for (key, value) in batch.writes {
            self.set(key, value);
        }
        self.offset = batch.offset.or(self.offset);
        self.positions.extend(batch.positions.iter().cloned());
        Ok(())
    }

    fn offset(&self) -> Option<i64> {
        self.offset
    }

    fn approximate_entries(&self, writes: &mut dyn Iterator<Item = (&[u8], bool)>) -> Result<u64, Cause> {
        Ok(writes.fold(self.entries.len() as u64, |entries, (key, put)| {
            match (self.entries.find(key), put) {
                (None, true) => entries + 1,
                (Some(_), false) => entries - 1,
                _ => entries,
            }
        }))
    }

    fn close(&mut self) -> Result<(), Cause> {
        Ok(())
    }

    fn position(&self, partition: &str) -> Result<Option<i64>, Cause> {
        Ok(self.positions.get(partition).copied())
    }
}

struct MemoryCursor<'a> {
    entries: &'a Table<Small>,
    slots: Slots<'a>,
    here: Option<Slot>,
}

impl Cursor for MemoryCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.entries.entry(self.here?).map(|(key, value)| (key, &**value))
    }

    fn advance(&mut self) -> Result<(), Cause> {
        self.here = self.slots.next();
        Ok(())
    }
}
