//! Which serdes a stream's records take: given ones go before inherited ones, and both before the type's own.

use std::sync::Arc;

use kstreams_topology::{Data, Nullable, Serde};

use crate::error::{Error, Result};

/// A serde that several nodes share.
pub(crate) type SharedSerde<T> = Arc<dyn Serde<T>>;

/// Both serdes of a record's types.
pub(crate) type BothSerdes<K, V> = (SharedSerde<<K as Nullable>::Inner>, SharedSerde<<V as Nullable>::Inner>);

/// The serdes that were said of a stream, if any were.
pub(crate) struct Serdes<K: Nullable, V: Nullable> {
    pub(crate) key: Option<SharedSerde<K::Inner>>,
    pub(crate) value: Option<SharedSerde<V::Inner>>,
}

impl<K: Nullable, V: Nullable> Clone for Serdes<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}

impl<K: Nullable, V: Nullable> Default for Serdes<K, V> {
    fn default() -> Self {
        Self { key: None, value: None }
    }
}

impl<K: Nullable, V: Nullable> Serdes<K, V> {
    /// These, completed by others.
    pub(crate) fn or(self, others: &Self) -> Self {
        Self {
            key: self.key.or_else(|| others.key.clone()),
            value: self.value.or_else(|| others.value.clone()),
        }
    }

    /// Those of a stream with other values.
    pub(crate) fn with_keys_of<V2: Nullable>(&self) -> Serdes<K, V2> {
        Serdes {
            key: self.key.clone(),
            value: None,
        }
    }

    /// Those of a stream with other keys.
    pub(crate) fn with_values_of<K2: Nullable>(&self) -> Serdes<K2, V> {
        Serdes {
            key: None,
            value: self.value.clone(),
        }
    }

    /// Both serdes, given or the types' own.
    pub(crate) fn resolve(&self, node: &str) -> Result<BothSerdes<K, V>> {
        Ok((
            resolve(self.key.clone(), node, "key")?,
            resolve(self.value.clone(), node, "value")?,
        ))
    }
}

/// The given serde, or the type's own.
pub(crate) fn resolve<T: Data>(
    given: Option<SharedSerde<T>>,
    node: &str,
    what: &'static str,
) -> Result<SharedSerde<T>> {
    given.or_else(T::serde).ok_or_else(|| Error::NoSerde {
        node: node.to_owned(),
        what,
        of: std::any::type_name::<T>(),
    })
}
