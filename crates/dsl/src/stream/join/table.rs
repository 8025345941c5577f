//! Joins of a stream with a table: a record looks up the row of its key.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kstreams_store::{EngineKind, Kind as StoreType, Logging, StoreSpec};
use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::{KeyValueFront, StoreBuilder, StoreDefinition, StoreHandle, TimeOrderedBuffer};
use kstreams_topology::{Data, Error, Nullable, Record, Serde};

use super::Joined;
use super::grace::{GraceNode, KeylessWait};
use super::lookup::{Found, Keyless, Look, LookupNode, RowJoiner};
use crate::error::{Error as BuildError, Result as BuildResult};
use crate::option::{Serdes, SharedSerde};
use crate::outcome::Outcome;
use crate::plan::{Draft, Effect, Kind, Late, Lowering};
use crate::step::Factory;
use crate::stream::{KStream, StreamNode, StreamPlan};
use crate::table::{KTable, RowGetter, TableNode};
use crate::window::millis;

/// Options of a join of a stream with a table, to be set on its [result](Joined).
pub struct TableJoin<V: Data> {
    value: RefCell<Option<SharedSerde<V>>>,
    grace: Late<Duration>,
}

impl<V: Data> TableJoin<V> {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            value: RefCell::default(),
            grace: Late::new("grace period"),
        })
    }
}

impl<K: Nullable, L: Data, V: Nullable> Joined<K, V, TableJoin<L>> {
    /// The serde of the stream's values, where they go through a repartition topic or wait for late rows. By default the
    /// stream's, or the type's own.
    pub fn left_value_serde(&self, serde: impl Serde<L>) -> Self {
        self.options.value.replace(Some(Arc::new(serde)));
        self.clone()
    }

    /// Lets records wait until the stream's time is this far ahead of them, so that they are joined with rows that come
    /// late, too (KIP-923). The table has to be versioned, with a history at least as long. Records that come later than
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{Materialized, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let rates = builder.table::<String, String>("rates");
    /// let rates = rates.materialized(Materialized::named("rates").versioned(Duration::from_secs(60)));
    /// let sales = builder.stream::<String, String>("sales");
    /// let joined = sales.join_table(&rates, |_, sale, rate| format!("{sale} at {rate}"));
    /// joined.grace(Duration::from_secs(10)).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let rates = driver.input::<String, String>("rates");
    /// let sales = driver.input::<String, String>("sales");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&rates, record("eur", "1.10").at(1_000))?;
    /// driver.pipe(&sales, record("eur", "tea").at(6_000))?;
    /// // The rate of second five comes late, but not too late.
    /// driver.pipe(&rates, record("eur", "1.20").at(5_000))?;
    /// driver.pipe(&sales, record("eur", "milk").at(16_000))?;
    /// assert_eq!(driver.read_all(&output)?, [record("eur", "tea at 1.20").at(6_000)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grace(&self, period: Duration) -> Self {
        self.options.grace.set(period);
        self.clone()
    }
}

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Joins each record with the row of its key, as it is when the record comes; records without a row are left out. If
    /// the table is versioned, it is the row as it was at the record's time. Changes of the table alone give no records. A
    /// record without key or value is dropped and counted.
    ///
    /// If the stream's key was changed, it goes through a repartition topic first; both must have equally many partitions.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<String, String>("users");
    /// let orders = builder.stream::<String, String>("orders");
    /// orders.join_table(&users, |_, order, user| format!("{order} for {user}")).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let users = driver.input::<String, String>("users");
    /// let orders = driver.input::<String, String>("orders");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&orders, record("a", "tea").at(5))?;
    /// driver.pipe(&users, record("a", "Ann").at(20))?;
    /// driver.pipe(&orders, record("a", "milk").at(10))?;
    /// assert_eq!(driver.read_all(&output)?, [record("a", "milk for Ann").at(10)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_table<VT, V2, R, M>(
        &self,
        table: &KTable<K::Inner, VT>,
        join: impl Fn(&K, V::Inner, VT) -> R + Send + Sync + 'static,
    ) -> Joined<K, V2, TableJoin<V::Inner>>
    where
        VT: Data,
        V2: Nullable,
        R: Outcome<V2, M>,
    {
        self.joined_table(table, RowJoiner::inner(join))
    }

    /// Like [`join_table`](Self::join_table), but records without a row, also those without a key, are joined with none.
    /// Only a null value drops a record.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let users = builder.table::<String, String>("users");
    /// let orders = builder.stream::<Option<String>, String>("orders");
    /// orders
    ///     .left_join_table(&users, |_, order, user| match user {
    ///         Some(user) => format!("{order} for {user}"),
    ///         None => order,
    ///     })
    ///     .to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let orders = driver.input::<Option<String>, String>("orders");
    /// let output = driver.output::<Option<String>, String>("out");
    /// driver.pipe(&orders, (Some("a".to_owned()), "tea"))?;
    /// driver.pipe(&orders, (None, "milk"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [(Some("a".into()), "tea".into()), (None, "milk".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_join_table<VT, V2, R, M>(
        &self,
        table: &KTable<K::Inner, VT>,
        join: impl Fn(&K, V::Inner, Option<VT>) -> R + Send + Sync + 'static,
    ) -> Joined<K, V2, TableJoin<V::Inner>>
    where
        VT: Data,
        V2: Nullable,
        R: Outcome<V2, M>,
    {
        self.joined_table(table, RowJoiner::left(join))
    }

    fn joined_table<VT: Data, V2: Nullable>(
        &self,
        table: &KTable<K::Inner, VT>,
        joiner: RowJoiner<K, V, VT, V2>,
    ) -> Joined<K, V2, TableJoin<V::Inner>> {
        let options = TableJoin::new();
        let (given, left, right) = (options.clone(), self.node.clone(), table.node.clone());
        let stream = self.derive(move |draft, child| plan(draft, child, (&left, &right), joiner, &given));
        Joined { stream, options }
    }
}

