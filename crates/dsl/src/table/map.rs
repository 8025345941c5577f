//! Tables with other values: map_values.

use std::sync::Arc;

use kstreams_topology::{Data, Nullable};

use super::KTable;
use super::mapped::{Absence, Operator};
use crate::option::Serdes;
use crate::outcome::Outcome;

impl<K: Data, V: Data> KTable<K, V> {
    /// The same rows with other values; `None` deletes a row.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// table.map_values(|_, value| value.to_uppercase()).to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, Option<String>>("out");
    /// driver.pipe(&input, ("k", "apple"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), Some("APPLE".into()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_values<N, R, M>(&self, map: impl Fn(&K, V) -> R + Send + Sync + 'static) -> KTable<K, N::Inner>
    where
        N: Nullable,
        R: Outcome<N, M>,
    {
        self.mapped(Operator {
            prefix: "KTABLE-MAPVALUES-",
            compute: Arc::new(move |key, value: V| map(key, value).outcome().map(N::into_option)),
            inherit: Serdes::with_keys_of,
            absence: Absence::Forwarded,
        })
    }
}
