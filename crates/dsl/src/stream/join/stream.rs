//! Joins of two streams: records of one key meet if their times are close enough.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_store::{EngineKind, Logging};
use kstreams_topology::{Data, Nullable, Serde};

use super::pair::PairJoiner;
use super::plan::{JoinKind, StreamStream, plan};
use super::{JoinWindows, Joined};
use crate::option::SharedSerde;
use crate::outcome::Outcome;
use crate::plan::Late;
use crate::stream::KStream;

/// Options of a join of two streams, to be set on its [result](Joined).
pub struct StreamJoin<L: Data, R: Data> {
    pub(super) store_name: Late<String>,
    pub(super) engine: Late<EngineKind>,
    pub(super) logging: Late<Logging>,
    pub(super) left: RefCell<Option<SharedSerde<L>>>,
    pub(super) right: RefCell<Option<SharedSerde<R>>>,
}

impl<L: Data, R: Data> StreamJoin<L, R> {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            store_name: Late::new("store name"),
            engine: Late::new("place of the stores"),
            logging: Late::new("logging"),
            left: RefCell::default(),
            right: RefCell::default(),
        })
    }
}

impl<K: Nullable, L: Data, R: Data, V: Nullable> Joined<K, V, StreamJoin<L, R>> {
    /// Names the join's stores: `<name>-this-join-store`, `<name>-other-join-store` and so on. By default their names are
    /// generated, also if the join is [`named`](Self::named).
    pub fn store_name(&self, name: impl Into<String>) -> Self {
        self.options.store_name.set(name.into());
        self.clone()
    }

    /// Keeps the join's records in memory.
    pub fn in_memory(&self) -> Self {
        self.options.engine.set(EngineKind::Memory);
        self.clone()
    }

    /// Keeps the join's records on disk.
    pub fn persistent(&self) -> Self {
        self.options.engine.set(EngineKind::Persistent);
        self.clone()
    }

    /// Logs the join's stores to changelog topics with these configs on top of the defaults. Without configs this is the
    /// default.
    pub fn logged(&self, configs: impl IntoIterator<Item = (String, String)>) -> Self {
        let configs: BTreeMap<String, String> = configs.into_iter().collect();
        self.options.logging.set(Logging::Enabled(configs));
        self.clone()
    }

    /// Keeps no changelogs: what is lost with the directory, or in memory at a restart, stays lost.
    pub fn unlogged(&self) -> Self {
        self.options.logging.set(Logging::Disabled);
        self.clone()
    }

    /// The serde of the left stream's values, in the join's stores and topics. By default the stream's, or the type's own.
    pub fn left_value_serde(&self, serde: impl Serde<L>) -> Self {
        self.options.left.replace(Some(Arc::new(serde)));
        self.clone()
    }

