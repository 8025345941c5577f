//! Stores of keys and values that know when they were last set.

use std::marker::PhantomData;

use kstreams_store::{Flushed, KeyRange, Order, RecordContext, State, Write};

use super::front::Codec;
use super::key_value::key_range;
use super::{Entries, KeyValueFront, StoreKind};
use crate::error::{Error, Result};
use crate::record::Data;
use crate::serde::SerdeError;

/// A value with the time in milliseconds at which it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// When it was set.
    pub timestamp: i64,
}

impl<V> ValueAndTimestamp<V> {
    /// A value set at `timestamp`.
    pub fn new(value: V, timestamp: i64) -> Self {
        Self { value, timestamp }
    }
}

/// A store of keys and values with timestamps, ordered by the keys' bytes. Tables are kept in such stores.
pub struct TimestampedKeyValueStore<K, V>(PhantomData<fn() -> (K, V)>);

impl<K: Data, V: Data> StoreKind for TimestampedKeyValueStore<K, V> {
    type Front = KeyValueFront<K, V>;
    type View<'a> = TimestampedKeyValueView<'a, K, V>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        TimestampedKeyValueView { front, state, write }
    }
}

/// A [`TimestampedKeyValueStore`] while a processor works with it.
pub struct TimestampedKeyValueView<'a, K, V> {
    front: &'a mut KeyValueFront<K, V>,
    state: &'a mut State,
    write: Write<'a>,
}

/// A change that left the record cache.
#[derive(Clone, Debug, PartialEq)]
pub struct FlushedRow<K, V> {
    /// The key.
    pub key: K,
    /// The value now; `None` is a deletion.
    pub new: Option<ValueAndTimestamp<V>>,
    /// The value before, where it was asked for.
    pub old: Option<ValueAndTimestamp<V>>,
    /// The record that made the change last.
    pub context: RecordContext,
}

/// The entries of a range of a timestamped store.
pub type TimestampedEntries<'a, K, V> = Entries<'a, K, V, ValueAndTimestamp<V>>;

