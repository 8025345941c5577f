//! Grouped streams in sessions.

use std::sync::Arc;

use kstreams_topology::{Data, Nullable, Windowed};

use super::session::{Merge, Session};
use super::{Divided, Windows};
use crate::aggregate::fold::so_far;
use crate::aggregate::{
    Aggregator, CogroupedKStream, Old, Operation, SessionWindowedCogroupedKStream, counting, folding, reducing,
};
use crate::outcome::Outcome;
use crate::stream::KGroupedStream;
use crate::table::KTable;
use crate::window::{EmitStrategy, SessionWindows};

/// A grouped stream in sessions: the records of one key are aggregated together as long as no gap is between them. When a
/// session grows, the shorter one is deleted from the table. Records without a key are dropped, and so are those that come
/// after the grace of their session. Records without a value count.
#[derive(Clone)]
pub struct SessionWindowedKStream<K: Data, V: Nullable>(Divided<K, V, SessionWindows>);

impl Windows for SessionWindows {
    type Grouped<K: Data, V: Nullable> = SessionWindowedKStream<K, V>;
    type Cogrouped<K: Data, A: Nullable> = SessionWindowedCogroupedKStream<K, A>;

    fn divide<K: Data, V: Nullable>(self, grouped: &KGroupedStream<K, V>) -> SessionWindowedKStream<K, V> {
        SessionWindowedKStream(Divided::new(grouped, self))
    }

    fn divide_all<K: Data, A: Nullable>(
        self,
        cogrouped: &CogroupedKStream<K, A>,
    ) -> SessionWindowedCogroupedKStream<K, A> {
        SessionWindowedCogroupedKStream::new(cogrouped, self)
    }
}

