//! Operators that look at records and let them pass as they are: filter, filter_not, peek, and drop_nulls.

use kstreams_topology::{Data, Error, Nullable, Record};

use super::KStream;
use crate::outcome::Outcome;
use crate::plan::Effect;
use crate::step::step;

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Keeps the records for which the predicate holds.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("orders").filter(|_, amount| *amount >= 100).to("large-orders");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let orders = driver.input::<String, i64>("orders");
    /// let large = driver.output::<String, i64>("large-orders");
    /// driver.pipe(&orders, record("ann", 20).at(1))?;
    /// driver.pipe(&orders, record("bob", 300).at(2))?;
    /// assert_eq!(driver.read_all(&large)?, [record("bob", 300).at(2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter<R, M>(&self, predicate: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> Self
    where
        R: Outcome<bool, M>,
    {
        self.keep(true, predicate)
    }

    /// Keeps the records for which the predicate does not hold.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").filter_not(|_, amount| *amount >= 100).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, ("ann", 20))?;
    /// driver.pipe(&input, ("bob", 300))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("ann".into(), 20)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter_not<R, M>(&self, predicate: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> Self
    where
        R: Outcome<bool, M>,
    {
        self.keep(false, predicate)
    }

    fn keep<R, M>(&self, wanted: bool, predicate: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> Self
    where
        R: Outcome<bool, M>,
    {
        let run = step(move |cx, record: Record<K, V>| {
            if predicate(&record.key, &record.value).outcome().map_err(Error::User)? == wanted {
                return cx.forward(record);
            }
            Ok(())
        });
        self.unary("KSTREAM-FILTER-", Effect::None, Clone::clone, run)
    }

    /// Looks at each record in passing, for the side effect.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// # use std::sync::{Arc, atomic::{AtomicI64, Ordering}};
    /// let builder = StreamsBuilder::new();
    /// let seen = Arc::new(AtomicI64::new(0));
    /// let sum = seen.clone();
    /// let stream = builder.stream::<String, i64>("in").peek(move |_, amount| {
    ///     sum.fetch_add(*amount, Ordering::Relaxed);
    /// });
    /// stream.to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, ("ann", 20))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("ann".into(), 20)]);
    /// assert_eq!(seen.load(Ordering::Relaxed), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek<R, M>(&self, look: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> Self
    where
        R: Outcome<(), M>,
    {
        let run = step(move |cx, record: Record<K, V>| {
            look(&record.key, &record.value).outcome().map_err(Error::User)?;
            cx.forward(record)
        });
        self.unary("KSTREAM-PEEK-", Effect::None, Clone::clone, run)
    }
}

impl<K: Nullable, V: Data> KStream<K, Option<V>> {
    /// Keeps the records that have a value. In names and numbers it is a [`filter`](Self::filter).
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, i64>("in").to_stream().drop_nulls().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, Option<i64>>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, ("ann", 20))?;
    /// driver.pipe(&input, ("ann", None))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("ann".into(), 20)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drop_nulls(&self) -> KStream<K, V> {
        let run = step(move |cx, record: Record<K, Option<V>>| match record.value {
            Some(value) => cx.forward(Record {
                key: record.key,
                value,
                timestamp: record.timestamp,
                headers: record.headers,
            }),
            None => Ok(()),
        });
        self.unary(
            "KSTREAM-FILTER-",
            Effect::None,
            |above| crate::option::Serdes {
                key: above.key.clone(),
                value: above.value.clone(),
            },
            run,
        )
    }
}
