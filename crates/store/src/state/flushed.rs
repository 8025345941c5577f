//! The changes that evictions pushed out of a cache, waiting for the graph to forward them.

use std::ops::Range;

use crate::context::RecordContext;
use crate::state::below::Passed;

/// A change that left the record cache, for the graph to forward. Values are in the layout of the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flushed<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The new value; `None` is a deletion.
    pub new: Option<&'a [u8]>,
    /// The value before it, if [`Forward::NewAndOld`](crate::Forward::NewAndOld) asked for it.
    pub old: Option<&'a [u8]>,
    /// The record that made the change last. What is forwarded carries its timestamp and headers.
    pub context: &'a RecordContext,
}

/// Changes in order, their bytes side by side: an eviction may push out every dirty entry of a cache at once.
#[derive(Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    changes: Vec<Change>,
    taken: usize,
}

struct Change {
    key: Range<usize>,
    new: Option<Range<usize>>,
    old: Option<Range<usize>>,
    context: RecordContext,
}

impl Waiting {
    pub(super) fn has_next(&self) -> bool {
        self.taken < self.changes.len()
    }

    /// Whether nothing waits and nothing was taken since the last [`clear`](Self::clear).
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds what of a change passed.
    pub(super) fn push(&mut self, change: Flushed<'_>, passed: Passed, old: &[u8]) {
        if passed == Passed::Nothing {
            return;
        }
        if !self.has_next() {
            self.clear();
        }
        let change = Change {
            key: self.keep(change.key),
            new: change.new.map(|value| self.keep(value)),
            old: (passed == Passed::ChangeWithOld).then(|| self.keep(old)),
            context: change.context.clone(),
        };
        self.changes.push(change);
    }

    /// The next change.
    pub(super) fn next(&mut self) -> Option<Flushed<'_>> {
        let change = self.changes.get(self.taken)?;
        self.taken += 1;
        let bytes = |range: &Range<usize>| self.bytes.get(range.clone());
        Some(Flushed {
            key: bytes(&change.key)?,
            new: change.new.as_ref().and_then(bytes),
            old: change.old.as_ref().and_then(bytes),
            context: &change.context,
        })
    }

    /// Forgets all changes, and gives the memory of a large eviction back.
    pub(super) fn clear(&mut self) {
        if self.changes.len() > 64 {
            *self = Self::default();
        }
        self.bytes.clear();
        self.changes.clear();
        self.taken = 0;
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}
