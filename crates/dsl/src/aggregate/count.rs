//! Counting the records of each key.

use kstreams_topology::{BoxError, Data, Nullable};

use super::{Aggregator, Applied, Old, Prefixes};
use crate::stream::KGroupedStream;
use crate::table::KTable;

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Counts the records of each key. Records without a value do not count.
    pub fn count(&self) -> KTable<K, i64> {
        self.aggregation(
            Prefixes {
                node: "KSTREAM-AGGREGATE-",
                burns: true,
            },
            Count,
        )
    }
}

struct Count;

impl<K, V: Nullable> Aggregator<K, V, i64> for Count {
    fn apply(&self, _: &K, _: V::Inner, before: Option<i64>, old: Old) -> Result<Applied<i64>, BoxError> {
        let before = before.unwrap_or(0);
        Ok(Applied {
            new: Some(before.wrapping_add(1)),
            old: (old == Old::Wanted).then_some(before),
        })
    }
}
