//! Grouped streams in windows of time.

use kstreams_topology::{Data, Nullable, Windowed};

use super::fixed::Fixed;
use super::{Divided, Windows};
use crate::aggregate::{
    Aggregator, CogroupedKStream, Operation, TimeWindowedCogroupedKStream, counting, folding, reducing,
};
use crate::outcome::Outcome;
use crate::stream::KGroupedStream;
use crate::table::KTable;
use crate::window::{EmitStrategy, FixedWindows, TimeWindows, UnlimitedWindows};

/// A grouped stream in windows of time: the records of one key and window are aggregated together. Records without a key are
/// dropped, and so are those that come after the grace of all their windows. Records without a value count.
#[derive(Clone)]
pub struct TimeWindowedKStream<K: Data, V: Nullable>(Divided<K, V, FixedWindows>);

impl Windows for TimeWindows {
    type Grouped<K: Data, V: Nullable> = TimeWindowedKStream<K, V>;
    type Cogrouped<K: Data, A: Nullable> = TimeWindowedCogroupedKStream<K, A>;

    fn divide<K: Data, V: Nullable>(self, grouped: &KGroupedStream<K, V>) -> TimeWindowedKStream<K, V> {
        TimeWindowedKStream(Divided::new(grouped, self))
    }

    fn divide_all<K: Data, A: Nullable>(
        self,
        cogrouped: &CogroupedKStream<K, A>,
    ) -> TimeWindowedCogroupedKStream<K, A> {
        TimeWindowedCogroupedKStream::new(cogrouped, self)
    }
}

impl Windows for UnlimitedWindows {
    type Grouped<K: Data, V: Nullable> = TimeWindowedKStream<K, V>;
    type Cogrouped<K: Data, A: Nullable> = TimeWindowedCogroupedKStream<K, A>;

    fn divide<K: Data, V: Nullable>(self, grouped: &KGroupedStream<K, V>) -> TimeWindowedKStream<K, V> {
        TimeWindowedKStream(Divided::new(grouped, self))
    }

    fn divide_all<K: Data, A: Nullable>(
        self,
        cogrouped: &CogroupedKStream<K, A>,
    ) -> TimeWindowedCogroupedKStream<K, A> {
        TimeWindowedCogroupedKStream::new(cogrouped, self)
    }
}

impl<K: Data, V: Nullable> TimeWindowedKStream<K, V> {
    /// Says when aggregates are forwarded: with every update, or once when their window is closed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{EmitStrategy, StreamsBuilder, TimeWindows};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, String>("in").group_by_key();
    /// let windowed = grouped.windowed_by(TimeWindows::of_size(Duration::from_millis(10)));
    /// let counts = windowed.emit(EmitStrategy::OnWindowClose).count();
    /// counts.to_stream().select_key(|windowed, _| windowed.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "x").at(1))?;
    /// driver.pipe(&input, record("a", "y").at(9))?;
    /// driver.pipe(&input, record("b", "closes the window").at(10))?;
    /// assert_eq!(driver.read_all(&output)?, [record("a", 2).at(9)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit(self, emit: EmitStrategy) -> Self {
        Self(self.0.emit(emit))
    }

    /// Counts the records of each key and window.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{StreamsBuilder, TimeWindows};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, String>("in").group_by_key();
    /// let hopping = TimeWindows::of_size(Duration::from_millis(10)).advance_by(Duration::from_millis(5));
    /// let counts = grouped.windowed_by(hopping).count().materialized("counts");
    /// counts.to_stream().select_key(|windowed, _| windowed.window.start.to_string()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "x").at(3))?;
    /// driver.pipe(&input, record("a", "y").at(7))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("0".into(), 1), ("0".into(), 2), ("5".into(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.count_as()
    }

    /// Like [`count`](Self::count), as a type of the program's own that stands for a number.
    pub fn count_as<C: Data + From<i64> + Into<i64>>(&self) -> KTable<Windowed<K>, C> {
        self.aggregation(counting())
    }

    /// Combines the values of each key and window: the first is taken as it is, then the closure gets the combined value so far
    /// and the next, `None` if that record has none. It returns the new value; `None` deletes it, and the next record
    /// begins afresh.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{StreamsBuilder, TimeWindows};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, i64>("in").group_by_key();
    /// let most = grouped.windowed_by(TimeWindows::of_size(Duration::from_millis(10))).reduce(|most: i64, next| most.max(next));
    /// most.to_stream().select_key(|windowed, _| windowed.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", 3).at(1))?;
    /// driver.pipe(&input, record("a", 2).at(2))?;
    /// driver.pipe(&input, record("a", 1).at(10))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 3), ("a".into(), 3), ("a".into(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce<N, R, M>(
        &self,
        combine: impl Fn(V::Inner, V) -> R + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, V::Inner>
    where
        N: Nullable<Inner = V::Inner>,
        R: Outcome<N, M>,
        M: 'static,
    {
        self.aggregation(reducing(combine))
    }

    /// Folds the values of each key and window: `init` makes the aggregate of a new window, `fold` gets key, value and the
    /// aggregate so far. It returns the new aggregate; `None` deletes it, and the next record begins afresh.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{StreamsBuilder, UnlimitedWindows};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("in").group_by_key().windowed_by(UnlimitedWindows::starting_on(100));
    /// let letters = words.aggregate(|| 0, |_, word, letters: i64| letters + word.len() as i64);
    /// letters.to_stream().select_key(|windowed, _| windowed.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "before").at(99))?;
    /// driver.pipe(&input, record("a", "hello").at(100))?;
    /// driver.pipe(&input, record("a", "you").at(1_000_000))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("a".into(), 5), ("a".into(), 8)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<A, N, R, M>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        fold: impl Fn(&K, V, A) -> R + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A::Inner>
    where
        A: Nullable,
        N: Nullable<Inner = A::Inner>,
        R: Outcome<N, M>,
    {
        self.aggregation(folding(init, fold))
    }

    fn aggregation<A: Data>(&self, operation: Operation<K, V, A, impl Aggregator<K, V, A>>) -> KTable<Windowed<K>, A> {
        self.0.aggregation(operation, Some, Fixed::new)
    }
}