fn plan<K: Nullable, V: Nullable, VT: Data, V2: Nullable>(
    draft: &mut Draft,
    child: &StreamNode<K, V2>,
    (left, right): (&StreamNode<K, V>, &TableNode<K::Inner, VT>),
    joiner: RowJoiner<K, V, VT, V2>,
    options: &TableJoin<V::Inner>,
) -> BuildResult<StreamPlan> {
    let prefix = match joiner.keyless() {
        Keyless::Dropped => "KSTREAM-JOIN-",
        Keyless::Joined => "KSTREAM-LEFTJOIN-",
    };
    let table = right.planned.get(prefix)?.clone();
    let table_name = draft.at(table.node).name.clone();
    let given = child.name.take(prefix)?;
    let serdes = Serdes {
        key: child.serdes.borrow().key.clone(),
        value: options.value.take(),
    };
    let serdes = serdes.or(&left.serdes.borrow());
    let above = left.repartitioned(draft, given.clone(), &serdes)?;
    let name = draft.names.or_draw(given, prefix)?;
    child.inherit(&serdes.with_keys_of());
    table.rows.enable();
    let buffer = match options.grace.take(&name)? {
        Some(_) if !table.versioned => return Err(BuildError::GraceNeedsHistory { node: name }),
        Some(grace) => Some(Buffer::new(&name, millis(grace), serdes.resolve(&name)?)),
        None => None,
    };
    let (rows, keyless) = (table.rows.clone(), joiner.keyless());
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let source = rows.lower(&site.name)?;
        let mut stores = source.stores().to_vec();
        let factory: Factory = match buffer {
            None => Arc::new(move || Box::new(LookupNode::new(TableRow(source.open()), joiner.clone()))),
            Some(buffer) => {
                buffer.check(lowering, &site.name, &stores)?;
                let (handle, grace) = (buffer.handle, buffer.grace_ms);
                let wait = if lowering.java_quirks() {
                    KeylessWait::Refused
                } else {
                    KeylessWait::Never
                };
                stores.push(buffer.write(lowering)?);
                Arc::new(move || {
                    let look = TableRow(source.open());
                    Box::new(GraceNode::new(look, joiner.clone(), handle, (grace, wait)))
                })
            }
        };
        lowering.processor(site, factory, &stores)?;
        lowering.copartition(&[&site.name, &table_name])
    });
    draft.at_mut(node).joins_null_keys = keyless == Keyless::Joined;
    draft.attach(above, node);
    Ok(StreamPlan {
        node,
        name,
        key_changed: false,
    })
}

/// Where records wait for late rows.
struct Buffer<K: Data, V: Data> {
    handle: StoreHandle<TimeOrderedBuffer<K, V>>,
    definition: StoreDefinition,
    grace_ms: i64,
}

impl<K: Data, V: Data> Buffer<K, V> {
    fn new(join: &str, grace_ms: i64, (key, value): (SharedSerde<K>, SharedSerde<V>)) -> Self {
        let spec = StoreSpec {
            name: format!("{join}-Buffer"),
            kind: StoreType::GraceBuffer,
            engine: EngineKind::Persistent,
            caching: false,
            logging: Logging::enabled(),
        };
        let store = StoreBuilder::<TimeOrderedBuffer<K, V>>::new(spec, move |topic| {
            KeyValueFront::new(topic, key.clone(), value.clone())
        });
        Self {
            handle: store.handle(),
            definition: store.into_definition(),
            grace_ms,
        }
    }

    /// Whether the table knows its rows as they were when the records come out again.
    fn check(&self, lowering: &Lowering, join: &str, stores: &[String]) -> BuildResult<()> {
        let knows = |store: &String| match lowering.store_kind(store) {
            Some(StoreType::Versioned(layout)) => self.grace_ms <= layout.history_ms,
            _ => false,
        };
        if stores.iter().all(knows) {
            return Ok(());
        }
        Err(BuildError::GraceNeedsHistory { node: join.to_owned() })
    }

    /// Writes the store; its name.
    fn write(mut self, lowering: &mut Lowering) -> BuildResult<String> {
        let name = self.definition.spec.name.clone();
        self.definition.spec.engine = lowering.default_engine();
        lowering.store(self.definition)?;
        Ok(name)
    }
}

/// The row of the record's key, as of the record's time where the table knows.
struct TableRow<K, V>(RowGetter<K, V>);

impl<K: Nullable, V: Nullable, VT: Data> Look<K, V, VT> for TableRow<K::Inner, VT> {
    fn look(&mut self, cx: &mut NodeContext<'_>, record: &Record<K, V>) -> Result<Found<VT>, Error> {
        let Some(key) = record.key.as_option() else {
            return Ok(Found::NoKey);
        };
        let row = self.0.get_as_of(cx, key, record.timestamp)?;
        Ok(row.map(|row| row.value).into())
    }
}