    /// The serde of the right stream's values, in the join's stores and topics. By default the stream's, or the type's own.
    pub fn right_value_serde(&self, serde: impl Serde<R>) -> Self {
        self.options.right.replace(Some(Arc::new(serde)));
        self.clone()
    }
}

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Joins each record with all of the other stream that have its key and are close enough in time. The result has the
    /// later one's time; it comes when the second of the two does. A record without key or value is dropped and counted.
    ///
    /// Where a stream's key was changed, it goes through a repartition topic first; both must have equally many partitions.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{JoinWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let shown = builder.stream::<String, String>("shown");
    /// let clicked = builder.stream::<String, String>("clicked");
    /// let windows = JoinWindows::of_time_difference(Duration::from_secs(10)).before(Duration::ZERO);
    /// shown.join(&clicked, windows, |_, shown, clicked| format!("{shown}: {clicked}")).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let shown = driver.input::<String, String>("shown");
    /// let clicked = driver.input::<String, String>("clicked");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&shown, record("ad", "tea").at(1_000))?;
    /// driver.pipe(&clicked, record("ad", "Ann").at(4_000))?;
    /// driver.pipe(&clicked, record("ad", "Bob").at(12_000))?;
    /// assert_eq!(driver.read_all(&output)?, [record("ad", "tea: Ann").at(4_000)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join<VR, V2, O, M>(
        &self,
        other: &KStream<K, VR>,
        windows: JoinWindows,
        join: impl Fn(&K, &V::Inner, &VR::Inner) -> O + Send + Sync + 'static,
    ) -> Joined<K, V2, StreamJoin<V::Inner, VR::Inner>>
    where
        VR: Nullable,
        V2: Nullable,
        O: Outcome<V2, M>,
    {
        let joiner: PairJoiner<K, V::Inner, VR::Inner, V2> = Arc::new(move |key, left, right| match (left, right) {
            (Some(left), Some(right)) => join(key, left, right).outcome().map(Some),
            _ => Ok(None),
        });
        self.joined_stream(other, JoinKind::Inner, windows, joiner)
    }

    /// Like [`join`](Self::join), but each left record without a match is in the result, too: once it is certain that there
    /// is none, which is when stream time has passed the end of its window and the grace period. It has the record's own
    /// time. A record of the left stream without a key comes at once.
    ///
    /// Stream time goes on with the records of both streams. Without new ones, nothing more comes out.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{JoinWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, String>("orders");
    /// let payments = builder.stream::<String, String>("payments");
    /// let windows = JoinWindows::of_time_difference(Duration::from_secs(10));
    /// orders
    ///     .left_join(&payments, windows, |_, order, paid| match paid {
    ///         Some(paid) => format!("{order}: {paid}"),
    ///         None => format!("{order}: unpaid"),
    ///     })
    ///     .to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let orders = driver.input::<String, String>("orders");
    /// let payments = driver.input::<String, String>("payments");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&orders, record("1", "tea").at(0))?;
    /// driver.pipe(&orders, record("2", "milk").at(1_000))?;
    /// driver.pipe(&payments, record("2", "cash").at(9_000))?;
    /// driver.pipe(&orders, record("3", "rice").at(10_001))?;
    /// assert_eq!(
    ///     driver.read_all(&output)?,
    ///     [record("2", "milk: cash").at(9_000), record("1", "tea: unpaid").at(0)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_join<VR, V2, O, M>(
        &self,
        other: &KStream<K, VR>,
        windows: JoinWindows,
        join: impl Fn(&K, &V::Inner, Option<&VR::Inner>) -> O + Send + Sync + 'static,
    ) -> Joined<K, V2, StreamJoin<V::Inner, VR::Inner>>
    where
        VR: Nullable,
        V2: Nullable,
        O: Outcome<V2, M>,
    {
        let joiner: PairJoiner<K, V::Inner, VR::Inner, V2> = Arc::new(move |key, left, right| {
            let joined = left.map(|left| join(key, left, right).outcome());
            joined.transpose()
        });
        self.joined_stream(other, JoinKind::Left, windows, joiner)
    }

    /// Like [`left_join`](Self::left_join), but the right records without a match are in the result, too. At least one of
    /// the two values is there.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{JoinWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
    /// let windows = JoinWindows::of_time_difference(Duration::from_secs(10));
    /// left.outer_join(&right, windows, |_, left, right| left.unwrap_or(&0) + right.unwrap_or(&0)).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let left = driver.input::<String, i64>("left");
    /// let right = driver.input::<String, i64>("right");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&left, record("a", 1).at(0))?;
    /// driver.pipe(&right, record("a", 2).at(5_000))?;
    /// driver.pipe(&right, record("b", 4).at(6_000))?;
    /// driver.pipe(&right, record("c", 8).at(16_001))?;
    /// assert_eq!(driver.read_all(&output)?, [record("a", 3).at(5_000), record("b", 4).at(6_000)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outer_join<VR, V2, O, M>(
        &self,
        other: &KStream<K, VR>,
        windows: JoinWindows,
        join: impl Fn(&K, Option<&V::Inner>, Option<&VR::Inner>) -> O + Send + Sync + 'static,
    ) -> Joined<K, V2, StreamJoin<V::Inner, VR::Inner>>
    where
        VR: Nullable,
        V2: Nullable,
        O: Outcome<V2, M>,
    {
        let joiner: PairJoiner<K, V::Inner, VR::Inner, V2> =
            Arc::new(move |key, left, right| join(key, left, right).outcome().map(Some));
        self.joined_stream(other, JoinKind::Outer, windows, joiner)
    }

    fn joined_stream<VR: Nullable, V2: Nullable>(
        &self,
        other: &KStream<K, VR>,
        kind: JoinKind,
        windows: JoinWindows,
        joiner: PairJoiner<K, V::Inner, VR::Inner, V2>,
    ) -> Joined<K, V2, StreamJoin<V::Inner, VR::Inner>> {
        let options = StreamJoin::new();
        let join = StreamStream {
            kind,
            windows,
            joiner,
            options: options.clone(),
        };
        let (left, right) = (self.node.clone(), other.node.clone());
        let stream = self.derive(move |draft, child| plan(draft, child, (&left, &right), join));
        Joined { stream, options }
    }
}
