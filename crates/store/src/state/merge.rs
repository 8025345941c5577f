//! Reads over a range: cache over write buffer over engine, as one ordered sequence.

use std::cell::RefCell;
use std::cmp::Ordering;

use crate::engine::{Cause, Cursor};
use crate::error::Result;
use crate::identity::Identity;
use crate::range::Order;
use crate::small::Small;
use crate::state::cache::Entry;
use crate::table::{Slot, Slots, Table};

/// A part of a table above the engine. A value of `None` hides what lies below.
pub(super) struct Entries<'a, T> {
    pub(super) table: &'a Table<T>,
    pub(super) slots: Slots<'a>,
    pub(super) value: fn(&T) -> Option<&[u8]>,
    /// Where to note the slots that were read, if anybody wants to know.
    pub(super) visited: Option<&'a RefCell<Vec<Slot>>>,
}

/// The entries of a range, lent one by one. They stay as they were when the range was taken.
pub struct Range<'a> {
    identity: &'a Identity,
    order: Order,
    cached: Layer<'a, Entry>,
    buffered: Layer<'a, Option<Small>>,
    resting: Option<Box<dyn Cursor + 'a>>,
    /// The layers that stand on the entry lent last, and are to move on.
    lent: Stand,
}

struct Layer<'a, T> {
    entries: Option<Entries<'a, T>>,
    here: Option<(&'a [u8], Option<&'a [u8]>)>,
}

#[derive(Clone, Copy, Default)]
struct Stand {
    cached: bool,
    buffered: bool,
    resting: bool,
}

impl<'a, T> Layer<'a, T> {
    fn new(entries: Option<Entries<'a, T>>) -> Self {
        let mut layer = Self { entries, here: None };
        layer.advance();
        layer
    }

    fn advance(&mut self) {
        self.here = self.entries.as_mut().and_then(Entries::next);
    }
}

impl<'a, T> Entries<'a, T> {
    fn next(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let slot = self.slots.next()?;
        if let Some(visited) = self.visited {
            visited.borrow_mut().push(slot);
        }
        let (key, held) = self.table.entry(slot)?;
        Some((key, (self.value)(held)))
    }
}

impl<'a> Range<'a> {
    pub(super) fn new(
        identity: &'a Identity,
        order: Order,
        cached: Option<Entries<'a, Entry>>,
        buffered: Entries<'a, Option<Small>>,
        resting: Option<Box<dyn Cursor + 'a>>,
    ) -> Self {
        Self {
            identity,
            order,
            cached: Layer::new(cached),
            buffered: Layer::new(Some(buffered)),
            resting,
            lent: Stand::default(),
        }
    }

    /// Whether the entry lent last is one of the cache.
    pub(super) fn is_cached(&self) -> bool {
        self.lent.cached
    }

    /// The next key and value. They are lent until the next call.
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.step()?;
        Ok(self.entry())
    }

    /// Moves on to the next entry; says whether there is one.
    pub(super) fn step(&mut self) -> Result<bool> {
        loop {
            self.advance()?;
            let Some(lent) = self.next_stand() else {
                return Ok(false);
            };
            self.lent = lent;
            if self.value_here().is_some() {
                return Ok(true);
            }
        }
    }

    /// The entry moved on to last.
    pub(super) fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.here().and_then(|(key, value)| Some((key, value?)))
    }

    fn advance(&mut self) -> Result<()> {
        let lent = std::mem::take(&mut self.lent);
        if lent.cached {
            self.cached.advance();
        }
        if lent.buffered {
            self.buffered.advance();
        }
        if lent.resting
            && let Some(cursor) = &mut self.resting
        {
            let advanced: std::result::Result<(), Cause> = cursor.advance();
            advanced.map_err(|cause| self.identity.failed_to("read", cause))?;
        }
        Ok(())
    }

    /// The layers that stand on the next key.
    fn next_stand(&self) -> Option<Stand> {
        let keys = [
            self.cached.here.map(|(key, _)| key),
            self.buffered.here.map(|(key, _)| key),
            self.resting
                .as_ref()
                .and_then(|cursor| cursor.entry())
                .map(|(key, _)| key),
        ];
        let next = keys.iter().flatten().copied().min_by(|a, b| self.compare(a, b))?;
        let [cached, buffered, resting] = keys.map(|key| key == Some(next));
        Some(Stand {
            cached,
            buffered,
            resting,
        })
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        match self.order {
            Order::Forward => a.cmp(b),
            Order::Reverse => b.cmp(a),
        }
    }

    /// The entry of the uppermost layer that stands on the key.
    fn here(&self) -> Option<(&[u8], Option<&[u8]>)> {
        if self.lent.cached {
            self.cached.here
        } else if self.lent.buffered {
            self.buffered.here
        } else {
            let cursor = self.resting.as_ref()?;
            cursor.entry().map(|(key, value)| (key, Some(value)))
        }
    }

    fn value_here(&self) -> Option<&[u8]> {
        self.here()?.1
    }
}
