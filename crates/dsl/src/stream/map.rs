//! Operators that make other records: map, map_values, flat_map, flat_map_values, select_key.

use kstreams_topology::{Error, Nullable, Record};

use super::KStream;
use crate::option::Serdes;
use crate::outcome::{Items, Outcome, PairOutcome};
use crate::plan::Effect;
use crate::step::step;

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Makes one record of each, with another key and value. Records of one key may then be in several partitions: an
    /// aggregation below goes through a repartition topic.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").map(|key, value| (value, key)).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&input, ("a", "b"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("b".into(), "a".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<K2, V2, R, M>(&self, map: impl Fn(K, V) -> R + Send + Sync + 'static) -> KStream<K2, V2>
    where
        K2: Nullable,
        V2: Nullable,
        R: PairOutcome<K2, V2, M>,
    {
        let run = step(move |cx, record: Record<K, V>| {
            let (key, value) = map(record.key, record.value).outcome().map_err(Error::User)?;
            cx.forward(Record {
                key,
                value,
                timestamp: record.timestamp,
                headers: record.headers,
            })
        });
        self.unary("KSTREAM-MAP-", Effect::Keys, |_| Serdes::default(), run)
    }

    /// Makes one record of each, with another value.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// // A closure may fail: what to do then is the processing exception handler's choice.
    /// builder.stream::<String, String>("in").map_values(|_, text| text.parse::<i64>()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, ("a", "17"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 17)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_values<V2, R, M>(&self, map: impl Fn(&K, V) -> R + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: Nullable,
        R: Outcome<V2, M>,
    {
        let run = step(move |cx, record: Record<K, V>| {
            let value = map(&record.key, record.value).outcome().map_err(Error::User)?;
            cx.forward(Record {
                key: record.key,
                value,
                timestamp: record.timestamp,
                headers: record.headers,
            })
        });
        self.unary("KSTREAM-MAPVALUES-", Effect::Values, Serdes::with_keys_of, run)
    }

    /// Makes any number of records of each, with other keys and values.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .flat_map(|key, value| [(key.clone(), value.clone()), (value, key)])
    ///     .to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&input, ("a", "b"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), "b".into()), ("b".into(), "a".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flat_map<K2, V2, I, M>(&self, map: impl Fn(K, V) -> I + Send + Sync + 'static) -> KStream<K2, V2>
    where
        K2: Nullable,
        V2: Nullable,
        I: Items<(K2, V2), M>,
    {
        let run = step(move |cx, record: Record<K, V>| {
            let Record {
                key,
                value,
                timestamp,
                headers,
            } = record;
            for (key, value) in map(key, value).items().map_err(Error::User)? {
                cx.forward(Record {
                    key,
                    value,
                    timestamp,
                    headers: headers.clone(),
                })?;
            }
            Ok(())
        });
        self.unary("KSTREAM-FLATMAP-", Effect::Keys, |_| Serdes::default(), run)
    }

    /// Makes any number of records of each, with other values: the closure returns a collection, an `Option`, an iterator,
    /// or a `Result` of one of these.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .flat_map_values(|_, line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    ///     .to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&input, ("k", "hello kafka"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), "hello".into()), ("k".into(), "kafka".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flat_map_values<V2, I, M>(&self, map: impl Fn(&K, V) -> I + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: Nullable,
        I: Items<V2, M>,
    {
        let run = step(move |cx, record: Record<K, V>| {
            let Record {
                key,
                value,
                timestamp,
                headers,
            } = record;
            for value in map(&key, value).items().map_err(Error::User)? {
                cx.forward(Record {
                    key: key.clone(),
                    value,
                    timestamp,
                    headers: headers.clone(),
                })?;
            }
            Ok(())
        });
        self.unary("KSTREAM-FLATMAPVALUES-", Effect::Values, Serdes::with_keys_of, run)
    }

    /// Gives each record another key. Records of one key may then be in several partitions: an aggregation below goes
    /// through a repartition topic.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").select_key(|_, value| value.len().to_string()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&input, ("k", "kafka"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("5".into(), "kafka".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn select_key<K2, R, M>(&self, select: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> KStream<K2, V>
    where
        K2: Nullable,
        R: Outcome<K2, M>,
    {
        let run = step(move |cx, record: Record<K, V>| {
            let key = select(&record.key, &record.value).outcome().map_err(Error::User)?;
            cx.forward(record.with_key(key))
        });
        self.unary("KSTREAM-KEY-SELECT-", Effect::Keys, Serdes::with_values_of, run)
    }
}
