//! Grouped streams in sliding windows.

use kstreams_topology::{Data, Nullable, Windowed};

use super::sliding::Sliding;
use super::{Divided, Windows};
use crate::aggregate::{
    Aggregator, CogroupedKStream, Naming, Operation, SlidingWindowedCogroupedKStream, counting, folding, reducing,
};
use crate::outcome::Outcome;
use crate::stream::KGroupedStream;
use crate::table::KTable;
use crate::window::{EmitStrategy, SlidingWindows};

/// A grouped stream in sliding windows: the records of one key that are close in time are aggregated together. Records
/// without a key or a value are dropped, and so are those that come after the grace of their windows.
#[derive(Clone)]
pub struct SlidingWindowedKStream<K: Data, V: Nullable>(Divided<K, V, SlidingWindows>);

impl Windows for SlidingWindows {
    type Grouped<K: Data, V: Nullable> = SlidingWindowedKStream<K, V>;
    type Cogrouped<K: Data, A: Nullable> = SlidingWindowedCogroupedKStream<K, A>;

    fn divide<K: Data, V: Nullable>(self, grouped: &KGroupedStream<K, V>) -> SlidingWindowedKStream<K, V> {
        SlidingWindowedKStream(Divided::new(grouped, self))
    }

    fn divide_all<K: Data, A: Nullable>(
        self,
        cogrouped: &CogroupedKStream<K, A>,
    ) -> SlidingWindowedCogroupedKStream<K, A> {
        SlidingWindowedCogroupedKStream::new(cogrouped, self)
    }
}

impl<K: Data, V: Nullable> SlidingWindowedKStream<K, V> {
    /// Says when aggregates are forwarded: with every update, or once when their window is closed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{EmitStrategy, SlidingWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, String>("in").group_by_key();
    /// let windowed = grouped.windowed_by(SlidingWindows::of_time_difference(Duration::from_millis(10)));
    /// let counts = windowed.emit(EmitStrategy::OnWindowClose).count();
    /// counts.to_stream().select_key(|windowed, _| windowed.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "x").at(20))?;
    /// driver.pipe(&input, record("b", "closes the window").at(21))?;
    /// assert_eq!(driver.read_all(&output)?, [record("a", 1).at(20)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit(self, emit: EmitStrategy) -> Self {
        Self(self.0.emit(emit))
    }

    /// Counts the records of each key and window.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{SlidingWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, String>("in").group_by_key();
    /// let counts = grouped.windowed_by(SlidingWindows::of_time_difference(Duration::from_millis(10))).count();
    /// counts.to_stream().select_key(|windowed, _| windowed.window.start.to_string()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "x").at(20))?;
    /// driver.pipe(&input, record("a", "y").at(25))?;
    /// // From 10 to 20 there is one record, from 21 to 31 another, and from 15 to 25 there are both.
    /// assert_eq!(driver.read_key_values(&output)?, [("10".into(), 1), ("21".into(), 1), ("15".into(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.count_as()
    }

    /// Like [`count`](Self::count), as a type of the program's own that stands for a number.
    pub fn count_as<C: Data + From<i64> + Into<i64>>(&self) -> KTable<Windowed<K>, C> {
        let counting = counting();
        self.aggregation(Operation {
            naming: Naming {
                burns: false,
                ..counting.naming
            },
            ..counting
        })
    }

    /// Combines the values of each key and window: the first is taken as it is, then the closure gets the combined value so far
    /// and the next. It returns the new value; `None` deletes it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{SlidingWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, i64>("in").group_by_key();
    /// let windowed = grouped.windowed_by(SlidingWindows::of_time_difference(Duration::from_millis(10)));
    /// windowed.reduce(|sum: i64, next| sum + next).to_stream().select_key(|windowed, _| windowed.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", 3).at(20))?;
    /// driver.pipe(&input, record("a", 2).at(25))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 3), ("a".into(), 2), ("a".into(), 5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce<N, R, M>(
        &self,
        combine: impl Fn(V::Inner, V::Inner) -> R + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, V::Inner>
    where
        N: Nullable<Inner = V::Inner>,
        R: Outcome<N, M>,
        M: 'static,
    {
        self.aggregation(reducing(combine))
    }

    /// Folds the values of each key and window: `init` makes the aggregate of a new window, `fold` gets key, value and the
    /// aggregate so far. It returns the new aggregate; `None` deletes it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{SlidingWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, String>("in").group_by_key();
    /// let windowed = grouped.windowed_by(SlidingWindows::of_time_difference(Duration::from_millis(10)));
    /// let letters = windowed.aggregate(|| 0, |_, word, letters: i64| letters + word.len() as i64);
    /// letters.to_stream().select_key(|windowed, _| windowed.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "hello").at(20))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<A, N, R, M>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        fold: impl Fn(&K, V::Inner, A) -> R + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A::Inner>
    where
        A: Nullable,
        N: Nullable<Inner = A::Inner>,
        R: Outcome<N, M>,
    {
        self.aggregation(folding(init, fold))
    }

    fn aggregation<A: Data>(
        &self,
        operation: Operation<K, V, A, impl Aggregator<K, V::Inner, A>>,
    ) -> KTable<Windowed<K>, A> {
        self.0.aggregation(operation, V::into_option, Sliding::new)
    }
}
