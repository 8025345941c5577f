//! A map from byte keys that is fast for point access, and ordered once somebody asks for ranges.
//!
//! Entries stand in numbered slots; a hash table finds a key's slot. The record cache, the write buffer and the memory
//! engine are all made of it. The ordered index is built at the first range and kept from then on, so that stores that
//! are never ranged over never pay for it.

use std::collections::{BTreeMap, btree_map};
use std::hash::BuildHasher;
use std::mem;
use std::ops::Bound;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::range::{KeyRange, Order};
use crate::small::Small;

/// The number of a slot. [`NONE`] is none.
pub(crate) type Slot = u32;

/// No slot.
pub(crate) const NONE: Slot = Slot::MAX;

pub(crate) struct Table<T> {
    slots: Vec<Place<T>>,
    free: Slot,
    hash: DefaultHashBuilder,
    numbers: HashTable<Slot>,
    order: Option<BTreeMap<Box<[u8]>, Slot>>,
}

enum Place<T> {
    Full(Small, T),
    Free(Slot),
}

/// The slots of a range.
pub(crate) struct Slots<'a> {
    keys: Option<btree_map::Range<'a, Box<[u8]>, Slot>>,
    order: Order,
}

impl Iterator for Slots<'_> {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        let keys = self.keys.as_mut()?;
        let (_, &slot) = match self.order {
            Order::Forward => keys.next(),
            Order::Reverse => keys.next_back(),
        }?;
        Some(slot)
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            hash: DefaultHashBuilder::default(),
            numbers: HashTable::new(),
            order: None,
        }
    }
}

impl<T> Table<T> {
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The slot of `key`.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Slot> {
        let hash = self.hash.hash_one(key);
        self.numbers.find(hash, |&slot| self.key(slot) == key).copied()
    }

    /// The key in a slot; empty if the slot is free.
    pub(crate) fn key(&self, slot: Slot) -> &[u8] {
        match self.slots.get(slot as usize) {
            Some(Place::Full(key, _)) => key,
            _ => &[],
        }
    }

    /// Whether `slot` holds `key`: a way around the hash table for a caller that has a guess.
    pub(crate) fn holds(&self, slot: Slot, key: &[u8]) -> bool {
        matches!(self.slots.get(slot as usize), Some(Place::Full(held, _)) if **held == *key)
    }

    pub(crate) fn at(&self, slot: Slot) -> Option<&T> {
        self.entry(slot).map(|(_, value)| value)
    }

