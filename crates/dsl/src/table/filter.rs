//! Tables with fewer rows: filter, filter_not.

use std::sync::Arc;

use kstreams_topology::Data;

use super::KTable;
use super::mapped::{Absence, Operator};
use crate::outcome::Outcome;

impl<K: Data, V: Data> KTable<K, V> {
    /// The rows for which the predicate holds. A row that no longer passes is deleted.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// table.filter(|_, value| value.starts_with('a')).to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, Option<String>>("out");
    /// driver.pipe(&input, ("k", "apple"))?;
    /// driver.pipe(&input, ("k", "pear"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), Some("apple".into())), ("k".into(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter<R, M>(&self, predicate: impl Fn(&K, &V) -> R + Send + Sync + 'static) -> Self
    where
        R: Outcome<bool, M>,
    {
        self.keep(true, predicate)
    }

    /// The rows for which the predicate does not hold. A row that no longer passes is deleted.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// table.filter_not(|_, value| value.is_empty()).to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, Option<String>>("out");
    /// driver.pipe(&input, ("k", "apple"))?;
    /// driver.pipe(&input, ("k", ""))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), Some("apple".into())), ("k".into(), None)]);
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
        self.mapped(Operator {
            prefix: "KTABLE-FILTER-",
            compute: Arc::new(move |key, value: V| {
                let holds = predicate(key, &value).outcome()?;
                Ok((holds == wanted).then_some(value))
            }),
            inherit: Clone::clone,
            absence: Absence::Suppressed,
        })
    }
}
