//! What a store is: its name, kind, engine, and whether it is cached and logged.

use std::collections::BTreeMap;

use kstreams_wire::TopicPartition;

/// Everything a topology says about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// The store's name, unique in its topology.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Where it holds it.
    pub engine: EngineKind,
    /// Whether writes pass through the thread's record cache.
    pub caching: bool,
    /// Whether writes are sent to a changelog topic.
    pub logging: Logging,
}

/// What a store holds, and so how its bytes are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Values as their serde writes them.
    KeyValue,
    /// Eight bytes of timestamp before the value; the changelog carries the bare value with that timestamp.
    TimestampedKeyValue,
    /// Values by key and the start of a window.
    Window(WindowLayout),
    /// Values by key and session: its first and its last time.
    Session(SessionLayout),
    /// The versions of each key's value, as long as their history is kept.
    Versioned(VersionedLayout),
    /// Lists: a put adds a value to those of its key. The changelog carries the whole list.
    List,
    /// Changes of a table that wait for their time, one per key. The changelog gets them at each flush.
    Suppression,
    /// Records of a stream that wait for the table that they are joined with.
    GraceBuffer,
}

impl Kind {
    /// Whether several values of the same key and time are kept.
    pub(crate) fn has_duplicates(self) -> bool {
        matches!(self, Self::Window(layout) if layout.duplicates)
    }
}

/// How a window store lays out its rows, and how long it keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowLayout {
    /// How far behind the latest start a window may begin and still be seen, in milliseconds, itself excluded.
    pub retention_ms: i64,
    /// Rows are forgotten in slices of this many milliseconds; see [`segment_ms`].
    pub segment_ms: i64,
    /// The size of the windows in milliseconds.
    pub size_ms: i64,
    /// Whether several values of the same key and start are kept, in the order in which they were put.
    pub duplicates: bool,
    /// Whether eight bytes of timestamp stand before each value.
    pub timestamped: bool,
    /// What the store is read by.
    pub order: TimeOrder,
}

impl WindowLayout {
    /// Plain values of windows of this size, one for each key and start, read by key, in segments of the usual length.
    pub fn new(retention_ms: i64, size_ms: i64) -> Self {
        Self {
            retention_ms,
            segment_ms: segment_ms(retention_ms),
            size_ms,
            duplicates: false,
            timestamped: false,
            order: TimeOrder::KeyFirst,
        }
    }
}

/// How a session store lays out its rows, and how long it keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionLayout {
    /// How far behind the latest end a session may end and still be seen, in milliseconds, itself excluded.
    pub retention_ms: i64,
    /// Rows are forgotten in slices of this many milliseconds; see [`segment_ms`].
    pub segment_ms: i64,
    /// What the store is read by.
    pub order: TimeOrder,
}

impl SessionLayout {
    /// Sessions read by key, in segments of the usual length.
    pub fn new(retention_ms: i64) -> Self {
        Self {
            retention_ms,
            segment_ms: segment_ms(retention_ms),
            order: TimeOrder::KeyFirst,
        }
    }
}

/// What a window or session store is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeOrder {
    /// By key, then time.
    KeyFirst,
    /// Both by key and by time: an index by time stands beside the rows. For results that are emitted when windows close.
    /// Rows are kept until [`State::forget`](crate::State::forget) lets them go, however old they are.
    TimeFirst,
}

/// The usual length of a segment: half the retention, at least a minute.
pub const fn segment_ms(retention_ms: i64) -> i64 {
    let half = retention_ms / 2;
    if half > 60_000 { half } else { 60_000 }
}

/// How long a versioned store remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionedLayout {
    /// Milliseconds of history: versions that ended earlier are gone, and no version may begin earlier.
    pub history_ms: i64,
    /// Milliseconds of history that are forgotten at once.
    pub segment_ms: i64,
    /// Whether a deletion at the very time at which the latest version began may be forgotten, as in Java: an older version
    /// that is put afterwards can then become the latest.
    pub java_quirks: bool,
}

impl VersionedLayout {
    /// A history of this length, in segments of the length that goes with it.
    pub fn new(history_ms: i64) -> Self {
        Self {
            history_ms,
            segment_ms: crate::layout::versioned::segment_ms(history_ms),
            java_quirks: false,
        }
    }
}

/// Where a store keeps its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// In memory; rebuilt from the changelog at every start.
    Memory,
    /// On disk, in the engine that the [`Storage`](crate::Storage) was opened with.
    Persistent,
}

/// Whether a store's writes are sent to a changelog topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logging {
    /// They are; these are topic configs that override the defaults.
    Enabled(BTreeMap<String, String>),
    /// They are not: a lost directory is a lost store.
    Disabled,
}

impl Logging {
    /// Logged, with the default topic configs.
    pub fn enabled() -> Self {
        Self::Enabled(BTreeMap::new())
    }
}

/// The id that the cluster gave a changelog's topic: one that was deleted and created anew has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangelogId(pub [u8; 16]);

/// The topic partition from which a store is rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changelog {
    /// The store's own topic: every write is sent there.
    Own(TopicPartition),
    /// The source topic of the table that the store holds: read back, never written.
    Source(TopicPartition),
}

impl Changelog {
    /// The topic partition.
    pub fn partition(&self) -> &TopicPartition {
        match self {
            Self::Own(partition) | Self::Source(partition) => partition,
        }
    }
}