impl<K: Data, V: Nullable> SessionWindowedKStream<K, V> {
    /// Says when aggregates are forwarded: with every update, or once when their session is closed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{EmitStrategy, SessionWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, String>("in").group_by_key();
    /// let windowed = grouped.windowed_by(SessionWindows::of_inactivity_gap(Duration::from_millis(10)));
    /// let counts = windowed.emit(EmitStrategy::OnWindowClose).count();
    /// counts.to_stream().select_key(|windowed, _| windowed.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "x").at(0))?;
    /// driver.pipe(&input, record("a", "y").at(5))?;
    /// driver.pipe(&input, record("b", "closes the session").at(16))?;
    /// assert_eq!(driver.read_all(&output)?, [record("a", 2).at(5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit(self, emit: EmitStrategy) -> Self {
        Self(self.0.emit(emit))
    }

    /// Counts the records of each key and session.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{SessionWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks").group_by_key();
    /// let sessions = clicks.windowed_by(SessionWindows::of_inactivity_gap(Duration::from_millis(10)));
    /// let counts = sessions.count();
    /// counts.to_stream().select_key(|session, _| format!("{:?}", session.window)).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let clicks = driver.input::<String, String>("clicks");
    /// let output = driver.output::<String, Option<i64>>("out");
    /// driver.pipe(&clicks, record("a", "x").at(0))?;
    /// driver.pipe(&clicks, record("a", "y").at(10))?;
    /// assert_eq!(driver.read_key_values(&output)?, [
    ///     ("Window { start: 0, end: 0 }".into(), Some(1)),
    ///     ("Window { start: 0, end: 0 }".into(), None),
    ///     ("Window { start: 0, end: 10 }".into(), Some(2)),
    /// ]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.count_as()
    }

    /// Like [`count`](Self::count), as a type of the program's own that stands for a number.
    pub fn count_as<C: Data + From<i64> + Into<i64>>(&self) -> KTable<Windowed<K>, C> {
        let merge: Merge<K, C> = Arc::new(|_, so_far, session| {
            let so_far: i64 = so_far.map_or(0, Into::into);
            Ok(Some(C::from(so_far.wrapping_add(session.into()))))
        });
        self.aggregation(counting(), |_| merge)
    }

    /// Combines the values of each key and session: the first is taken as it is, then the closure gets the combined value so
    /// far and the next, `None` if that record has none. It also combines the values of sessions that become one, the earlier
    /// one first. It returns the new value; `None` deletes it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{SessionWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, i64>("in").group_by_key();
    /// let sessions = grouped.windowed_by(SessionWindows::of_inactivity_gap(Duration::from_millis(10)));
    /// let most = sessions.reduce(|most: i64, next| most.max(next));
    /// most.to_stream().select_key(|session, _| session.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// let output = driver.output::<String, Option<i64>>("out");
    /// driver.pipe(&input, record("a", 3).at(0))?;
    /// driver.pipe(&input, record("a", 2).at(5))?;
    /// assert_eq!(driver.read_values(&output)?, [Some(3), None, Some(3)]);
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
        self.aggregation(reducing(combine), |aggregator| {
            let aggregator = aggregator.clone();
            Arc::new(move |key, so_far, session| match V::from_option(Some(session)) {
                Some(session) => Ok(aggregator.apply(key, session, so_far, Old::Unwanted)?.new),
                None => Ok(so_far),
            })
        })
    }

    /// Folds the values of each key and session: `init` makes a new aggregate, `fold` gets key, value and the aggregate so
    /// far. When a record meets sessions, `merge` gets key, what is merged so far, beginning with `init`'s, and the
    /// aggregate of the next session; the record is folded into what comes of them. Both return the new aggregate; `None`
    /// deletes it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{SessionWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let grouped = builder.stream::<String, String>("in").group_by_key();
    /// let sessions = grouped.windowed_by(SessionWindows::of_inactivity_gap(Duration::from_millis(10)));
    /// let letters = sessions.aggregate(
    ///     || 0,
    ///     |_, word, letters: i64| letters + word.len() as i64,
    ///     |_, one: i64, other: i64| one + other,
    /// );
    /// letters.to_stream().select_key(|session, _| session.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, Option<i64>>("out");
    /// driver.pipe(&input, record("a", "hello").at(0))?;
    /// driver.pipe(&input, record("a", "you").at(5))?;
    /// assert_eq!(driver.read_values(&output)?, [Some(5), None, Some(8)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<A, N, R, M, N2, R2, M2>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        fold: impl Fn(&K, V, A) -> R + Send + Sync + 'static,
        merge: impl Fn(&K, A, A::Inner) -> R2 + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A::Inner>
    where
        A: Nullable,
        N: Nullable<Inner = A::Inner>,
        R: Outcome<N, M>,
        N2: Nullable<Inner = A::Inner>,
        R2: Outcome<N2, M2>,
    {
        let init = Arc::new(init);
        let merge = merging(init.clone(), merge);
        self.aggregation(folding(move || init(), fold), |_| merge)
    }

    fn aggregation<A: Data, G: Aggregator<K, V, A>>(
        &self,
        operation: Operation<K, V, A, G>,
        merge: impl FnOnce(&Arc<G>) -> Merge<K, A>,
    ) -> KTable<Windowed<K>, A> {
        let merge = merge(&operation.aggregator);
        self.0.aggregation(operation, Some, move |windows, aggregator| {
            Session::new(windows, aggregator, merge.clone())
        })
    }
}

/// The user's merge of sessions, which begins with `init`'s aggregate.
pub(in crate::aggregate) fn merging<K, A, N, R, M>(
    init: Arc<impl Fn() -> A + Send + Sync + ?Sized + 'static>,
    merge: impl Fn(&K, A, A::Inner) -> R + Send + Sync + 'static,
) -> Merge<K, A::Inner>
where
    A: Nullable,
    N: Nullable<Inner = A::Inner>,
    R: Outcome<N, M>,
{
    Arc::new(move |key, merged, session| {
        let merged = so_far(merged).unwrap_or_else(|| init());
        merge(key, merged, session).outcome().map(N::into_option)
    })
}
