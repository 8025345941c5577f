//! What was learnt once and is read by every record: a list that grows at its end and needs no lock to be read.

use std::sync::OnceLock;

/// A list that is only ever appended to.
pub(crate) struct Known<T> {
    first: Link<T>,
}

type Link<T> = OnceLock<Box<Entry<T>>>;

struct Entry<T> {
    value: T,
    next: Link<T>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { first: OnceLock::new() }
    }
}

impl<T> Known<T> {
    /// The first that matches.
    #[inline]
    pub(crate) fn find(&self, matches: impl Fn(&T) -> bool) -> Option<&T> {
        let mut link = &self.first;
        while let Some(entry) = link.get() {
            if matches(&entry.value) {
                return Some(&entry.value);
            }
            link = &entry.next;
        }
        None
    }

    /// Appends; the value in its place.
    pub(crate) fn push(&self, value: T) -> &T {
        let mut entry = Box::new(Entry {
            value,
            next: OnceLock::new(),
        });
        let mut link = &self.first;
        loop {
            match link.set(entry) {
                Ok(()) => return &link.get().expect("it was set a moment ago").value,
                // Another thread was faster here.
                Err(back) => entry = back,
            }
            link = &link.get().expect("setting failed because it is set").next;
        }
    }
}
