//! A table's store, and what a change to it means for the nodes below.

use kstreams_store::Forward;
use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::{
    KeyValueFront, StoreBuilder, StoreHandle, TimestampedKeyValueStore, TimestampedKeyValueView, ValueAndTimestamp,
};
use kstreams_topology::{Change, Data, Error, Record};

use super::forward::Forwarder;
use super::rows::GetRow;
use crate::error::Result;
use crate::option::{Materialized, resolve};
use crate::plan::{Lowering, Site};

/// The store of a table, as its node uses it. A change is forwarded at once or, if the store is cached, when it leaves
/// the cache.
pub(crate) struct TableStore<K, V>(Forwarder<TimestampedKeyValueStore<K, V>>);

impl<K, V> Clone for TableStore<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
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
        let sends = if sends_old { Forward::NewAndOld } else { Forward::New };
        Ok(Self(Forwarder::new(handle, sends)))
    }

    /// Tells the store what will be asked of it.
    pub(crate) fn init(&mut self, cx: &mut NodeContext<'_>) {
        self.0.init(cx);
    }

    pub(crate) fn handle(&self) -> StoreHandle<TimestampedKeyValueStore<K, V>> {
        self.0.handle()
    }

    pub(crate) fn sends_old(&self) -> bool {
        self.0.sends_old()
    }

    pub(crate) fn view<'a>(&self, cx: &'a mut NodeContext<'_>) -> TimestampedKeyValueView<'a, K, V> {
        self.0.view(cx)
    }

    /// Stores a change and forwards it as [`forward`](Self::forward) does.
    pub(crate) fn put(&self, cx: &mut NodeContext<'_>, record: Record<K, Change<V>>) -> Result<(), Error> {
        self.view(cx)
            .set(&record.key, record.value.new.as_ref(), record.timestamp)?;
        self.forward(cx, record)
    }

    /// Forwards a change that was stored just now, unless it waits in the cache: then what it pushed out of there.
    pub(crate) fn forward(&self, cx: &mut NodeContext<'_>, record: Record<K, Change<V>>) -> Result<(), Error> {
        self.0.forward(cx, || record)
    }

    /// Empties the cache for a commit.
    pub(crate) fn flush(&self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.0.flush(cx)
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
