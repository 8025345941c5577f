//! Folding the values of each key into something else.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_topology::{BoxError, Data, Nullable};

use super::{Aggregator, Applied, Naming, Old, Operation};
use crate::outcome::Outcome;
use crate::stream::KGroupedStream;
use crate::table::KTable;

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Folds the values of each key: `init` makes the aggregate of a new key, `fold` gets key, value and the aggregate so
    /// far. It returns the new aggregate; `None` deletes it, and the next record begins afresh. Records without a value
    /// are dropped. Where `init` returns an `Option`, `fold` gets one.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("in").group_by_key();
    /// let letters = words.aggregate(|| 0, |_, word, letters: i64| letters + word.len() as i64);
    /// letters.to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, ("a", "hello"))?;
    /// driver.pipe(&input, ("a", "you"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 5), ("a".into(), 8)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<A, N, R, M>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        fold: impl Fn(&K, V::Inner, A) -> R + Send + Sync + 'static,
    ) -> KTable<K, A::Inner>
    where
        A: Nullable,
        N: Nullable<Inner = A::Inner>,
        R: Outcome<N, M>,
    {
        self.aggregation(folding(init, fold))
    }
}

/// Folding values of the stream, or values that may be null.
pub(super) fn folding<K, V, T, A, N, R, M>(
    init: impl Fn() -> A + Send + Sync + 'static,
    fold: impl Fn(&K, T, A) -> R + Send + Sync + 'static,
) -> Operation<K, V, A::Inner, impl Aggregator<K, T, A::Inner>>
where
    K: Data,
    V: Nullable,
    T: 'static,
    A: Nullable,
    N: Nullable<Inner = A::Inner>,
    R: Outcome<N, M>,
{
    Operation {
        naming: Naming {
            prefix: "KSTREAM-AGGREGATE-",
            burns: false,
        },
        value_serde: |_| None,
        aggregator: Arc::new(Fold::new(init, move |key: &K, value: T, so_far| {
            fold(key, value, so_far).outcome().map(N::into_option)
        })),
    }
}

pub(in crate::aggregate) struct Fold<I, F, T> {
    init: I,
    fold: F,
    types: PhantomData<fn(T)>,
}

impl<K, T, A, I, F> Fold<I, F, (K, T, A)>
where
    A: Nullable,
    I: Fn() -> A,
    F: Fn(&K, T, A) -> Result<Option<A::Inner>, BoxError>,
{
    pub(in crate::aggregate) fn new(init: I, fold: F) -> Self {
        Self {
            init,
            fold,
            types: PhantomData,
        }
    }
}

impl<K, T, A, I, F> Aggregator<K, T, A::Inner> for Fold<I, F, (K, T, A)>
where
    K: 'static,
    T: 'static,
    A: Nullable,
    I: Fn() -> A + Send + Sync + 'static,
    F: Fn(&K, T, A) -> Result<Option<A::Inner>, BoxError> + Send + Sync + 'static,
{
    fn apply(&self, key: &K, value: T, before: Option<A::Inner>, old: Old) -> Result<Applied<A::Inner>, BoxError> {
        let tells = old.tells(before.is_some());
        let before = so_far(before).unwrap_or_else(&self.init);
        let old = if tells { before.as_option().cloned() } else { None };
        Ok(Applied {
            new: (self.fold)(key, value, before)?,
            old,
        })
    }
}

/// The aggregate so far, if there is one, as closures take it.
pub(in crate::aggregate) fn so_far<A: Nullable>(stored: Option<A::Inner>) -> Option<A> {
    A::from_option(Some(stored?))
}
