//! Stores of keys whose values have versions in time.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use kstreams_store::state::kind::Version;
use kstreams_store::{Kind, PutOutcome, State, VersionedLayout, Write};

use super::front::Codec;
use super::{KeyValueFront, StoreBuilder, StoreKind, Stores, millis};
use crate::error::Result;
use crate::record::Data;
use crate::serde::{DefaultSerde, Serde};

/// A store that keeps, for each key, the versions of its value in time: each is valid from its timestamp until the next one
/// begins. Versions that ended before the store's history are forgotten, versions that begin before it are not taken.
pub struct VersionedKeyValueStore<K, V>(PhantomData<fn() -> (K, V)>);

impl<K: Data, V: Data> StoreKind for VersionedKeyValueStore<K, V> {
    type Front = KeyValueFront<K, V>;
    type View<'a> = VersionedView<'a, K, V>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        VersionedView { front, state, write }
    }
}

impl Stores {
    /// Keys whose values have versions in time, remembered for as long as `history`, with the types' own serdes. `segment`
    /// is how much of the history is forgotten at once; by default a part of it.
    pub fn versioned<K, V>(
        self,
        history: Duration,
        segment: Option<Duration>,
    ) -> StoreBuilder<VersionedKeyValueStore<K, V>>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        let serdes: (Arc<dyn Serde<K>>, Arc<dyn Serde<V>>) =
            (Arc::new(K::Serde::default()), Arc::new(V::Serde::default()));
        self.versioned_with(history, segment, serdes)
    }

    /// Keys whose values have versions in time, with these serdes.
    pub fn versioned_with<K: Data, V: Data>(
        self,
        history: Duration,
        segment: Option<Duration>,
        (key, value): (Arc<dyn Serde<K>>, Arc<dyn Serde<V>>),
    ) -> StoreBuilder<VersionedKeyValueStore<K, V>> {
        let mut layout = VersionedLayout::new(millis(history));
        if let Some(segment) = segment {
            layout.segment_ms = millis(segment);
        }
        StoreBuilder::new(self.spec(Kind::Versioned(layout)), move |topic| {
            KeyValueFront::new(topic, key.clone(), value.clone())
        })
    }
}

/// A [`VersionedKeyValueStore`] while a processor works with it.
pub struct VersionedView<'a, K, V> {
    front: &'a mut KeyValueFront<K, V>,
    state: &'a mut State,
    write: Write<'a>,
}

/// A version of a key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedRecord<V> {
    /// The value.
    pub value: V,
    /// When it began to be valid, in milliseconds.
    pub timestamp: i64,
    /// When it was no longer valid, in milliseconds; `None` while it is the latest.
    pub valid_to: Option<i64>,
}

impl<K: Data, V: Data> VersionedView<'_, K, V> {
    /// Puts a version that begins at `timestamp`; `None` says that the key has no value from then on. A version that begins
    /// at the same time is replaced. A version before the store's history is not stored, though it is logged.
    pub fn put(&mut self, key: &K, value: Option<&V>, timestamp: i64) -> Result<PutOutcome> {
        self.front.encode_key(key)?;
        let KeyValueFront {
            codec,
            key_bytes,
            value_bytes,
        } = &mut *self.front;
        value_bytes.clear();
        if let Some(value) = value {
            codec.encode_value(value, value_bytes)?;
        }
        let value = value.is_some().then_some(value_bytes.as_slice());
        let mut versions = self.state.versions();
        Ok(versions.put(self.write.output, key_bytes, value, timestamp)?)
    }

    /// Deletes the key from `timestamp` on; the version that was valid then. `None` if there was none, and if the time is
    /// before the store's history: then nothing is deleted.
    pub fn delete(&mut self, key: &K, timestamp: i64) -> Result<Option<VersionedRecord<V>>> {
        let before = self.get_as_of(key, timestamp)?;
        let outcome = self.put(key, None, timestamp)?;
        Ok(before.filter(|_| outcome != PutOutcome::TooOld))
    }

    /// The latest version; `None` if the key is deleted or was never put.
    pub fn get(&mut self, key: &K) -> Result<Option<VersionedRecord<V>>> {
        self.front.encode_key(key)?;
        let mut versions = self.state.versions();
        let version = versions.latest(&self.front.key_bytes)?;
        version.map_or(Ok(None), |version| read(&self.front.codec, &version))
    }

    /// The version that was valid at a time. Before the store's history nothing is known but the latest version.
    pub fn get_as_of(&mut self, key: &K, timestamp: i64) -> Result<Option<VersionedRecord<V>>> {
        self.front.encode_key(key)?;
        let mut versions = self.state.versions();
        let version = versions.at(&self.front.key_bytes, timestamp)?;
        version.map_or(Ok(None), |version| read(&self.front.codec, &version))
    }

    /// Every version that was valid between `from` and `to`, both inclusive, newest first. Times at which the key was
    /// deleted are left out.
    pub fn versions(&mut self, key: &K, from: i64, to: i64) -> Result<Vec<VersionedRecord<V>>> {
        self.front.encode_key(key)?;
        let mut found = Vec::new();
        let codec = &self.front.codec;
        self.state
            .versions()
            .between(&self.front.key_bytes, (from, to), &mut |version| {
                found.extend(read(codec, &version).transpose());
            })?;
        found.into_iter().collect()
    }
}

fn read<K: 'static, V: 'static>(codec: &Codec<K, V>, version: &Version<'_>) -> Result<Option<VersionedRecord<V>>> {
    let Some(value) = version.value else {
        return Ok(None);
    };
    Ok(Some(VersionedRecord {
        value: codec.decode_value(value)?,
        timestamp: version.timestamp,
        valid_to: version.valid_to,
    }))
}
