//! Grouped streams divided into windows: every record updates the aggregates of its windows.
//!
//! | file | what |
//! |---|---|
//! | `time`, `slide`, `sessions` | the streams as users see them, one file per kind of windows |
//! | `node` | the node of all windowed aggregations |
//! | `fixed`, `sliding`, `session` | how the windows of a record are found and updated |
//! | `table` | the stores, and what each kind of windows means for them |
//! | `closing` | when closed windows are emitted |

use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::{Data, Nullable, Windowed};

use self::node::Procedure;
use super::{Aggregator, CogroupedKStream, Operation};
use crate::error::Result;
use crate::option::Serdes;
use crate::plan::{Draft, Effect, Kind};
use crate::stream::KGroupedStream;
use crate::table::{KTable, TableNode, TablePlan};
use crate::window::EmitStrategy;

mod closing;
mod fixed;
mod node;
mod session;
mod sessions;
mod slide;
mod sliding;
mod table;
mod time;

pub use sessions::SessionWindowedKStream;
pub use slide::SlidingWindowedKStream;
pub use time::TimeWindowedKStream;

pub(super) use fixed::Fixed;
pub(super) use node::windowed_node;
pub(super) use session::{Merge, Session};
pub(super) use sessions::merging;
pub(super) use sliding::Sliding;
pub(super) use table::{WindowSpec, WindowTable, Windowing};

/// Windows that a grouped stream can be divided into.
pub trait Windows: Copy + 'static {
    /// What a grouped stream becomes.
    type Grouped<K: Data, V: Nullable>;

    /// What several grouped streams become that are aggregated together.
    type Cogrouped<K: Data, A: Nullable>;

    /// Divides a grouped stream.
    fn divide<K: Data, V: Nullable>(self, grouped: &KGroupedStream<K, V>) -> Self::Grouped<K, V>;

    /// Divides several grouped streams.
    fn divide_all<K: Data, A: Nullable>(self, cogrouped: &CogroupedKStream<K, A>) -> Self::Cogrouped<K, A>;
}

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Divides the records of each key into windows: [`TimeWindows`](crate::TimeWindows),
    /// [`SlidingWindows`](crate::SlidingWindows), [`SessionWindows`](crate::SessionWindows) or
    /// [`UnlimitedWindows`](crate::UnlimitedWindows).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{StreamsBuilder, TimeWindows};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let ten_seconds = TimeWindows::of_size(Duration::from_secs(10)).grace(Duration::from_secs(5));
    /// let counts = builder.stream::<String, String>("in").group_by_key().windowed_by(ten_seconds).count();
    /// counts.to_stream().select_key(|windowed, _| windowed.key.clone()).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe(&input, record("a", "x").at(9_000))?;
    /// driver.pipe(&input, record("a", "y").at(10_000))?;
    /// driver.pipe(&input, record("a", "late, but not too late").at(8_000))?;
    /// assert_eq!(driver.read_all(&output)?, [
    ///     record("a", 1).at(9_000),
    ///     record("a", 1).at(10_000),
    ///     record("a", 2).at(9_000),
    /// ]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn windowed_by<W: Windows>(&self, windows: W) -> W::Grouped<K, V> {
        windows.divide(self)
    }
}

/// A grouped stream with the windows into which it is divided.
#[derive(Clone)]
struct Divided<K: Data, V: Nullable, W> {
    grouped: KGroupedStream<K, V>,
    windowing: Windowing<W>,
}

impl<K: Data, V: Nullable, W: WindowSpec> Divided<K, V, W> {
    fn new(grouped: &KGroupedStream<K, V>, windows: impl Into<W>) -> Self {
        Self {
            grouped: grouped.clone(),
            windowing: Windowing {
                windows: windows.into(),
                emit: EmitStrategy::default(),
            },
        }
    }

    fn emit(self, emit: EmitStrategy) -> Self {
        Self {
            windowing: Windowing { emit, ..self.windowing },
            ..self
        }
    }

    /// Records an aggregation. Of each value `value` takes what is aggregated, if anything.
    fn aggregation<T, A, G, P>(
        &self,
        operation: Operation<K, V, A, G>,
        value: fn(V) -> Option<T>,
        procedure: impl Fn(W, Arc<G>) -> P + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        T: 'static,
        A: Data,
        G: Aggregator<K, T, A>,
        P: Procedure<K, T, W::Store<K, A>>,
    {
        let divided = self.clone();
        KTable::record(&self.grouped.plan, move |draft, table| {
            divided.plan(draft, table, operation, (value, procedure))
        })
    }

    fn plan<T, A, G, P>(
        self,
        draft: &mut Draft,
        table: &TableNode<Windowed<K>, A>,
        operation: Operation<K, V, A, G>,
        (value, procedure): (fn(V) -> Option<T>, impl Fn(W, Arc<G>) -> P + Send + Sync + 'static),
    ) -> Result<TablePlan<Windowed<K>, A>>
    where
        T: 'static,
        A: Data,
        G: Aggregator<K, T, A>,
        P: Procedure<K, T, W::Store<K, A>>,
    {
        let (windowing, grouped) = (self.windowing, &self.grouped.node);
        let above = Serdes {
            key: grouped.serdes.borrow().key.clone(),
            value: (operation.value_serde)(&grouped.serdes.borrow()),
        };
        let naming = operation.naming;
        let store = WindowTable::draft(draft, table, (windowing, naming), above)?;
        let name = draft.names.or_draw(table.name.take(naming.prefix)?, naming.prefix)?;
        let parent = grouped.aggregation_parent(draft, &store.name)?;
        let (take, aggregator) = (grouped.take, operation.aggregator);
        let store = Rc::new(store);
        let lowered = store.clone();
        let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
            let stored = (lowered.lower(lowering, site)?, lowered.closing(lowering, site)?);
            let procedure = move || procedure(windowing.windows, aggregator.clone());
            let factory = windowed_node((take, value), procedure, stored);
            lowering.processor(site, factory, std::slice::from_ref(&lowered.name))
        });
        draft.attach(parent, node);
        draft.at_mut(node).window_grace_ms = store.window_grace_ms();
        Ok(store.planned(node, name))
    }
}
