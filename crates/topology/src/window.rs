//! Windows of time, and keys that stand for one window of a key.

use crate::record::Data;

/// A span of time in milliseconds. Of time windows `start` is inside and `end` outside, of sliding and session windows both
/// are inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// Where it begins.
    pub start: i64,
    /// Where it ends.
    pub end: i64,
}

impl Window {
    /// The window from `start` to `end`.
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }
}

/// A key in one window: the key of windowed tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Windowed<K> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: Window,
}

impl<K> Windowed<K> {
    /// A key in a window.
    pub const fn new(key: K, window: Window) -> Self {
        Self { key, window }
    }
}

/// It has no serde of its own: the bytes of time windows lack their end, which depends on the window's size.
impl<K: Data> Data for Windowed<K> {}
