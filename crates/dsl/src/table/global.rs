//! Global tables: every instance of the application has all rows.

use std::cell::OnceCell;
use std::rc::Rc;

use kstreams_topology::blueprint::Topics;
use kstreams_topology::stores::{StoreHandle, TimestampedKeyValueStore};
use kstreams_topology::{Data, Serde};

use super::source::{SourceTable, TakeRow, stored_source};
use super::{KTable, TableNode, TablePlan, TableStore};
use crate::error::{Error, Result};
use crate::option::{Consumed, Materialized, Serdes};
use crate::plan::{Draft, Effect, Kind, Plan, Site};

/// A table of which every instance of the application has all rows, so that streams can look up rows of any key in it. It
/// has no changes to be worked on: it is there to be [joined](crate::KStream::join_global).
///
/// ```
/// # use kstreams_dsl::StreamsBuilder;
/// # use kstreams_test_driver::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// let countries = builder.global_table::<String, String>("countries");
/// builder
///     .stream::<String, String>("visits")
///     .join_global(&countries, |_, code| code.clone(), |visitor, _, country| format!("{visitor} from {country}"))
///     .to("out");
///
/// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
/// let countries = driver.input::<String, String>("countries");
/// let visits = driver.input::<String, String>("visits");
/// let output = driver.output::<String, String>("out");
/// driver.pipe(&visits, ("ann", "pe"))?;
/// driver.pipe(&countries, ("pe", "Peru"))?;
/// driver.pipe(&visits, ("bob", "pe"))?;
/// assert_eq!(driver.read_key_values(&output)?, [("bob".into(), "bob from Peru".into())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GlobalKTable<K: Data, V: Data> {
    table: KTable<K, V>,
    store: Lookup<K, V>,
}

/// The store of a global table, known once it is lowered.
pub(crate) struct Lookup<K, V>(Rc<OnceCell<StoreHandle<TimestampedKeyValueStore<K, V>>>>);

impl<K, V> Clone for Lookup<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Lookup<K, V> {
    /// The store. It is missing only if the table comes from another builder's program.
    pub(crate) fn handle(&self, asking: &str) -> Result<StoreHandle<TimestampedKeyValueStore<K, V>>> {
        self.0.get().copied().ok_or_else(|| Error::OtherBuilder {
            node: asking.to_owned(),
        })
    }
}

impl<K: Data, V: Data> Clone for GlobalKTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            store: self.store.clone(),
        }
    }
}

impl<K: Data, V: Data> GlobalKTable<K, V> {
    pub(crate) fn new(plan: &Plan, consumed: Consumed<Option<K>, Option<V>>) -> Self {
        let store = Lookup(Rc::new(OnceCell::new()));
        let lowered = store.clone();
        let table = KTable::record(plan, move |draft, table| global_source(draft, table, consumed, lowered));
        Self { table, store }
    }

    /// Names the operator that this table comes from.
    pub fn named(&self, name: impl Into<String>) -> Self {
        self.table.named(name);
        self.clone()
    }

    /// Says how this table is kept: the name of its store is enough, a [`Materialized`] says more. It is never cached nor
    /// logged: its topic has all that it has.
    pub fn materialized(&self, options: impl Into<Materialized<K, V>>) -> Self {
        self.table.materialized(options);
        self.clone()
    }

    /// The name of this table's store, if it was [given](Self::materialized) one: by it the store can be queried.
    pub fn queryable_store_name(&self) -> Option<String> {
        self.table.queryable_store_name()
    }

    /// The serde of this table's keys. By default the type's own.
    pub fn key_serde(&self, serde: impl Serde<K>) -> Self {
        self.table.key_serde(serde);
        self.clone()
    }

    /// The serde of this table's values. By default the type's own.
    pub fn value_serde(&self, serde: impl Serde<V>) -> Self {
        self.table.value_serde(serde);
        self.clone()
    }

    pub(crate) fn lookup(&self) -> Lookup<K, V> {
        self.store.clone()
    }
}

fn global_source<K: Data, V: Data>(
    draft: &mut Draft,
    table: &TableNode<K, V>,
    consumed: Consumed<Option<K>, Option<V>>,
    lookup: Lookup<K, V>,
) -> Result<TablePlan<K, V>> {
    const PREFIX: &str = "KTABLE-SOURCE-";
    let given = table.given(PREFIX)?;
    let is_unnamed = given.as_ref().is_some_and(|options| options.name.is_none());
    let given = given.unwrap_or_default();
    let topic = match &consumed.topics {
        Topics::Names(names) => names.first().cloned().unwrap_or_default(),
        Topics::Pattern(pattern) => pattern.clone(),
    };
    let store_name = draft.names.store(given.name.clone(), &format!("{topic}-"))?;
    let named = table.name.take(PREFIX)?;
    let source_name = named.as_ref().map(|name| format!("{name}-source"));
    let source_name = draft.names.or_draw(source_name, "KSTREAM-SOURCE-")?;
    let name = draft.names.or_draw(named, PREFIX)?;
    if is_unnamed {
        return Err(Error::UnnamedGlobalStore { node: name });
    }
    if given.is_versioned() {
        return Err(Error::VersionedGlobalTable { node: name });
    }
    let options = table.settle(given, &Serdes::default()).uncached().unlogged();
    let serdes = table.serdes.borrow().resolve(&name)?;
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        lowering.source::<Option<K>, Option<V>>(&source_name, consumed, serdes)?;
        let site = Site::below(&site.name, &source_name);
        let store = TableStore::lower(lowering, &site, &options, store_name.clone(), false)?;
        if let Some(handle) = store.plain() {
            // The node is written once, so that the cell is empty.
            let _ = lookup.0.set(handle);
        }
        let take: TakeRow<K, V> = |input| input.take();
        lowering.processor(&site, stored_source(take, store), std::slice::from_ref(&store_name))?;
        lowering.make_global(&store_name)
    });
    draft.attach(Draft::ROOT, node);
    let rows = SourceTable::new(true);
    Ok(TablePlan {
        node,
        name,
        old_values: rows.clone(),
        rows,
        versioned: false,
    })
}
