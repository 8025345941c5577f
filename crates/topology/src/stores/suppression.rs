//! The buffer in which changes of a table wait for their time.

use std::marker::PhantomData;

use kstreams_store::layout::buffered;
use kstreams_store::state::kind::{BufferTotals, Suppressed};
use kstreams_store::{RecordContext, State, Write};

use super::{KeyValueFront, StoreKind};
use crate::error::{Error, Result};
use crate::record::{Change, Data};
use crate::serde::SerdeError;

/// A store of changes, one per key, ordered by the time of each key's first change, then by key.
pub struct SuppressBuffer<K, V>(PhantomData<fn() -> (K, V)>);

impl<K: Data, V: Data> StoreKind for SuppressBuffer<K, V> {
    type Front = KeyValueFront<K, V>;
    type View<'a> = SuppressBufferView<'a, K, V>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        SuppressBufferView { front, state, write }
    }
}

/// A [`SuppressBuffer`] while a node works with it.
pub struct SuppressBufferView<'a, K, V> {
    front: &'a mut KeyValueFront<K, V>,
    state: &'a mut State,
    write: Write<'a>,
}

/// A change that waited: the last one of its key. Its time and headers are those of its context.
#[derive(Clone, Debug, PartialEq)]
pub struct SuppressedChange<K, V> {
    /// The key.
    pub key: K,
    /// The change: its old value is the one before this last change.
    pub change: Change<V>,
    /// The value before the first change that waited.
    pub prior: Option<V>,
    /// Where it came from.
    pub context: RecordContext,
}

impl<K: Data, V: Data> SuppressBufferView<'_, K, V> {
    /// Buffers a change, caused by the record being processed. The key's place is that of its first change: `time`.
    pub fn put(&mut self, key: &K, time: i64, change: &Change<V>) -> Result<()> {
        self.front.encode_key(key)?;
        let KeyValueFront {
            codec,
            key_bytes,
            value_bytes,
        } = &mut *self.front;
        value_bytes.clear();
        if let Some(old) = &change.old {
            codec.encode_value(old, value_bytes)?;
        }
        let old_end = value_bytes.len();
        if let Some(new) = &change.new {
            codec.encode_value(new, value_bytes)?;
        }
        let (old, new) = value_bytes.split_at(old_end);
        let (old, new) = (change.old.as_ref().map(|_| old), change.new.as_ref().map(|_| new));
        let mut buffer = self.state.suppression();
        Ok(buffer.put(key_bytes, time, (old, new), self.write.context)?)
    }

    /// How much there is.
    pub fn totals(&mut self) -> Result<BufferTotals> {
        Ok(self.state.suppression().totals()?)
    }

    /// The first change, which stays.
    pub fn first(&mut self) -> Result<Option<SuppressedChange<K, V>>> {
        let first = self
            .state
            .suppression()
            .first()?
            .map(|first| self.front.decode_suppressed(&first));
        first.transpose()
    }

    /// Takes the first change out.
    pub fn pop(&mut self) -> Result<Option<SuppressedChange<K, V>>> {
        let first = self
            .state
            .suppression()
            .pop()?
            .map(|first| self.front.decode_suppressed(&first));
        first.transpose()
    }

    /// The value that readers of the suppressed table see for a key while its change waits: `None` if none waits.
    pub fn prior(&mut self, key: &K) -> Result<Option<Option<V>>> {
        self.front.encode_key(key)?;
        let prior = self.state.suppression().prior(&self.front.key_bytes)?;
        let decode = |bytes: Vec<u8>| self.front.decode_value(&bytes);
        prior.map(|prior| prior.map(decode).transpose()).transpose()
    }
}

impl<K: Data, V: Data> KeyValueFront<K, V> {
    fn decode_suppressed(&self, suppressed: &Suppressed<'_>) -> Result<SuppressedChange<K, V>> {
        let value = |bytes: Option<&[u8]>| bytes.map(|bytes| self.decode_value(bytes)).transpose();
        let Suppressed { key, change } = suppressed;
        Ok(SuppressedChange {
            key: self.decode_key(key)?,
            change: Change {
                new: value(change.new)?,
                old: value(change.old)?,
                is_latest: true,
            },
            prior: value(change.prior)?,
            context: buffered::read_context(change.context).ok_or_else(damaged)?,
        })
    }
}

fn damaged() -> Error {
    Error::User(Box::new(SerdeError::new("bytes are no record context")))
}
