//! Combining the values of each key.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_topology::{BoxError, Data, Nullable};

use super::{Aggregator, Applied, Naming, Old, Operation};
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
        self.aggregation(reducing(combine))
    }
}

/// Combining values of the stream, or values that may be null: a null begins nothing.
pub(super) fn reducing<K, V, T, N, R, M>(
    combine: impl Fn(V::Inner, T) -> R + Send + Sync + 'static,
) -> Operation<K, V, V::Inner, impl Aggregator<K, T, V::Inner>>
where
    K: Data,
    V: Nullable,
    T: Nullable<Inner = V::Inner>,
    N: Nullable<Inner = V::Inner>,
    R: Outcome<N, M>,
{
    Operation {
        naming: Naming {
            prefix: "KSTREAM-REDUCE-",
            burns: false,
        },
        value_serde: |above| above.value.clone(),
        aggregator: Arc::new(Reduce {
            combine: move |so_far, value: T| combine(so_far, value).outcome().map(N::into_option),
            value: PhantomData,
        }),
    }
}

struct Reduce<F, T> {
    combine: F,
    value: PhantomData<fn(T)>,
}

impl<K, T, F> Aggregator<K, T, T::Inner> for Reduce<F, T>
where
    T: Nullable,
    F: Fn(T::Inner, T) -> Result<Option<T::Inner>, BoxError> + Send + Sync + 'static,
{
    fn apply(&self, _: &K, value: T, before: Option<T::Inner>, old: Old) -> Result<Applied<T::Inner>, BoxError> {
        let Some(before) = before else {
            return Ok(Applied {
                new: value.into_option(),
                old: None,
            });
        };
        let old = old.tells(true).then(|| before.clone());
        Ok(Applied {
            new: (self.combine)(before, value)?,
            old,
        })
    }
}
