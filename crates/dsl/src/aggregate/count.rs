//! Counting the records of each key.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_topology::{BoxError, Data, Nullable};

use super::{Aggregator, Applied, Naming, Old, Operation};
use crate::stream::KGroupedStream;
use crate::table::KTable;

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Counts the records of each key. Records without a value do not count.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let counts = builder.stream::<String, String>("in").group_by_key().count();
    /// counts.materialized("counts").to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "x").at(7))?;
    /// driver.pipe(&input, record("a", "y").at(5))?;
    /// assert_eq!(driver.read_all(&output)?, [record("a", 1).at(7), record("a", 2).at(7)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count(&self) -> KTable<K, i64> {
        self.count_as()
    }

    /// Like [`count`](Self::count), as a type of the program's own that stands for a number.
    pub fn count_as<C: Data + From<i64> + Into<i64>>(&self) -> KTable<K, C> {
        self.aggregation(counting())
    }
}

/// Counting, whatever is counted.
pub(super) fn counting<K: Data, V: Nullable, C: Data>() -> Operation<K, V, C, Count<C>> {
    Operation {
        naming: Naming {
            prefix: "KSTREAM-AGGREGATE-",
            burns: true,
        },
        value_serde: |_| None,
        aggregator: Arc::new(Count(PhantomData)),
    }
}

pub(super) struct Count<C>(PhantomData<fn(C)>);

impl<K, T, C: Data + From<i64> + Into<i64>> Aggregator<K, T, C> for Count<C> {
    fn apply(&self, _: &K, _: T, before: Option<C>, old: Old) -> Result<Applied<C>, BoxError> {
        let tells = old.tells(before.is_some());
        let before: i64 = before.map_or(0, Into::into);
        Ok(Applied {
            new: Some(C::from(before.wrapping_add(1))),
            old: tells.then(|| C::from(before)),
        })
    }
}
