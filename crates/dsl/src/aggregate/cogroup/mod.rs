//! Several grouped streams of one key type, aggregated together (KIP-150).
//!
//! Each input has a node of its own, which folds its records into the store that all share; a node below brings their changes
//! together. Of windows, each input keeps its own stream time: it is not late because of another one.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::{Change, Data, Nullable, Record, Windowed};

use super::Naming;
use super::kept::Kept;
use super::windowed::{WindowSpec, WindowTable, Windowing, Windows};
use crate::error::Result;
use crate::option::Serdes;
use crate::outcome::Outcome;
use crate::plan::{Draft, Effect, Kind, Lowering, NodeId, Plan, Site};
use crate::step::{Factory, step};
use crate::stream::KGroupedStream;
use crate::table::{Forwarder, KTable, TableNode, TablePlan, TableStore};
use crate::window::EmitStrategy;

mod member;
mod windowed;

pub use windowed::{SessionWindowedCogroupedKStream, SlidingWindowedCogroupedKStream, TimeWindowedCogroupedKStream};

use member::{Folded, Init, Member};

const NAMING: Naming = Naming {
    prefix: "COGROUPKSTREAM-AGGREGATE-",
    burns: false,
};

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Begins an aggregation of several streams. `fold` gets key, value and the aggregate so far, and returns the new aggregate;
    /// `None` deletes it. Records without a value are dropped, except in windows of time and sessions.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let purchases = builder.stream::<String, i64>("purchases").group_by_key();
    /// let refunds = builder.stream::<String, i64>("refunds").group_by_key();
    /// let balance = purchases
    ///     .cogroup(|_, amount, balance: i64| balance + amount)
    ///     .cogroup(&refunds, |_, amount, balance| balance - amount)
    ///     .aggregate(|| 0);
    /// balance.materialized("balance").to_stream().to("balances");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let purchases = driver.input::<String, i64>("purchases");
    /// let refunds = driver.input::<String, i64>("refunds");
    /// let balances = driver.output::<String, i64>("balances");
    /// driver.pipe(&purchases, ("ann", 100))?;
    /// driver.pipe(&refunds, ("ann", 30))?;
    /// assert_eq!(driver.read_key_values(&balances)?, [("ann".into(), 100), ("ann".into(), 70)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cogroup<A, N, R, M>(&self, fold: impl Fn(&K, V, A) -> R + Send + Sync + 'static) -> CogroupedKStream<K, A>
    where
        A: Nullable,
        N: Nullable<Inner = A::Inner>,
        R: Outcome<N, M>,
    {
        let none = CogroupedKStream {
            plan: self.plan.clone(),
            inputs: Vec::new(),
            parents: Rc::default(),
        };
        none.cogroup(self, fold)
    }
}

/// Several grouped streams that are to be aggregated together.
pub struct CogroupedKStream<K: Data, A: Nullable> {
    plan: Plan,
    inputs: Vec<Rc<dyn Member<K, A>>>,
    /// Where the inputs come from, once that is drafted: an input without a name has one repartition topic for all
    /// aggregations of these streams.
    parents: Rc<RefCell<Vec<(*const (), NodeId)>>>,
}

impl<K: Data, A: Nullable> Clone for CogroupedKStream<K, A> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            inputs: self.inputs.clone(),
            parents: self.parents.clone(),
        }
    }
}

impl<K: Data, A: Nullable> CogroupedKStream<K, A> {
    /// Adds a stream, see [`KGroupedStream::cogroup`]. A stream that is there already gets the new `fold`.
    pub fn cogroup<V, N, R, M>(
        &self,
        grouped: &KGroupedStream<K, V>,
        fold: impl Fn(&K, V, A) -> R + Send + Sync + 'static,
    ) -> Self
    where
        V: Nullable,
        N: Nullable<Inner = A::Inner>,
        R: Outcome<N, M>,
    {
        let fold = move |key: &K, value, so_far| fold(key, value, so_far).outcome().map(N::into_option);
        let input = Rc::new(Folded::new(&grouped.node, fold));
        let mut inputs = self.inputs.clone();
        let same = inputs.iter_mut().find(|known| known.identity() == input.identity());
        match same {
            Some(known) => *known = input,
            None => inputs.push(input),
        }
        Self { inputs, ..self.clone() }
    }

    /// Aggregates the streams; `init` makes the aggregate of a new key.
    pub fn aggregate(&self, init: impl Fn() -> A + Send + Sync + 'static) -> KTable<K, A::Inner> {
        let (cogrouped, init) = (self.clone(), Arc::new(init) as Init<A>);
        KTable::record(&self.plan, move |draft, table| {
            let kept = Kept::draft(draft, table, NAMING, &cogrouped.serdes())?;
            cogrouped.plan(draft, table, kept, move |input, store| {
                input.plain(init.clone(), store.clone())
            })
        })
    }

