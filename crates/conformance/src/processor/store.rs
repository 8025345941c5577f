//! The stores of the canned processors.

use std::sync::Arc;

use kstreams_dsl::StreamsBuilder;
use kstreams_store::Logging;
use kstreams_topology::Topology;
use kstreams_topology::stores::{
    KeyValueStore, SessionStore, StoreBuilder, StoreKind, Stores, VersionedKeyValueStore, WindowOptions, WindowStore,
};

use crate::case::{Node, Result};
use crate::key::{Key, KeySerde, KeyType};
use crate::value::{Value, ValueSerde, ValueType};

/// A store of keys and values.
pub(crate) type KeyValues = KeyValueStore<Key, Value>;

/// A window store of counts.
pub(super) type WindowCounts = WindowStore<Key, Value>;

/// A session store of counts.
pub(super) type SessionCounts = SessionStore<Key, Value>;

/// A versioned store.
pub(super) type Versions = VersionedKeyValueStore<Key, Value>;

/// A store of a canned processor.
pub(crate) enum AnyStore {
    KeyValues(StoreBuilder<KeyValues>),
    WindowCounts(StoreBuilder<WindowCounts>),
    SessionCounts(StoreBuilder<SessionCounts>),
    Versions(StoreBuilder<Versions>),
}

macro_rules! any_store {
    ($($store:ident),*) => {
        $(impl From<StoreBuilder<$store>> for AnyStore {
            fn from(store: StoreBuilder<$store>) -> Self {
                Self::$store(store)
            }
        })*

        impl AnyStore {
            pub(crate) fn add_to_builder(self, builder: &StreamsBuilder) {
                match self {
                    $(Self::$store(store) => {
                        builder.add_store(store);
                    })*
                }
            }

            pub(crate) fn add_to_topology(self, topology: &mut Topology) -> Result<()> {
                match self {
                    $(Self::$store(store) => {
                        topology.add_store(store)?;
                    })*
                }
                Ok(())
            }
        }
    };
}

any_store!(KeyValues, WindowCounts, SessionCounts, Versions);

/// The key-value store that a processor's node describes.
pub(super) fn key_values(node: &Node, stored: ValueType) -> Result<StoreBuilder<KeyValues>> {
    build(node, |stores| {
        stores.key_value_with(key_serde(), Arc::new(ValueSerde(stored)))
    })
}

/// The window store that a processor's node describes.
pub(super) fn counts_by_window(node: &Node) -> Result<StoreBuilder<WindowCounts>> {
    let options = WindowOptions::new(node.millis("retention_ms")?, node.millis("window_ms")?);
    build(node, |stores| stores.window_with(options, key_serde(), counts()))
}

/// The versioned store that a processor's node describes.
pub(super) fn versions(node: &Node, stored: ValueType) -> Result<StoreBuilder<Versions>> {
    let history = node.millis("history_ms")?;
    build(node, |stores| {
        stores.versioned_with(history, None, (key_serde(), Arc::new(ValueSerde(stored))))
    })
}

/// The session store that a processor's node describes.
pub(super) fn counts_by_session(node: &Node) -> Result<StoreBuilder<SessionCounts>> {
    let retention = node.millis("retention_ms")?;
    build(node, |stores| stores.session_with(retention, key_serde(), counts()))
}

fn key_serde() -> Arc<KeySerde> {
    Arc::new(KeySerde(KeyType::Text))
}

fn counts() -> Arc<ValueSerde> {
    Arc::new(ValueSerde(ValueType::Long))
}

fn build<S: StoreKind>(node: &Node, new: impl FnOnce(Stores) -> StoreBuilder<S>) -> Result<StoreBuilder<S>> {
    let options = node.store()?.unwrap_or_default();
    let name = options.name.unwrap_or_else(|| format!("{}-store", node.id));
    let mut store = new(match options.kind.as_deref() {
        Some("in_memory") => Stores::in_memory(name),
        _ => Stores::persistent(name),
    });
    if options.caching == Some(true) {
        store = store.cached();
    }
    if options.logging == Some(false) {
        store = store.logging(Logging::Disabled);
    }
    Ok(store)
}
