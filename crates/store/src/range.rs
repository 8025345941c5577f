//! Which keys a read wants, and in which order.

use std::ops::{Bound, RangeBounds};

use crate::small::Small;

/// A range of keys in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub(crate) start: Bound<Small>,
    pub(crate) end: Bound<Small>,
}

/// The order in which a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Reverse,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self::between(None, None)
    }

    /// From `from` to `to`, both inclusive; `None` leaves that end open. An inverted range holds nothing.
    pub fn between(from: Option<&[u8]>, to: Option<&[u8]>) -> Self {
        let bound = |key: Option<&[u8]>| key.map_or(Bound::Unbounded, |key| Bound::Included(Small::from(key)));
        Self {
            start: bound(from),
            end: bound(to),
        }
    }

    /// Every key behind this one.
    pub fn after(key: &[u8]) -> Self {
        Self {
            start: Bound::Excluded(Small::from(key)),
            end: Bound::Unbounded,
        }
    }

    /// From this key on.
    pub(crate) fn from_key(key: &[u8]) -> Self {
        Self::between(Some(key), None)
    }

    /// What lies before this key.
    pub(crate) fn before_key(key: &[u8]) -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Excluded(Small::from(key)),
        }
    }

    /// From `from` to `to`, the second exclusive.
    pub(crate) fn half_open_between(from: &[u8], to: &[u8]) -> Self {
        Self {
            start: Bound::Included(Small::from(from)),
            end: Bound::Excluded(Small::from(to)),
        }
    }

    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        // The first key behind the prefix: the last byte that can be raised is raised, what follows is cut off.
        while end.last() == Some(&0xff) {
            end.pop();
        }
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        Self {
            start: Bound::Included(Small::from(prefix)),
            end: if end.is_empty() {
                Bound::Unbounded
            } else {
                Bound::Excluded(Small::from(&*end))
            },
        }
    }

    /// Whether no key can be in the range. Ordered maps panic when they are asked for such a range.
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => **start > **end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
                **start >= **end
            }
        }
    }

    /// Whether a key is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        RangeBounds::<[u8]>::contains(&self.bounds(), key)
    }

    /// The first key in the range and the first one behind it, as far as there are such.
    #[cfg(feature = "rocksdb")]
    pub(crate) fn half_open(&self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        // The next key after k is k with a zero byte behind it.
        let next = |key: &Small| [&**key, &[0]].concat();
        let start = match &self.start {
            Bound::Included(key) => Some(key.to_vec()),
            Bound::Excluded(key) => Some(next(key)),
            Bound::Unbounded => None,
        };
        let end = match &self.end {
            Bound::Included(key) => Some(next(key)),
            Bound::Excluded(key) => Some(key.to_vec()),
            Bound::Unbounded => None,
        };
        (start, end)
    }

    /// The two ends, borrowed.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (
            self.start.as_ref().map(|key| &**key),
            self.end.as_ref().map(|key| &**key),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ends_before_the_next_one() {
        assert_eq!(KeyRange::prefix(b"ab").end, Bound::Excluded(Small::from(&b"ac"[..])));
        assert_eq!(KeyRange::prefix(&[1, 0xff]).end, Bound::Excluded(Small::from(&[2][..])));
        assert_eq!(KeyRange::prefix(&[0xff, 0xff]).end, Bound::Unbounded);
        assert_eq!(KeyRange::prefix(&[]).end, Bound::Unbounded);
    }

    #[test]
    fn inverted_range_is_empty() {
        assert!(KeyRange::between(Some(b"b"), Some(b"a")).is_empty());
        assert!(!KeyRange::between(Some(b"a"), Some(b"a")).is_empty());
        assert!(!KeyRange::between(Some(b"b"), None).is_empty());
    }
}
