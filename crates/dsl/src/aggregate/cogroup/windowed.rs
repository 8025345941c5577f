//! Several streams aggregated together, in windows.

use std::sync::Arc;

use kstreams_topology::{Data, Nullable, Windowed};

use super::{CogroupedKStream, Init};
use crate::aggregate::windowed::merging;
use crate::outcome::Outcome;
use crate::table::KTable;
use crate::window::{FixedWindows, SessionWindows, SlidingWindows};

macro_rules! windowed {
    ($(#[$doc:meta])* $name:ident, $windows:ty) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name<K: Data, A: Nullable> {
            cogrouped: CogroupedKStream<K, A>,
            windows: $windows,
        }

        impl<K: Data, A: Nullable> $name<K, A> {
            pub(in crate::aggregate) fn new(cogrouped: &CogroupedKStream<K, A>, windows: impl Into<$windows>) -> Self {
                Self {
                    cogrouped: cogrouped.clone(),
                    windows: windows.into(),
                }
            }
        }
    };
}

windowed!(
    /// Several grouped streams in windows of time.
    TimeWindowedCogroupedKStream,
    FixedWindows
);
windowed!(
    /// Several grouped streams in sliding windows.
    SlidingWindowedCogroupedKStream,
    SlidingWindows
);
windowed!(
    /// Several grouped streams in sessions.
    SessionWindowedCogroupedKStream,
    SessionWindows
);

impl<K: Data, A: Nullable> TimeWindowedCogroupedKStream<K, A> {
    /// Aggregates the streams; `init` makes the aggregate of a new window.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{StreamsBuilder, TimeWindows};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let views = builder.stream::<String, i64>("views").group_by_key();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let both = views.cogroup(|_, n, sum: i64| sum + n).cogroup(&clicks, |_, n, sum| sum + 10 * n);
    /// let scores = both.windowed_by(TimeWindows::of_size(Duration::from_secs(60))).aggregate(|| 0);
    /// scores.to_stream().select_key(|windowed, _| windowed.key.clone()).to("scores");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let views = driver.input::<String, i64>("views");
    /// let clicks = driver.input::<String, i64>("clicks");
    /// let scores = driver.output::<String, i64>("scores");
    /// driver.pipe(&views, record("page", 3).at(1_000))?;
    /// driver.pipe(&clicks, record("page", 1).at(1_000))?;
    /// assert_eq!(driver.read_values(&scores)?, [3, 13]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate(&self, init: impl Fn() -> A + Send + Sync + 'static) -> KTable<Windowed<K>, A::Inner> {
        let (windows, init) = (self.windows, Arc::new(init) as Init<A>);
        self.cogrouped.windowed(windows, move |input, store| {
            input.fixed(init.clone(), windows, store.clone())
        })
    }
}

impl<K: Data, A: Nullable> SlidingWindowedCogroupedKStream<K, A> {
    /// Aggregates the streams; `init` makes the aggregate of a new window.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{SlidingWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let views = builder.stream::<String, i64>("views").group_by_key();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let both = views.cogroup(|_, n, sum: i64| sum + n).cogroup(&clicks, |_, n, sum| sum + 10 * n);
    /// let scores = both.windowed_by(SlidingWindows::of_time_difference(Duration::from_millis(100))).aggregate(|| 0);
    /// scores.to_stream().select_key(|windowed, _| windowed.key.clone()).to("scores");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let views = driver.input::<String, i64>("views");
    /// let clicks = driver.input::<String, i64>("clicks");
    /// let scores = driver.output::<String, i64>("scores");
    /// driver.pipe(&views, record("page", 3).at(1_000))?;
    /// driver.pipe(&clicks, record("page", 1).at(1_000))?;
    /// assert_eq!(driver.read_values(&scores)?, [3, 13]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate(&self, init: impl Fn() -> A + Send + Sync + 'static) -> KTable<Windowed<K>, A::Inner> {
        let (windows, init) = (self.windows, Arc::new(init) as Init<A>);
        self.cogrouped.windowed(windows, move |input, store| {
            input.sliding(init.clone(), windows, store.clone())
        })
    }
}

impl<K: Data, A: Nullable> SessionWindowedCogroupedKStream<K, A> {
    /// Aggregates the streams; `init` makes the aggregate of a new session, `merge` makes one of those of two sessions, see
    /// [`SessionWindowedKStream::aggregate`](crate::SessionWindowedKStream::aggregate).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{SessionWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let views = builder.stream::<String, i64>("views").group_by_key();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let both = views.cogroup(|_, n, sum: i64| sum + n).cogroup(&clicks, |_, n, sum| sum + 10 * n);
    /// let scores = both.windowed_by(SessionWindows::of_inactivity_gap(Duration::from_secs(60))).aggregate(|| 0, |_, one: i64, other: i64| one + other);
    /// scores.to_stream().select_key(|windowed, _| windowed.key.clone()).to("scores");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let views = driver.input::<String, i64>("views");
    /// let clicks = driver.input::<String, i64>("clicks");
    /// let scores = driver.output::<String, i64>("scores");
    /// driver.pipe(&views, record("page", 3).at(1_000))?;
    /// driver.pipe(&clicks, record("page", 1).at(1_000))?;
    /// assert_eq!(driver.read_values(&scores)?, [3, 13]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<N, R, M>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A::Inner) -> R + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A::Inner>
    where
        N: Nullable<Inner = A::Inner>,
        R: Outcome<N, M>,
    {
        let (windows, init) = (self.windows, Arc::new(init) as Init<A>);
        let merge = merging(init.clone(), merge);
        self.cogrouped.windowed(windows, move |input, store| {
            input.session(init.clone(), (windows, merge.clone()), store.clone())
        })
    }
}
