//! How a table is kept in a store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kstreams_store::{EngineKind, Kind, Logging, StoreSpec};
use kstreams_topology::{Data, Serde};

use super::SharedSerde;
use crate::window::millis;

/// How a table is kept. A text alone is the store's name.
pub struct Materialized<K: Data, V: Data> {
    pub(crate) name: Option<String>,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    engine: Option<EngineKind>,
    caching: Option<bool>,
    logging: Logging,
    pub(crate) retention_ms: Option<i64>,
}

impl<K: Data, V: Data> Materialized<K, V> {
    /// Options for a store without a name of its own.
    pub fn new() -> Self {
        Self {
            name: None,
            key: None,
            value: None,
            engine: None,
            caching: None,
            logging: Logging::enabled(),
            retention_ms: None,
        }
    }

    /// A store of this name: it can be queried, and its changelog is `<application id>-<name>-changelog`.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::new()
        }
    }

    /// The serde of the keys.
    pub fn key_serde(mut self, serde: impl Serde<K>) -> Self {
        self.key = Some(Arc::new(serde));
        self
    }

    /// The serde of the values.
    pub fn value_serde(mut self, serde: impl Serde<V>) -> Self {
        self.value = Some(Arc::new(serde));
        self
    }

    /// Keeps the entries in memory.
    pub fn in_memory(mut self) -> Self {
        self.engine = Some(EngineKind::Memory);
        self
    }

    /// Keeps the entries on disk.
    pub fn persistent(mut self) -> Self {
        self.engine = Some(EngineKind::Persistent);
        self
    }

    /// Lets changes of one key collapse in the record cache until the next commit. This is the default.
    pub fn cached(mut self) -> Self {
        self.caching = Some(true);
        self
    }

    /// Forwards and logs every change at once.
    pub fn uncached(mut self) -> Self {
        self.caching = Some(false);
        self
    }

    /// Sends changes to a changelog topic, with these configs on top of the defaults. Without configs this is the default.
    pub fn logged(mut self, configs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.logging = Logging::Enabled(configs.into_iter().collect::<BTreeMap<_, _>>());
        self
    }

    /// Keeps no changelog: what is lost with the directory, or in memory at a restart, stays lost.
    pub fn unlogged(mut self) -> Self {
        self.logging = Logging::Disabled;
        self
    }

    /// Keeps windows this long, in stream time, for queries and joins. By default, and at least, as long as they count: their
    /// size and the grace. Of tables without windows it has no effect.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention_ms = Some(millis(retention));
        self
    }

    /// The same options with these serdes.
    pub(crate) fn with_serdes(self, key: Option<SharedSerde<K>>, value: Option<SharedSerde<V>>) -> Self {
        Self { key, value, ..self }
    }

    /// The store of this name that these options describe.
    pub(crate) fn spec(&self, name: String, default_engine: EngineKind) -> StoreSpec {
        StoreSpec {
            name,
            kind: Kind::TimestampedKeyValue,
            engine: self.engine.unwrap_or(default_engine),
            caching: self.caching.unwrap_or(true),
            logging: self.logging.clone(),
        }
    }
}

impl<K: Data, V: Data> Default for Materialized<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Data, V: Data> From<&str> for Materialized<K, V> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

impl<K: Data, V: Data> From<String> for Materialized<K, V> {
    fn from(name: String) -> Self {
        Self::named(name)
    }
}
