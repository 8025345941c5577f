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
