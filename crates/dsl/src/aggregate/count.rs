//! Counting the records of each key.

use std::marker::PhantomData;

use kstreams_topology::{BoxError, Data, Nullable};

use super::{Aggregator, Applied, Old, Prefixes};
use crate::stream::KGroupedStream;
use crate::table::KTable;

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Counts the records of each key. Records without a value do not count.
    pub fn count(&self) -> KTable<K, i64> {
        self.count_as()
    }

    /// Like [`count`](Self::count), as a type of the program's own that stands for a number.
    pub fn count_as<C: Data + From<i64> + Into<i64>>(&self) -> KTable<K, C> {
        self.aggregation(
            Prefixes {
                node: "KSTREAM-AGGREGATE-",
                burns: true,
            },
            Count(PhantomData),
        )
    }
}

struct Count<C>(PhantomData<fn(C)>);

impl<K, V: Nullable, C: Data + From<i64> + Into<i64>> Aggregator<K, V, C> for Count<C> {
    fn apply(&self, _: &K, _: V::Inner, before: Option<C>, old: Old) -> Result<Applied<C>, BoxError> {
        let before: i64 = before.map_or(0, Into::into);
        Ok(Applied {
            new: Some(C::from(before.wrapping_add(1))),
            old: (old == Old::Wanted).then(|| C::from(before)),
        })
    }
}
