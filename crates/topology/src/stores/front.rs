//! The serdes of a key-value store, with the scratch memory into which they write.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::serde::{Serde, SerdeError};

/// The serdes of one store of one task.
pub struct KeyValueFront<K, V> {
    pub(super) codec: Codec<K, V>,
    pub(super) key_bytes: Vec<u8>,
    pub(super) value_bytes: Vec<u8>,
}

/// Reads what is asked for from a value's bytes.
pub(super) type Read<K, V, T> = fn(&Codec<K, V>, &[u8]) -> Result<T>;

pub(super) struct Codec<K, V> {
    topic: String,
    key: Arc<dyn Serde<K>>,
    value: Arc<dyn Serde<V>>,
}

impl<K: 'static, V: 'static> KeyValueFront<K, V> {
    /// A front with these serdes, which are told `topic`.
    pub fn new(topic: &str, key: Arc<dyn Serde<K>>, value: Arc<dyn Serde<V>>) -> Self {
        Self {
            codec: Codec::new(topic, key, value),
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
        }
    }

    /// The key of these bytes.
    pub fn decode_key(&self, bytes: &[u8]) -> Result<K> {
        self.codec.decode_key(bytes)
    }

    /// The value of these bytes.
    pub fn decode_value(&self, bytes: &[u8]) -> Result<V> {
        self.codec.decode_value(bytes)
    }

    pub(super) fn encode_key(&mut self, key: &K) -> Result<()> {
        self.codec.encode_key(key, &mut self.key_bytes)
    }
}

impl<K: 'static, V: 'static> Codec<K, V> {
    pub(super) fn new(topic: &str, key: Arc<dyn Serde<K>>, value: Arc<dyn Serde<V>>) -> Self {
        // A serde that cannot be readied now says so at the first write, where there is someone to tell.
        let _ = key.prepare(topic).and_then(|()| value.prepare(topic));
        Self {
            topic: topic.to_owned(),
            key,
            value,
        }
    }

    pub(super) fn encode_key(&self, key: &K, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        self.key
            .serialize(&self.topic, key, out)
            .map_err(|error| self.encode_error(error))
    }

    /// Appends the value's bytes to `out`.
    pub(super) fn encode_value(&self, value: &V, out: &mut Vec<u8>) -> Result<()> {
        self.value
            .serialize(&self.topic, value, out)
            .map_err(|error| self.encode_error(error))
    }

    pub(super) fn decode_key(&self, bytes: &[u8]) -> Result<K> {
        self.key.deserialize(&self.topic, bytes).map_err(user)
    }

    pub(super) fn decode_value(&self, bytes: &[u8]) -> Result<V> {
        self.value.deserialize(&self.topic, bytes).map_err(user)
    }

    #[cold]
    fn encode_error(&self, source: SerdeError) -> Error {
        Error::Serialization {
            topic: self.topic.clone(),
            source,
        }
    }
}

fn user(error: SerdeError) -> Error {
    Error::User(Box::new(error))
}
