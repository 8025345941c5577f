//! Which kinds of stores can be read by key from outside of processing, and how their bytes become values then.

use kstreams_store::Kind;
use kstreams_store::layout::timestamped;

use super::front::Codec;
use super::{
    KeyValueFront, KeyValueStore, StoreKind, TimestampedKeyValueStore, ValueAndTimestamp, timestamped as typed,
};
use crate::error::Result;
use crate::record::Data;

/// A kind of store that can be read by key from outside of processing: interactive queries.
pub trait ReadableStore: StoreKind {
    /// What entries are found by.
    type Key: Send + 'static;
    /// What is found.
    type Value: Send + 'static;

    /// Whether stores of this kind can be read in this way.
    fn reads(kind: Kind) -> bool;

    /// The bytes of a key.
    fn key_bytes(front: &Self::Front, key: &Self::Key) -> Result<Vec<u8>>;

    /// The key of these bytes.
    fn key(front: &Self::Front, bytes: &[u8]) -> Result<Self::Key>;

    /// The value of these bytes from a store of this kind.
    fn value(front: &Self::Front, kind: Kind, bytes: &[u8]) -> Result<Self::Value>;
}

/// Values alone: also those of a store that has timestamps beside them.
impl<K: Data, V: Data> ReadableStore for KeyValueStore<K, V> {
    type Key = K;
    type Value = V;

    fn reads(kind: Kind) -> bool {
        matches!(kind, Kind::KeyValue | Kind::TimestampedKeyValue)
    }

    fn key_bytes(front: &Self::Front, key: &K) -> Result<Vec<u8>> {
        key_bytes(&front.codec, key)
    }

    fn key(front: &Self::Front, bytes: &[u8]) -> Result<K> {
        front.decode_key(bytes)
    }

    fn value(front: &Self::Front, kind: Kind, bytes: &[u8]) -> Result<V> {
        let value = match kind {
            Kind::TimestampedKeyValue => timestamped::split(bytes).map_or(bytes, |(_, value)| value),
            _ => bytes,
        };
        front.decode_value(value)
    }
}

/// Values with the time at which they were set.
impl<K: Data, V: Data> ReadableStore for TimestampedKeyValueStore<K, V> {
    type Key = K;
    type Value = ValueAndTimestamp<V>;

    fn reads(kind: Kind) -> bool {
        kind == Kind::TimestampedKeyValue
    }

    fn key_bytes(front: &Self::Front, key: &K) -> Result<Vec<u8>> {
        key_bytes(&front.codec, key)
    }

    fn key(front: &Self::Front, bytes: &[u8]) -> Result<K> {
        front.decode_key(bytes)
    }

    fn value(front: &KeyValueFront<K, V>, _: Kind, bytes: &[u8]) -> Result<ValueAndTimestamp<V>> {
        typed::read(&front.codec, bytes)
    }
}

fn key_bytes<K: 'static, V: 'static>(codec: &Codec<K, V>, key: &K) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    codec.encode_key(key, &mut bytes)?;
    Ok(bytes)
}
