//! Joins: what a record finds in a global table.

use std::sync::Arc;

use kstreams_topology::graph::NodeContext;
use kstreams_topology::{Data, Error, Nullable, Record};

use super::{KStream, StreamPlan};
use crate::option::Serdes;
use crate::outcome::{Chosen, Outcome};
use crate::plan::{Effect, Kind};
use crate::step::step;
use crate::table::{GlobalKTable, Lookup};

const PREFIX: &str = "KSTREAM-LEFTJOIN-";

impl<K: Nullable, V: Nullable> KStream<K, V> {
    /// Joins each record with the row of a global table that the first closure chooses by its key; records without such a
    /// row are left out. A record whose chosen key or whose value is null is dropped and counted.
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
        self.lookup_join(table.lookup(), NullKeys::Dropped, move |cx, lookup, record| {
            let Record {
                key,
                value,
                timestamp,
                headers,
            } = record;
            let chosen = select(&key, &value).chosen().map_err(Error::User)?;
            let (Some(chosen), Some(value)) = (chosen, value.into_option()) else {
                cx.drop_record();
                return Ok(());
            };
            let Some(row) = cx.store(*lookup).get(&chosen)? else {
                return Ok(());
            };
            let value = join(&key, value, row.value).outcome().map_err(Error::User)?;
            cx.forward(Record {
                key,
                value,
                timestamp,
                headers,
            })
        })
    }

    /// Like [`join_global`](Self::join_global), but records without a row, also because the chosen key is null, are joined
    /// with none. Only a null value drops a record.
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
        self.lookup_join(table.lookup(), NullKeys::Joined, move |cx, lookup, record| {
            let Record {
                key,
                value,
                timestamp,
                headers,
            } = record;
            let chosen = select(&key, &value).chosen().map_err(Error::User)?;
            let Some(value) = value.into_option() else {
                cx.drop_record();
                return Ok(());
            };
            let row = match chosen {
                Some(chosen) => cx.store(*lookup).get(&chosen)?,
                None => None,
            };
            let row = row.map(|row| row.value);
            let value = join(&key, value, row).outcome().map_err(Error::User)?;
            cx.forward(Record {
                key,
                value,
                timestamp,
                headers,
            })
        })
    }

    fn lookup_join<KG: Data, VG: Data, V2: Nullable>(
        &self,
        lookup: Lookup<KG, VG>,
        null_keys: NullKeys,
        run: impl Fn(&mut NodeContext<'_>, &Rows<KG, VG>, Record<K, V>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        let parent = self.node.clone();
        let run = Arc::new(run);
        self.derive(move |draft, child: &super::StreamNode<K, V2>| {
            let above = parent.planned.get(PREFIX)?;
            let name = draft.names.or_draw(child.name.take(PREFIX)?, PREFIX)?;
            child.inherit(&Serdes::with_keys_of(&parent.serdes.borrow()));
            let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
                let rows = lookup.handle(&site.name)?;
                let factory = step(move |cx, record: Record<K, V>| run(cx, &rows, record));
                lowering.processor(site, factory, &[])
            });
            draft.at_mut(node).joins_null_keys = null_keys == NullKeys::Joined;
            draft.attach(above.node, node);
            Ok(StreamPlan {
                node,
                name,
                key_changed: above.key_changed,
            })
        })
    }
}

/// The store that a join looks rows up in.
type Rows<K, V> = kstreams_topology::stores::StoreHandle<kstreams_topology::stores::TimestampedKeyValueStore<K, V>>;

/// What a join does with records that have no key to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NullKeys {
    Dropped,
    Joined,
}