    pub(crate) fn at_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.slots.get_mut(slot as usize) {
            Some(Place::Full(_, value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn entry(&self, slot: Slot) -> Option<(&[u8], &T)> {
        match self.slots.get(slot as usize) {
            Some(Place::Full(key, value)) => Some((key, value)),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&T> {
        self.at(self.find(key)?)
    }

    /// Adds a key that [`find`](Self::find) did not find.
    pub(crate) fn insert_new(&mut self, key: &[u8], value: T) -> Slot {
        let hash = self.hash.hash_one(key);
        let full = Place::Full(Small::from(key), value);
        let slot = if self.free == NONE {
            let slot =
                Slot::try_from(self.slots.len()).expect("a table holds fewer than 2^32 entries: memory ends first");
            self.slots.push(full);
            slot
        } else {
            let slot = self.free;
            if let Some(place) = self.slots.get_mut(slot as usize)
                && let Place::Free(next) = mem::replace(place, full)
            {
                self.free = next;
            }
            slot
        };
        let (slots, build) = (&self.slots, &self.hash);
        self.numbers
            .insert_unique(hash, slot, |&slot| match slots.get(slot as usize) {
                Some(Place::Full(key, _)) => build.hash_one(&**key),
                _ => 0,
            });
        if let Some(order) = &mut self.order {
            order.insert(Box::from(key), slot);
        }
        slot
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<(Small, T)> {
        let hash = self.hash.hash_one(self.key(slot));
        self.numbers.find_entry(hash, |&other| other == slot).ok()?.remove();
        let place = self.slots.get_mut(slot as usize)?;
        let Place::Full(key, value) = mem::replace(place, Place::Free(self.free)) else {
            return None;
        };
        self.free = slot;
        if let Some(order) = &mut self.order {
            order.remove(&*key);
        }
        Some((key, value))
    }

    /// Takes out every entry with a smaller key than `end`.
    pub(crate) fn remove_before(&mut self, end: &[u8]) {
        let before: Vec<Slot> = match &self.order {
            Some(order) => {
                let range = (Bound::Unbounded, Bound::Excluded(end));
                order.range::<[u8], _>(range).map(|(_, &slot)| slot).collect()
            }
            // Whoever drops a part of the table now and then needs no order for that.
            None => self
                .slots()
                .filter(|(_, key, _)| *key < end)
                .map(|(slot, ..)| slot)
                .collect(),
        };
        for slot in before {
            self.remove(slot);
        }
    }

    /// Takes everything out. Whether an ordered index is kept stays as it was.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.numbers.clear();
        self.free = NONE;
        if let Some(order) = &mut self.order {
            order.clear();
        }
    }

    /// Builds the ordered index if there is none yet.
    pub(crate) fn index(&mut self) {
        if self.order.is_none() {
            self.order = Some(self.slots().map(|(slot, key, _)| (Box::from(key), slot)).collect());
        }
    }

    /// The slots of a range in the order of their keys, or the reverse; nothing before [`index`](Self::index) was called.
    pub(crate) fn range(&self, range: &KeyRange, order: Order) -> Slots<'_> {
        let wanted = if range.is_empty() { None } else { self.order.as_ref() };
        Slots {
            keys: wanted.map(|keys| keys.range::<[u8], _>(range.bounds())),
            order,
        }
    }

    /// Every slot in use, in the order in which they were filled as long as none was taken out.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (Slot, &[u8], &T)> {
        (0..).zip(&self.slots).filter_map(|(slot, place)| match place {
            Place::Full(key, value) => Some((slot, &**key, value)),
            Place::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(table: &mut Table<u8>, range: &KeyRange) -> Vec<Vec<u8>> {
        table.index();
        let slots = table.range(range, Order::Forward);
        slots.map(|slot| table.key(slot).to_vec()).collect()
    }

    #[test]
    fn ranges_follow_inserts_and_removals() {
        let mut table = Table::default();
        table.insert_new(b"b", 2);
        table.insert_new(b"a", 1);
        assert_eq!(keys(&mut table, &KeyRange::all()), [b"a", b"b"]);
        let b = table.find(b"b").expect("inserted above");
        assert!(matches!(table.remove(b), Some((key, 2)) if *key == *b"b"));
        assert_eq!(table.find(b"b"), None);
        table.insert_new(b"c", 3);
        assert_eq!(keys(&mut table, &KeyRange::all()), [b"a", b"c"]);
        assert_eq!(keys(&mut table, &KeyRange::between(Some(b"b"), None)), [b"c"]);
        assert!(keys(&mut table, &KeyRange::between(Some(b"c"), Some(b"a"))).is_empty());
        table.clear();
        assert!(keys(&mut table, &KeyRange::all()).is_empty());
        table.insert_new(b"z", 9);
        assert_eq!(keys(&mut table, &KeyRange::all()), [b"z"]);
    }

    #[test]
    fn a_freed_slot_is_used_again() {
        let mut table = Table::default();
        let first = table.insert_new(b"a", 1);
        let second = table.insert_new(b"b", 2);
        table.remove(first);
        table.remove(second);
        assert_eq!(table.insert_new(b"c", 3), second);
        assert_eq!(table.insert_new(b"d", 4), first);
        assert_eq!(table.insert_new(b"e", 5), 2);
        assert_eq!(table.get(b"d"), Some(&4));
        assert_eq!(table.len(), 3);
    }
}
