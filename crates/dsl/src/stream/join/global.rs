//! Joins of a stream with a global table: a record looks up the row of a key that it chooses.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_topology::graph::{Node, NodeContext};
use kstreams_topology::stores::{StoreHandle, TimestampedKeyValueStore};
use kstreams_topology::{Data, Error, Nullable, Record};

use super::lookup::{Found, Keyless, Look, LookupNode, RowJoiner};
use crate::option::Serdes;
use crate::outcome::{Chosen, Outcome};
use crate::plan::{Effect, Kind};
use crate::step::Factory;
use crate::stream::{KStream, StreamNode, StreamPlan};
use crate::table::GlobalKTable;

// Java draws this for inner joins, too.
const PREFIX: &str = "KSTREAM-LEFTJOIN-";

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Joins each record with the row of a global table that the first closure chooses by its key; records without such a
    /// row are left out. A record whose chosen key or whose value is null is dropped and counted.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let countries = builder.global_table::<String, String>("countries");
    /// let visits = builder.stream::<String, String>("visits");
    /// visits.join_global(&countries, |_, code| code.clone(), |_, _, country| country).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let countries = driver.input::<String, String>("countries");
    /// let visits = driver.input::<String, String>("visits");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&countries, ("pe", "Peru"))?;
    /// driver.pipe(&visits, ("ann", "pe"))?;
    /// driver.pipe(&visits, ("bob", "xx"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("ann".into(), "Peru".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_global<KG, VG, V2, S, M, R, N>(
        &self,
        table: &GlobalKTable<KG, VG>,
        select: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        join: impl Fn(&K, V::Inner, VG) -> R + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        KG: Data,
        VG: Data,
        V2: Nullable,
        S: Chosen<KG, M>,
        R: Outcome<V2, N>,
    {
        let select = move |key: &K, value: &V| select(key, value).chosen().map_err(Error::User);
        self.joined_global(table, select, RowJoiner::inner(join))
    }

    /// Like [`join_global`](Self::join_global), but records without a row, also because the chosen key is null, are joined
    /// with none. Only a null value drops a record.
    ///
    /// ```
    /// # use kstreams_dsl::StreamsBuilder;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let countries = builder.global_table::<String, String>("countries");
    /// let visits = builder.stream::<String, String>("visits");
    /// visits
    ///     .left_join_global(&countries, |_, code| code.clone(), |_, code, country| country.unwrap_or(code))
    ///     .to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let visits = driver.input::<String, String>("visits");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&visits, ("bob", "xx"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("bob".into(), "xx".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_join_global<KG, VG, V2, S, M, R, N>(
        &self,
        table: &GlobalKTable<KG, VG>,
        select: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        join: impl Fn(&K, V::Inner, Option<VG>) -> R + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        KG: Data,
        VG: Data,
        V2: Nullable,
        S: Chosen<KG, M>,
        R: Outcome<V2, N>,
    {
        let select = move |key: &K, value: &V| select(key, value).chosen().map_err(Error::User);
        self.joined_global(table, select, RowJoiner::left(join))
    }

    fn joined_global<KG: Data, VG: Data, V2: Nullable>(
        &self,
        table: &GlobalKTable<KG, VG>,
        select: impl Fn(&K, &V) -> Result<Option<KG>, Error> + Send + Sync + 'static,
        joiner: RowJoiner<K, V, VG, V2>,
    ) -> KStream<K, V2> {
        let parent = self.node.clone();
        let lookup = table.lookup();
        let select = Arc::new(select);
        self.derive(move |draft, child: &StreamNode<K, V2>| {
            let above = parent.planned.get(PREFIX)?;
            let name = draft.names.or_draw(child.name.take(PREFIX)?, PREFIX)?;
            child.inherit(&Serdes::with_keys_of(&parent.serdes.borrow()));
            let keyless = joiner.keyless();
            let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
                let store = lookup.handle(&site.name)?;
                let factory: Factory = Arc::new(move || -> Box<dyn Node> {
                    let look = ChosenRow {
                        select: select.clone(),
                        store,
                        types: PhantomData,
                    };
                    Box::new(LookupNode::new(look, joiner.clone()))
                });
                lowering.processor(site, factory, &[])
            });
            draft.at_mut(node).joins_null_keys = keyless == Keyless::Joined;
            draft.attach(above.node, node);
            Ok(StreamPlan {
                node,
                name,
                key_changed: above.key_changed,
            })
        })
    }
}

/// The row of a global table by the key that a closure chooses.
struct ChosenRow<K, V, KG, VG, S> {
    select: Arc<S>,
    store: StoreHandle<TimestampedKeyValueStore<KG, VG>>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, KG, VG, S> Look<K, V, VG> for ChosenRow<K, V, KG, VG, S>
where
    KG: Data,
    VG: Data,
    S: Fn(&K, &V) -> Result<Option<KG>, Error> + Send + Sync,
{
    fn look(&mut self, cx: &mut NodeContext<'_>, record: &Record<K, V>) -> Result<Found<VG>, Error> {
        let Some(key) = (self.select)(&record.key, &record.value)? else {
            return Ok(Found::NoKey);
        };
        let row = cx.store(self.store).get(&key)?;
        Ok(row.map(|row| row.value).into())
    }
}
