//! How a table is kept in a store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kstreams_store::{EngineKind, Kind, Logging, StoreSpec, VersionedLayout};
use kstreams_topology::{Data, Serde};

use super::SharedSerde;
use crate::window::millis;

/// How a table is kept. A text alone is the store's name.
pub struct Materialized<K: Data, V: Data> {
    pub(crate) name: Option<String>,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    engine: Option<EngineKind>,
    history: Option<Duration>,
    segment: Option<Duration>,
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
            history: None,
            segment: None,
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

    /// Keeps the versions of each row's value in time, as far back as `history` (KIP-889): joins of streams with the table
    /// see the row as it was at the record's time, and late changes go to their place in history. A versioned store needs a
    /// name, and is never cached.
    ///
    /// ```
    /// # use kstreams_dsl::{Materialized, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// use std::time::Duration;
    ///
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table::<String, i64>("prices");
    /// let prices = prices.materialized(Materialized::named("prices").versioned(Duration::from_secs(3600)));
    /// let orders = builder.stream::<String, i64>("orders");
    /// orders.join_table(&prices, |_, pieces: i64, price| pieces * price).to("sums");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let prices = driver.input::<String, i64>("prices");
    /// let orders = driver.input::<String, i64>("orders");
    /// let sums = driver.output::<String, i64>("sums");
    /// driver.pipe(&prices, record("pen", 2).at(1_000))?;
    /// driver.pipe(&prices, record("pen", 3).at(2_000))?;
    /// driver.pipe(&orders, record("pen", 10).at(1_500))?;
    /// assert_eq!(driver.read_key_values(&sums)?, [("pen".into(), 20)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn versioned(mut self, history: Duration) -> Self {
        self.history = Some(history);
        self
    }

    /// How much of a versioned table's history is forgotten at once. By default a part of it.
    pub fn segment(mut self, segment: Duration) -> Self {
        self.segment = Some(segment);
        self
    }

    pub(crate) fn is_versioned(&self) -> bool {
        self.history.is_some()
    }

    /// The same options with these serdes.
    pub(crate) fn with_serdes(self, key: Option<SharedSerde<K>>, value: Option<SharedSerde<V>>) -> Self {
        Self { key, value, ..self }
    }

    /// The store of this name that these options describe.
    pub(crate) fn spec(&self, name: String, default_engine: EngineKind) -> StoreSpec {
        let versions = self.history.map(|history| {
            let layout = VersionedLayout::new(millis(history));
            VersionedLayout {
                segment_ms: self.segment.map_or(layout.segment_ms, millis),
                ..layout
            }
        });
        StoreSpec {
            name,
            kind: versions.map_or(Kind::TimestampedKeyValue, Kind::Versioned),
            engine: self.engine.unwrap_or(default_engine),
            caching: versions.is_none() && self.caching.unwrap_or(true),
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
