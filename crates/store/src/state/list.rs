//! Doubly linked lists through the slots of a [`Table`]: no allocation, constant-time removal from the middle.

use std::marker::PhantomData;

use crate::table::{NONE, Slot, Table};

/// An entry's neighbours in a [`List`].
#[derive(Clone, Copy)]
pub(super) struct Links {
    before: Slot,
    after: Slot,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            before: NONE,
            after: NONE,
        }
    }
}

/// Names one of the orders in which entries of type `E` are linked, and so which of an entry's links are meant.
pub(super) trait By<E> {
    fn links(entry: &mut E) -> &mut Links;
}

/// The entries of a table in one order.
pub(super) struct List<E, B> {
    front: Slot,
    back: Slot,
    by: PhantomData<fn(E) -> B>,
}

impl<E, B: By<E>> Default for List<E, B> {
    fn default() -> Self {
        Self {
            front: NONE,
            back: NONE,
            by: PhantomData,
        }
    }
}

impl<E, B: By<E>> List<E, B> {
    pub(super) fn front(&self) -> Option<Slot> {
        (self.front != NONE).then_some(self.front)
    }

    pub(super) fn back(&self) -> Option<Slot> {
        (self.back != NONE).then_some(self.back)
    }

    /// Links an entry that is not in the list before all others.
    pub(super) fn push_front(&mut self, entries: &mut Table<E>, slot: Slot) {
        let after = self.front;
        Self::set(entries, slot, |links| *links = Links { before: NONE, after });
        Self::set(entries, after, |links| links.before = slot);
        self.front = slot;
        if self.back == NONE {
            self.back = slot;
        }
    }

    /// Links an entry that is not in the list behind all others.
    pub(super) fn push_back(&mut self, entries: &mut Table<E>, slot: Slot) {
        let before = self.back;
        Self::set(entries, slot, |links| *links = Links { before, after: NONE });
        Self::set(entries, before, |links| links.after = slot);
        self.back = slot;
        if self.front == NONE {
            self.front = slot;
        }
    }

    /// Unlinks an entry that is in the list.
    pub(super) fn remove(&mut self, entries: &mut Table<E>, slot: Slot) {
        let Some(entry) = entries.at_mut(slot) else { return };
        let Links { before, after } = std::mem::take(B::links(entry));
        match before {
            NONE => self.front = after,
            before => Self::set(entries, before, |links| links.after = after),
        }
        match after {
            NONE => self.back = before,
            after => Self::set(entries, after, |links| links.before = before),
        }
    }

    pub(super) fn move_to_front(&mut self, entries: &mut Table<E>, slot: Slot) {
        if self.front != slot {
            self.remove(entries, slot);
            self.push_front(entries, slot);
        }
    }

    pub(super) fn move_to_back(&mut self, entries: &mut Table<E>, slot: Slot) {
        if self.back != slot {
            self.remove(entries, slot);
            self.push_back(entries, slot);
        }
    }

    fn set(entries: &mut Table<E>, slot: Slot, change: impl FnOnce(&mut Links)) {
        if let Some(entry) = entries.at_mut(slot) {
            change(B::links(entry));
        }
    }
}