    /// Divides the records of each key into windows, see [`KGroupedStream::windowed_by`].
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
    /// driver.pipe(&clicks, record("page", 1).at(2_000))?;
    /// assert_eq!(driver.read_key_values(&scores)?, [("page".into(), 3), ("page".into(), 13)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn windowed_by<W: Windows>(&self, windows: W) -> W::Cogrouped<K, A> {
        windows.divide_all(self)
    }

    /// The serdes that the table inherits.
    fn serdes(&self) -> Serdes<K, A::Inner> {
        Serdes {
            key: self.inputs.iter().find_map(|input| input.key_serde()),
            value: None,
        }
    }

    /// Records the aggregation of windows.
    fn windowed<W: WindowSpec>(
        &self,
        windows: W,
        node: impl Fn(&dyn Member<K, A>, &Forwarder<W::Store<K, A::Inner>>) -> Factory + 'static,
    ) -> KTable<Windowed<K>, A::Inner> {
        let cogrouped = self.clone();
        let windowing = Windowing {
            windows,
            emit: EmitStrategy::OnWindowUpdate,
        };
        KTable::record(&self.plan, move |draft, table| {
            let store = WindowTable::draft(draft, table, (windowing, NAMING), cogrouped.serdes())?;
            cogrouped.plan(draft, table, store, node)
        })
    }

    /// Drafts a node for each input, on one store, and the one below them.
    fn plan<S>(
        &self,
        draft: &mut Draft,
        table: &TableNode<S::Key, A::Inner>,
        store: S,
        node: impl Fn(&dyn Member<K, A>, &S::Lowered) -> Factory + 'static,
    ) -> Result<TablePlan<S::Key, A::Inner>>
    where
        S: SharedStore<Value = A::Inner>,
    {
        const MERGE: &str = "COGROUPKSTREAM-MERGE-";
        let given = table.name.take(NAMING.prefix)?;
        let suffixed = |suffix: String| given.as_ref().map(|name| format!("{name}-cogroup-{suffix}"));
        let parents = self.draft_parents(draft, store.name())?;
        let (store, node, lowered) = (Rc::new(store), Rc::new(node), Rc::new(OnceCell::new()));
        let mut nodes = Vec::new();
        for (at, (input, parent)) in self.inputs.iter().zip(parents).enumerate() {
            let name = draft.names.or_draw(suffixed(format!("agg-{at}")), NAMING.prefix)?;
            let (input, store, node, lowered) = (input.clone(), store.clone(), node.clone(), lowered.clone());
            let write = move |lowering: &mut Lowering, site: &Site| {
                let shared = match lowered.get() {
                    Some(shared) => shared,
                    None => {
                        let shared = store.lower(lowering, site)?;
                        lowered.get_or_init(|| shared)
                    }
                };
                lowering.processor(site, node(&*input, shared), &[store.name().to_owned()])
            };
            let node = draft.node(&name, (Kind::Plain, Effect::None), write);
            draft.attach(parent, node);
            nodes.push(node);
        }
        let name = draft.names.or_draw(suffixed("merge".to_owned()), MERGE)?;
        let pass = step(|cx, record: Record<S::Key, Change<A::Inner>>| cx.forward(record));
        let merge = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
            lowering.processor(site, pass, &[])?;
            let parents: Vec<&str> = site.parents.iter().map(String::as_str).collect();
            lowering.copartition(&parents)
        });
        for node in nodes {
            draft.attach(node, merge);
        }
        draft.at_mut(merge).window_grace_ms = store.window_grace_ms();
        Ok(store.planned(merge, name))
    }

    /// The nodes under which the inputs' nodes stand.
    fn draft_parents(&self, draft: &mut Draft, store: &str) -> Result<Vec<NodeId>> {
        let mut known = self.parents.borrow_mut();
        let mut parents = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let earlier = known.iter().find(|(known, _)| *known == input.identity());
            let parent = match earlier {
                Some((_, parent)) => *parent,
                None => {
                    let parent = input.parent(draft, store)?;
                    known.push((input.identity(), parent));
                    parent
                }
            };
            parents.push(parent);
        }
        Ok(parents)
    }
}

/// The store that all inputs share.
trait SharedStore: 'static {
    type Key: Data;
    type Value: Data;
    /// What the nodes use.
    type Lowered: 'static;

    fn name(&self) -> &str;

    fn lower(&self, lowering: &mut Lowering, site: &Site) -> Result<Self::Lowered>;

    /// Of windows: how long after its end one takes no more records.
    fn window_grace_ms(&self) -> Option<i64>;

    fn planned(&self, node: NodeId, name: String) -> TablePlan<Self::Key, Self::Value>;
}

macro_rules! shared_store {
    ($key:ty, $lowered:ty) => {
        type Key = $key;
        type Value = A;
        type Lowered = $lowered;

        fn name(&self) -> &str {
            &self.name
        }

        fn lower(&self, lowering: &mut Lowering, site: &Site) -> Result<Self::Lowered> {
            self.lower(lowering, site)
        }

        fn window_grace_ms(&self) -> Option<i64> {
            self.window_grace_ms()
        }

        fn planned(&self, node: NodeId, name: String) -> TablePlan<Self::Key, A> {
            self.planned(node, name)
        }
    };
}

impl<K: Data, A: Data> SharedStore for Kept<K, A> {
    shared_store!(K, TableStore<K, A>);
}

impl<K: Data, A: Data, W: WindowSpec> SharedStore for WindowTable<K, A, W> {
    shared_store!(Windowed<K>, Forwarder<W::Store<K, A>>);
}
