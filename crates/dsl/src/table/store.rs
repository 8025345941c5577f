//! A table's store, and what a change to it means for the nodes below.

use kstreams_store::{Forward, State};
use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::{
    FlushedRow, KeyValueFront, StoreBuilder, StoreHandle, TimestampedKeyValueStore, TimestampedKeyValueView,
    ValueAndTimestamp,
};
use kstreams_topology::{Change, Data, Error, Record};

use super::rows::GetRow;
use crate::error::Result;
use crate::option::{Materialized, resolve};
use crate::plan::{Lowering, Site};

/// The store of a table, as its node uses it. A change is forwarded at once or, if the store is cached, when it leaves
/// the cache.
pub(crate) struct TableStore<K, V> {
    handle: StoreHandle<TimestampedKeyValueStore<K, V>>,
    sends_old: bool,
    cached: bool,
}

impl<K, V> Clone for TableStore<K, V> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle,
            sends_old: self.sends_old,
            cached: self.cached,
        }
    }
}

impl<K: Data, V: Data> TableStore<K, V> {
    /// Adds the store to the topology.
    pub(crate) fn lower(
        lowering: &mut Lowering,
        site: &Site,
        options: &Materialized<K, V>,
        name: String,
        sends_old: bool,
    ) -> Result<Self> {
        let key = resolve(options.key.clone(), &site.name, "key")?;
        let value = resolve(options.value.clone(), &site.name, "value")?;
        let spec = options.spec(name, lowering.default_engine());
        let builder = StoreBuilder::<TimestampedKeyValueStore<K, V>>::new(spec, move |topic| {
            KeyValueFront::new(topic, key.clone(), value.clone())
        });
        let handle = builder.handle();
        lowering.store(builder.into_definition())?;
        Ok(Self {
            handle,
            sends_old,
            cached: false,
        })
    }

    /// Tells the store what will be asked of it.
    pub(crate) fn init(&mut self, cx: &mut NodeContext<'_>) {
        let state = self.state(cx);
        state.forward(if self.sends_old {
            Forward::NewAndOld
        } else {
            Forward::New
        });
        self.cached = state.is_cached();
    }

    pub(crate) fn handle(&self) -> StoreHandle<TimestampedKeyValueStore<K, V>> {
        self.handle
    }

    pub(crate) fn sends_old(&self) -> bool {
        self.sends_old
    }

    pub(crate) fn view<'a>(&self, cx: &'a mut NodeContext<'_>) -> TimestampedKeyValueView<'a, K, V> {
        cx.store(self.handle)
    }

    /// Stores a change and forwards it as [`forward`](Self::forward) does.
    pub(crate) fn put(&self, cx: &mut NodeContext<'_>, record: Record<K, Change<V>>) -> Result<(), Error> {
        self.view(cx)
            .set(&record.key, record.value.new.as_ref(), record.timestamp)?;
        self.forward(cx, record)
    }

    /// Forwards a change that was stored just now, unless it waits in the cache: then what it pushed out of there.
    pub(crate) fn forward(&self, cx: &mut NodeContext<'_>, record: Record<K, Change<V>>) -> Result<(), Error> {
        if !self.cached {
            return cx.forward(record);
        }
        while let Some(row) = self.view(cx).next_flushed()? {
            forward_row(cx, row)?;
        }
        Ok(())
    }

    /// Empties the cache for a commit.
    pub(crate) fn flush(&self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        if !self.cached {
            return Ok(());
        }
        while let Some(row) = self.view(cx).flush_next()? {
            forward_row(cx, row)?;
        }
        Ok(())
    }

    fn state<'a>(&self, cx: &'a mut NodeContext<'_>) -> &'a mut State {
        cx.store_state(self.handle.id()).0
    }
}

impl<K: Data, V: Data> GetRow<K, V> for TableStore<K, V> {
    fn get(&mut self, cx: &mut NodeContext<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>, Error> {
        self.view(cx).get(key)
    }

    fn get_as_of(&mut self, cx: &mut NodeContext<'_>, key: &K, _: i64) -> Result<Option<ValueAndTimestamp<V>>, Error> {
        self.view(cx).get(key)
    }
}

/// Forwards a change that waited in the cache, as if its record were processed just now.
fn forward_row<K: Data, V: Data>(cx: &mut NodeContext<'_>, row: FlushedRow<K, V>) -> Result<(), Error> {
    let timestamp = row.new.as_ref().map_or(row.context.timestamp, |new| new.timestamp);
    let value = Change {
        new: row.new.map(|new| new.value),
        old: row.old.map(|old| old.value),
        is_latest: true,
    };
    let headers = row.context.headers.clone();
    cx.forward_as(
        row.context,
        Record {
            key: row.key,
            value,
            timestamp,
            headers,
        },
    )
}
