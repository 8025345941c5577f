//! A table's store, and what a change to it means for the nodes below.

use kstreams_store::{Forward, Kind, PutOutcome};
use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::{
    KeyValueFront, StoreBuilder, StoreHandle, StoreKind, TimestampedKeyValueStore, ValueAndTimestamp,
    VersionedKeyValueStore, VersionedRecord,
};
use kstreams_topology::{Change, Data, Error, Record};

use super::forward::Forwarder;
use super::rows::GetRow;
use crate::error::Result;
use crate::option::{Materialized, resolve};
use crate::plan::{Lowering, Site};

/// The store of a table, as its node uses it.
pub(crate) enum TableStore<K, V> {
    /// It keeps the latest rows. A change is forwarded at once or, if the store is cached, when it leaves the cache.
    Plain(Forwarder<TimestampedKeyValueStore<K, V>>),
    /// It keeps all versions of a while, and is never cached.
    Versioned(StoreHandle<VersionedKeyValueStore<K, V>>, Sends),
}

/// What a versioned table's changes tell.
#[derive(Clone, Copy)]
pub(crate) struct Sends {
    old: bool,
    java_quirks: bool,
}

impl<K, V> Clone for TableStore<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Plain(store) => Self::Plain(store.clone()),
            Self::Versioned(handle, sends) => Self::Versioned(*handle, *sends),
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
        let mut spec = options.spec(name, lowering.default_engine());
        if let Kind::Versioned(layout) = &mut spec.kind {
            layout.java_quirks = lowering.java_quirks();
        }
        let front = move |topic: &str| KeyValueFront::new(topic, key.clone(), value.clone());
        let sends = if sends_old { Forward::NewAndOld } else { Forward::New };
        if options.is_versioned() {
            let java_quirks = lowering.java_quirks();
            let handle = add(lowering, StoreBuilder::new(spec, front))?;
            return Ok(Self::Versioned(
                handle,
                Sends {
                    old: sends_old,
                    java_quirks,
                },
            ));
        }
        let handle = add(lowering, StoreBuilder::new(spec, front))?;
        let store = Forwarder::new(handle, sends);
        Ok(Self::Plain(store.with_java_quirks(lowering.java_quirks())))
    }

    /// Tells the store what will be asked of it.
    pub(crate) fn init(&mut self, cx: &mut NodeContext<'_>) {
        if let Self::Plain(store) = self {
            store.init(cx);
        }
    }

    /// The store that keeps the latest rows only; `None` for a versioned one.
    pub(crate) fn plain(&self) -> Option<StoreHandle<TimestampedKeyValueStore<K, V>>> {
        match self {
            Self::Plain(store) => Some(store.handle()),
            Self::Versioned(..) => None,
        }
    }

    /// Whether Java's mistakes are made, where a store has any.
    pub(crate) fn java_quirks(&self) -> bool {
        match self {
            Self::Plain(store) => store.java_quirks(),
            Self::Versioned(_, sends) => sends.java_quirks,
        }
    }

    pub(crate) fn sends_old(&self) -> bool {
        match self {
            Self::Plain(store) => store.sends_old(),
            Self::Versioned(_, sends) => sends.old,
        }
    }

    /// The row as it is.
    pub(crate) fn get(&self, cx: &mut NodeContext<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>, Error> {
        match self {
            Self::Plain(store) => store.view(cx).get(key),
            Self::Versioned(handle, _) => Ok(cx.store(*handle).get(key)?.map(row)),
        }
    }

    /// Stores a change and forwards it, unless it waits in the cache: then what it pushed out of there.
    pub(crate) fn put(&self, cx: &mut NodeContext<'_>, mut record: Record<K, Change<V>>) -> Result<(), Error> {
        let Record {
            key,
            value: change,
            timestamp,
            ..
        } = &mut record;
        match self {
            Self::Plain(store) => {
                store.view(cx).set(key, change.new.as_ref(), *timestamp)?;
                change.is_latest = true;
                store.forward(cx, || record)
            }
            Self::Versioned(handle, _) => {
                let outcome = cx.store(*handle).put(key, change.new.as_ref(), *timestamp)?;
                change.is_latest = outcome == PutOutcome::Latest;
                match outcome {
                    // It is not in the store, so that nobody is to know of it.
                    PutOutcome::TooOld => Ok(()),
                    PutOutcome::Latest | PutOutcome::ValidTo(_) => cx.forward(record),
                }
            }
        }
    }

    /// Empties the cache for a commit.
    pub(crate) fn flush(&self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        match self {
            Self::Plain(store) => store.flush(cx),
            Self::Versioned(..) => Ok(()),
        }
    }
}

fn add<S: StoreKind>(lowering: &mut Lowering, store: StoreBuilder<S>) -> Result<StoreHandle<S>> {
    let handle = store.handle();
    lowering.store(store.into_definition())?;
    Ok(handle)
}

fn row<V>(version: VersionedRecord<V>) -> ValueAndTimestamp<V> {
    ValueAndTimestamp::new(version.value, version.timestamp)
}

impl<K: Data, V: Data> GetRow<K, V> for TableStore<K, V> {
    fn get(&mut self, cx: &mut NodeContext<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>, Error> {
        Self::get(self, cx, key)
    }

    fn get_as_of(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &K,
        timestamp: i64,
    ) -> Result<Option<ValueAndTimestamp<V>>, Error> {
        match self {
            Self::Plain(store) => store.view(cx).get(key),
            Self::Versioned(handle, _) => Ok(cx.store(*handle).get_as_of(key, timestamp)?.map(row)),
        }
    }
}
