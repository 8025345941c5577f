//! The store of a table that may do without one.

use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::ValueAndTimestamp;
use kstreams_topology::{Change, Data, Error, Record};

use super::TableStore;

/// A table's store, if it has one: without, its changes pass as they are.
pub(crate) struct OptionalStore<K, V>(pub(crate) Option<TableStore<K, V>>);

impl<K, V> Clone for OptionalStore<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Data, V: Data> OptionalStore<K, V> {
    /// Tells the store what will be asked of it.
    pub(crate) fn init(&mut self, cx: &mut NodeContext<'_>) {
        if let Some(store) = &mut self.0 {
            store.init(cx);
        }
    }

    /// The row as it is, as far as that is known.
    pub(crate) fn get(&self, cx: &mut NodeContext<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>, Error> {
        self.0.as_ref().map_or(Ok(None), |store| store.get(cx, key))
    }

    /// Stores a change and forwards it, unless it waits in the cache.
    pub(crate) fn put(&self, cx: &mut NodeContext<'_>, record: Record<K, Change<V>>) -> Result<(), Error> {
        match &self.0 {
            Some(store) => store.put(cx, record),
            None => cx.forward(record),
        }
    }

    /// Whether changes carry the value before them, as the store has it.
    pub(crate) fn sends_old(&self) -> bool {
        self.0.as_ref().is_some_and(TableStore::sends_old)
    }

    /// Empties the cache for a commit.
    pub(crate) fn flush(&self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |store| store.flush(cx))
    }
}