impl<K: Data, V: Data> TimestampedKeyValueView<'_, K, V> {
    /// The value of `key`, and when it was set.
    pub fn get(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        self.front.encode_key(key)?;
        let value = self.state.get(&mut self.write, &self.front.key_bytes)?;
        value.map(|bytes| read(&self.front.codec, bytes)).transpose()
    }

    /// Sets the value of `key`.
    pub fn put(&mut self, key: &K, value: &V, timestamp: i64) -> Result<()> {
        self.front.encode_key(key)?;
        self.put_encoded(value, timestamp)
    }

    fn put_encoded(&mut self, value: &V, timestamp: i64) -> Result<()> {
        let KeyValueFront {
            codec,
            key_bytes,
            value_bytes,
        } = &mut *self.front;
        value_bytes.clear();
        value_bytes.extend_from_slice(&timestamp.to_be_bytes());
        codec.encode_value(value, value_bytes)?;
        Ok(self.state.put(&mut self.write, key_bytes, Some(value_bytes))?)
    }

    /// Sets the value of `key` or, with `None`, deletes it, without looking at the value it had.
    pub fn set(&mut self, key: &K, value: Option<&V>, timestamp: i64) -> Result<()> {
        self.front.encode_key(key)?;
        match value {
            Some(value) => self.put_encoded(value, timestamp),
            None => Ok(self.state.put(&mut self.write, &self.front.key_bytes, None)?),
        }
    }

    /// Deletes `key`; the value it had.
    pub fn delete(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        let before = self.get(key)?;
        self.state.put(&mut self.write, &self.front.key_bytes, None)?;
        Ok(before)
    }

    /// Sets the value of `key` unless it has one; the value it had.
    pub fn put_if_absent(&mut self, key: &K, value: &V, timestamp: i64) -> Result<Option<ValueAndTimestamp<V>>> {
        let before = self.get(key)?;
        if before.is_none() {
            self.put_encoded(value, timestamp)?;
        }
        Ok(before)
    }

    /// Sets several values, in order.
    pub fn put_all<'e>(&mut self, entries: impl IntoIterator<Item = (&'e K, &'e ValueAndTimestamp<V>)>) -> Result<()>
    where
        V: 'e,
    {
        let mut entries = entries.into_iter();
        entries.try_for_each(|(key, entry)| self.put(key, &entry.value, entry.timestamp))
    }

    /// The next of the changes that other ones pushed out of the record cache. Only cached stores have any.
    pub fn next_flushed(&mut self) -> Result<Option<FlushedRow<K, V>>> {
        let flushed = self.state.next_flushed();
        flushed.map(|flushed| row(&self.front.codec, &flushed)).transpose()
    }

    /// Moves the next change out of the record cache; `None` when it is empty.
    pub fn flush_next(&mut self) -> Result<Option<FlushedRow<K, V>>> {
        let flushed = self.state.flush_next(self.write.output)?;
        flushed.map(|flushed| row(&self.front.codec, &flushed)).transpose()
    }

    /// The entries from `from` to `to`, both inclusive, smallest key first; `None` leaves that end open.
    pub fn range(&mut self, from: Option<&K>, to: Option<&K>) -> Result<TimestampedEntries<'_, K, V>> {
        let range = key_range(&self.front.codec, from, to)?;
        self.entries(&range, Order::Forward)
    }

    /// Like [`range`](Self::range), largest key first.
    pub fn reverse_range(&mut self, from: Option<&K>, to: Option<&K>) -> Result<TimestampedEntries<'_, K, V>> {
        let range = key_range(&self.front.codec, from, to)?;
        self.entries(&range, Order::Reverse)
    }

    /// All entries, smallest key first.
    pub fn all(&mut self) -> Result<TimestampedEntries<'_, K, V>> {
        self.entries(&KeyRange::all(), Order::Forward)
    }

    /// All entries, largest key first.
    pub fn reverse_all(&mut self) -> Result<TimestampedEntries<'_, K, V>> {
        self.entries(&KeyRange::all(), Order::Reverse)
    }

    /// The entries whose key begins with these bytes.
    pub fn prefix_scan(&mut self, prefix: &[u8]) -> Result<TimestampedEntries<'_, K, V>> {
        self.entries(&KeyRange::prefix(prefix), Order::Forward)
    }

    /// About how many entries there are; exact in memory. Entries that are still in the record cache do not count.
    pub fn approximate_num_entries(&mut self) -> Result<u64> {
        Ok(self.state.approximate_entries()?)
    }

    fn entries(&mut self, range: &KeyRange, order: Order) -> Result<TimestampedEntries<'_, K, V>> {
        let range = self.state.range(range, order)?;
        Ok(Entries::new(range, &self.front.codec, read))
    }
}

impl<K: 'static, V: 'static> KeyValueFront<K, V> {
    /// The value and timestamp in the bytes of a timestamped store.
    pub fn decode_timestamped(&self, bytes: &[u8]) -> Result<ValueAndTimestamp<V>> {
        read(&self.codec, bytes)
    }
}

fn row<K: 'static, V: 'static>(codec: &Codec<K, V>, flushed: &Flushed<'_>) -> Result<FlushedRow<K, V>> {
    Ok(FlushedRow {
        key: codec.decode_key(flushed.key)?,
        new: flushed.new.map(|bytes| read(codec, bytes)).transpose()?,
        old: flushed.old.map(|bytes| read(codec, bytes)).transpose()?,
        context: flushed.context.clone(),
    })
}

pub(super) fn read<K: 'static, V: 'static>(codec: &Codec<K, V>, bytes: &[u8]) -> Result<ValueAndTimestamp<V>> {
    let Some((timestamp, value)) = bytes.split_first_chunk() else {
        let what = format!("{} bytes to a value with timestamp: at least 8 expected", bytes.len());
        return Err(Error::User(Box::new(SerdeError::new(what))));
    };
    Ok(ValueAndTimestamp {
        value: codec.decode_value(value)?,
        timestamp: i64::from_be_bytes(*timestamp),
    })
}
