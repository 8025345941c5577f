//! The buffer in which stream records wait for the table they are joined with.

use std::marker::PhantomData;

use kstreams_store::state::kind::BufferTotals;
use kstreams_store::{RecordContext, State, Write};

use super::{KeyValueFront, StoreKind};
use crate::error::Result;
use crate::record::Data;

/// A store of stream records, ordered by time, then key, then arrival.
pub struct TimeOrderedBuffer<K, V>(PhantomData<fn() -> (K, V)>);

impl<K: Data, V: Data> StoreKind for TimeOrderedBuffer<K, V> {
    type Front = KeyValueFront<K, V>;
    type View<'a> = TimeOrderedBufferView<'a, K, V>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        TimeOrderedBufferView { front, state, write }
    }
}

/// A [`TimeOrderedBuffer`] while a node works with it.
pub struct TimeOrderedBufferView<'a, K, V> {
    front: &'a mut KeyValueFront<K, V>,
    state: &'a mut State,
    write: Write<'a>,
}

/// A record that waited. Its time and headers are those of its context.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferedRecord<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// Where it came from.
    pub context: RecordContext,
}

impl<K: Data, V: Data> TimeOrderedBufferView<'_, K, V> {
    /// The largest time that was ever buffered; −1 before the first.
    pub fn observed_time(&mut self) -> Result<i64> {
        Ok(self.state.grace_buffer().observed()?)
    }

    /// How much there is.
    pub fn totals(&mut self) -> Result<BufferTotals> {
        Ok(self.state.grace_buffer().totals()?)
    }

    /// Buffers the record being processed: its time and headers are taken from there.
    pub fn put(&mut self, key: &K, value: &V) -> Result<()> {
        self.front.encode_key(key)?;
        let KeyValueFront {
            codec,
            key_bytes,
            value_bytes,
        } = &mut *self.front;
        value_bytes.clear();
        codec.encode_value(value, value_bytes)?;
        let mut buffer = self.state.grace_buffer();
        Ok(buffer.put(self.write.output, key_bytes, value_bytes, self.write.context)?)
    }

    /// Takes the first record out, if its time is not after `time`.
    pub fn pop(&mut self, time: i64) -> Result<Option<BufferedRecord<K, V>>> {
        let mut buffer = self.state.grace_buffer();
        let Some(waiting) = buffer.pop(self.write.output, time)? else {
            return Ok(None);
        };
        Ok(Some(BufferedRecord {
            key: self.front.decode_key(waiting.key)?,
            value: self.front.decode_value(waiting.value)?,
            context: waiting.context,
        }))
    }
}
