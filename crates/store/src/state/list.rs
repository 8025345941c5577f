//! Doubly linked lists through the slots of a table: no allocation, constant-time removal from the middle.

use std::marker::PhantomData;

use crate::table::{NONE, Slot};

/// A slot's neighbours in a [`List`].
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

/// Names one of the orders in which nodes of type `N` are linked, and so which of a node's links are meant.
pub(super) trait By<N> {
    fn links(node: &mut N) -> &mut Links;
}

/// The slots of a table in one order. The nodes stand apart from the entries: linking an entry touches its neighbours, and
/// these are better small and close together.
pub(super) struct List<N, B> {
    front: Slot,
    back: Slot,
    by: PhantomData<fn(N) -> B>,
}

impl<N, B: By<N>> Default for List<N, B> {
    fn default() -> Self {
        Self {
            front: NONE,
            back: NONE,
            by: PhantomData,
        }
    }
}

impl<N, B: By<N>> List<N, B> {
    pub(super) fn front(&self) -> Option<Slot> {
        (self.front != NONE).then_some(self.front)
    }

    pub(super) fn back(&self) -> Option<Slot> {
        (self.back != NONE).then_some(self.back)
    }

    /// Links a slot that is not in the list before all others.
    pub(super) fn push_front(&mut self, nodes: &mut [N], slot: Slot) {
        let after = self.front;
        Self::set(nodes, slot, |links| *links = Links { before: NONE, after });
        Self::set(nodes, after, |links| links.before = slot);
        self.front = slot;
        if self.back == NONE {
            self.back = slot;
        }
    }

    /// Links a slot that is not in the list behind all others.
    pub(super) fn push_back(&mut self, nodes: &mut [N], slot: Slot) {
        let before = self.back;
        Self::set(nodes, slot, |links| *links = Links { before, after: NONE });
        Self::set(nodes, before, |links| links.after = slot);
        self.back = slot;
        if self.front == NONE {
            self.front = slot;
        }
    }

    /// Unlinks a slot that is in the list.
    pub(super) fn remove(&mut self, nodes: &mut [N], slot: Slot) {
        let Some(node) = nodes.get_mut(slot as usize) else {
            return;
        };
        let Links { before, after } = std::mem::take(B::links(node));
        match before {
            NONE => self.front = after,
            before => Self::set(nodes, before, |links| links.after = after),
        }
        match after {
            NONE => self.back = before,
            after => Self::set(nodes, after, |links| links.before = before),
        }
    }

    pub(super) fn move_to_front(&mut self, nodes: &mut [N], slot: Slot) {
        if self.front != slot {
            self.remove(nodes, slot);
            self.push_front(nodes, slot);
        }
    }

    pub(super) fn move_to_back(&mut self, nodes: &mut [N], slot: Slot) {
        if self.back != slot {
            self.remove(nodes, slot);
            self.push_back(nodes, slot);
        }
    }

    fn set(nodes: &mut [N], slot: Slot, change: impl FnOnce(&mut Links)) {
        if let Some(node) = nodes.get_mut(slot as usize) {
            change(B::links(node));
        }
    }
}
