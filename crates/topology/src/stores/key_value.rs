//! Stores of keys and values.

use std::marker::PhantomData;

use kstreams_store::{KeyRange, Order, State, Write};

use super::front::Codec;
use super::{Entries, KeyValueFront, StoreKind};
use crate::error::Result;
use crate::record::Data;

/// A store of keys and values, ordered by the keys' bytes.
pub struct KeyValueStore<K, V>(PhantomData<fn() -> (K, V)>);

impl<K: Data, V: Data> StoreKind for KeyValueStore<K, V> {
    type Front = KeyValueFront<K, V>;
    type View<'a> = KeyValueView<'a, K, V>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> KeyValueView<'a, K, V> {
        KeyValueView { front, state, write }
    }
}

/// A [`KeyValueStore`] while a processor works with it.
pub struct KeyValueView<'a, K, V> {
    front: &'a mut KeyValueFront<K, V>,
    state: &'a mut State,
    write: Write<'a>,
}

impl<K: Data, V: Data> KeyValueView<'_, K, V> {
    /// The value of `key`.
    pub fn get(&mut self, key: &K) -> Result<Option<V>> {
        self.front.encode_key(key)?;
        let value = self.state.get(&mut self.write, &self.front.key_bytes)?;
        value.map(|bytes| self.front.codec.decode_value(bytes)).transpose()
    }

    /// Sets the value of `key`.
    pub fn put(&mut self, key: &K, value: &V) -> Result<()> {
        self.front.encode_key(key)?;
        self.put_encoded(value)
    }

    fn put_encoded(&mut self, value: &V) -> Result<()> {
        let KeyValueFront {
            codec,
            key_bytes,
            value_bytes,
        } = &mut *self.front;
        value_bytes.clear();
        codec.encode_value(value, value_bytes)?;
        Ok(self.state.put(&mut self.write, key_bytes, Some(value_bytes))?)
    }

    /// Deletes `key`; the value it had.
    pub fn delete(&mut self, key: &K) -> Result<Option<V>> {
        let before = self.get(key)?;
        self.state.put(&mut self.write, &self.front.key_bytes, None)?;
        Ok(before)
    }

    /// Sets the value of `key` unless it has one; the value it had.
    pub fn put_if_absent(&mut self, key: &K, value: &V) -> Result<Option<V>> {
        let before = self.get(key)?;
        if before.is_none() {
            self.put_encoded(value)?;
        }
        Ok(before)
    }

    /// Sets several values, in order.
    pub fn put_all<'e>(&mut self, entries: impl IntoIterator<Item = (&'e K, &'e V)>) -> Result<()> {
        entries.into_iter().try_for_each(|(key, value)| self.put(key, value))
    }

    /// The entries from `from` to `to`, both inclusive, smallest key first; `None` leaves that end open.
    pub fn range(&mut self, from: Option<&K>, to: Option<&K>) -> Result<Entries<'_, K, V, V>> {
        let range = key_range(&self.front.codec, from, to)?;
        self.entries(&range, Order::Forward)
    }

    /// Like [`range`](Self::range), largest key first.
    pub fn reverse_range(&mut self, from: Option<&K>, to: Option<&K>) -> Result<Entries<'_, K, V, V>> {
        let range = key_range(&self.front.codec, from, to)?;
        self.entries(&range, Order::Reverse)
    }

    /// All entries, smallest key first.
    pub fn all(&mut self) -> Result<Entries<'_, K, V, V>> {
        self.entries(&KeyRange::all(), Order::Forward)
    }

    /// All entries, largest key first.
    pub fn reverse_all(&mut self) -> Result<Entries<'_, K, V, V>> {
        self.entries(&KeyRange::all(), Order::Reverse)
    }

    /// The entries whose key begins with these bytes.
    pub fn prefix_scan(&mut self, prefix: &[u8]) -> Result<Entries<'_, K, V, V>> {
        self.entries(&KeyRange::prefix(prefix), Order::Forward)
    }

    /// About how many entries there are; exact in memory. Entries that are still in the record cache do not count.
    pub fn approximate_num_entries(&mut self) -> Result<u64> {
        Ok(self.state.approximate_entries()?)
    }

    fn entries(&mut self, range: &KeyRange, order: Order) -> Result<Entries<'_, K, V, V>> {
        let range = self.state.range(range, order)?;
        Ok(Entries::new(range, &self.front.codec, Codec::decode_value))
    }
}

/// The range of keys between the bytes of two typed ones.
pub(super) fn key_range<K: 'static, V: 'static>(
    codec: &Codec<K, V>,
    from: Option<&K>,
    to: Option<&K>,
) -> Result<KeyRange> {
    let encode = |key: Option<&K>| {
        key.map(|key| {
            let mut bytes = Vec::new();
            codec.encode_key(key, &mut bytes).map(|()| bytes)
        })
        .transpose()
    };
    let (from, to) = (encode(from)?, encode(to)?);
    let range = KeyRange::between(from.as_deref(), to.as_deref());
    if range.is_empty() {
        warn_of_inverted_range();
    }
    Ok(range)
}

/// Says why a range has no entries.
pub(super) fn warn_of_inverted_range() {
    tracing::warn!("range from a larger to a smaller key is empty: keys are ordered by their bytes, unsigned");
}
