//! Combining the values of each key.

use std::marker::PhantomData;

use kstreams_topology::{BoxError, Data, Nullable};

use super::{Aggregator, Applied, Old, Prefixes};
use crate::outcome::Outcome;
use crate::stream::KGroupedStream;
use crate::table::KTable;

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Combines the values of each key: the first is taken as it is, then the closure gets the combined value so far and
    /// the next. It returns the new value; `None` deletes it, and the next record begins afresh. Records without a value
    /// are dropped.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let most = builder.stream::<String, i64>("in").group_by_key().reduce(|most: i64, next| most.max(next));
    /// most.to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, ("a", 3))?;
    /// driver.pipe(&input, ("a", 2))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 3), ("a".into(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce<N, R, M>(
        &self,
        combine: impl Fn(V::Inner, V::Inner) -> R + Send + Sync + 'static,
    ) -> KTable<K, V::Inner>
    where
        N: Nullable<Inner = V::Inner>,
        R: Outcome<N, M>,
        M: 'static,
    {
        let combine = move |so_far, value| combine(so_far, value).outcome().map(N::into_option);
        self.aggregation(
            Prefixes {
                node: "KSTREAM-REDUCE-",
                burns: false,
            },
            Reduce {
                combine,
                value: PhantomData,
            },
        )
    }
}

struct Reduce<F, T> {
    combine: F,
    value: PhantomData<fn(T)>,
}

impl<K, V, F> Aggregator<K, V, V::Inner> for Reduce<F, V::Inner>
where
    V: Nullable,
    F: Fn(V::Inner, V::Inner) -> Result<Option<V::Inner>, BoxError> + Send + Sync + 'static,
{
    fn apply(&self, _: &K, value: V::Inner, before: Option<V::Inner>, old: Old) -> Result<Applied<V::Inner>, BoxError> {
        let Some(before) = before else {
            return Ok(Applied {
                new: Some(value),
                old: None,
            });
        };
        let old = (old == Old::Wanted).then(|| before.clone());
        Ok(Applied {
            new: (self.combine)(before, value)?,
            old,
        })
    }
}
