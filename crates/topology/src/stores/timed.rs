//! What window and session stores have in common: serdes with scratch memory, and typed entries.

use std::sync::Arc;

use kstreams_store::{Closed, Flushed, Keys, Kind, Order, Scan, Scanned, State, TimedRow};

use super::front::{Codec, Read};
use super::key_value::warn_of_inverted_range;
use super::timestamped::{FlushedRow, ValueAndTimestamp};
use crate::error::{Error, Result};
use crate::serde::{Serde, SerdeError};
use crate::window::{Window, Windowed};

/// The serdes of one store of one task, and the size of its windows; `None` for sessions.
pub(super) struct TimedFront<K, V> {
    pub(super) codec: Codec<K, V>,
    pub(super) key_bytes: Vec<u8>,
    pub(super) value_bytes: Vec<u8>,
    size_ms: Option<i64>,
}

impl<K: 'static, V: 'static> TimedFront<K, V> {
    pub(super) fn new(topic: &str, key: Arc<dyn Serde<K>>, value: Arc<dyn Serde<V>>, size_ms: Option<i64>) -> Self {
        Self {
            codec: Codec::new(topic, key, value),
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
            size_ms,
        }
    }

    pub(super) fn encode_key(&mut self, key: &K) -> Result<()> {
        self.codec.encode_key(key, &mut self.key_bytes)
    }

    /// Encodes a value; says whether there is one.
    pub(super) fn encode_value(&mut self, value: Option<&V>) -> Result<bool> {
        self.value_bytes.clear();
        if let Some(value) = value {
            self.codec.encode_value(value, &mut self.value_bytes)?;
        }
        Ok(value.is_some())
    }

    /// Encodes a value behind its timestamp; says whether there is one.
    pub(super) fn encode_timestamped(&mut self, value: Option<&V>, timestamp: i64) -> Result<bool> {
        self.value_bytes.clear();
        if let Some(value) = value {
            self.value_bytes.extend_from_slice(&timestamp.to_be_bytes());
            self.codec.encode_value(value, &mut self.value_bytes)?;
        }
        Ok(value.is_some())
    }

    /// A change that left the cache. `read` also gets the time of its row.
    pub(super) fn row(
        &self,
        kind: Kind,
        flushed: &Flushed<'_>,
        read: impl Fn(i64, &Codec<K, V>, &[u8]) -> Result<ValueAndTimestamp<V>>,
    ) -> Result<FlushedRow<Windowed<K>, V>> {
        let row = kind.timed_row(flushed.key).ok_or_else(|| {
            let what = format!("{} bytes to a key with times: more expected", flushed.key.len());
            Error::User(Box::new(SerdeError::new(what)))
        })?;
        let read = |bytes: Option<&[u8]>| bytes.map(|bytes| read(row.time, &self.codec, bytes)).transpose();
        Ok(FlushedRow {
            key: windowed(&self.codec, self.size_ms, &row)?,
            new: read(flushed.new)?,
            old: read(flushed.old)?,
            context: flushed.context.clone(),
        })
    }
}

fn windowed<K: 'static, V: 'static>(
    codec: &Codec<K, V>,
    size_ms: Option<i64>,
    row: &TimedRow<'_>,
) -> Result<Windowed<K>> {
    let end = size_ms.map_or(row.time, |size| row.start.saturating_add(size));
    Ok(Windowed::new(codec.decode_key(row.key)?, Window::new(row.start, end)))
}

/// Which entries a read of several keys wants: from one key and time to another, all inclusive.
pub(super) struct Wanted<'k, K> {
    pub(super) keys: (Option<&'k K>, Option<&'k K>),
    pub(super) times: (i64, i64),
    /// Of sessions, those that begin at this time or before.
    pub(super) start_to: i64,
    pub(super) order: Order,
}

/// The entries of several keys.
pub(super) fn several<'a, K: 'static, V: 'static, T>(
    state: &'a mut State,
    front: &'a mut TimedFront<K, V>,
    wanted: Wanted<'_, K>,
    read: Read<K, V, T>,
) -> Result<WindowedEntries<'a, K, V, T>> {
    let (first, last) = wanted.keys;
    if let Some(first) = first {
        front.codec.encode_key(first, &mut front.key_bytes)?;
    }
    if let Some(last) = last {
        front.codec.encode_key(last, &mut front.value_bytes)?;
    }
    let first = first.is_some().then_some(&*front.key_bytes);
    let last = last.is_some().then_some(&*front.value_bytes);
    if let (Some(first), Some(last)) = (first, last)
        && first > last
    {
        warn_of_inverted_range();
    }
    let scan = Scan {
        keys: Keys::Between(first, last),
        from: wanted.times.0,
        to: wanted.times.1,
        start_to: wanted.start_to,
        order: wanted.order,
    };
    let rows = state.scan(scan)?;
    Ok(WindowedEntries::new(rows, front, read))
}

/// The entries of a store that is read by time.
pub(super) fn closed<'a, K: 'static, V: 'static, T>(
    state: &'a mut State,
    front: &'a TimedFront<K, V>,
    (from, to): (i64, i64),
    visible: bool,
    read: Read<K, V, T>,
) -> Result<ClosedEntries<'a, K, V, T>> {
    let rows = state.closed(from, to, visible)?;
    Ok(ClosedEntries { rows, front, read })
}

/// Starts of windows and values of one key: an iterator of `Result<(i64, T)>`. It borrows the store, so that nothing is
/// written meanwhile.
pub struct WindowEntries<'a, K, V, T = V> {
    rows: Scanned<'a>,
    codec: &'a Codec<K, V>,
    read: Read<K, V, T>,
}

impl<'a, K, V, T> WindowEntries<'a, K, V, T> {
    pub(super) fn new(rows: Scanned<'a>, codec: &'a Codec<K, V>, read: Read<K, V, T>) -> Self {
        Self { rows, codec, read }
    }
}

impl<K: 'static, V: 'static, T> Iterator for WindowEntries<'_, K, V, T> {
    type Item = Result<(i64, T)>;

    fn next(&mut self) -> Option<Result<(i64, T)>> {
        match self.rows.next_row() {
            Ok(row) => row.map(|row| Ok((row.start, (self.read)(self.codec, row.value)?))),
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// Windowed keys and values: an iterator of `Result<(Windowed<K>, T)>`. It borrows the store, so that nothing is written
/// meanwhile.
pub struct WindowedEntries<'a, K, V, T = V> {
    rows: Scanned<'a>,
    front: &'a TimedFront<K, V>,
    read: Read<K, V, T>,
}

impl<'a, K, V, T> WindowedEntries<'a, K, V, T> {
    pub(super) fn new(rows: Scanned<'a>, front: &'a TimedFront<K, V>, read: Read<K, V, T>) -> Self {
        Self { rows, front, read }
    }
}

impl<K: 'static, V: 'static, T> Iterator for WindowedEntries<'_, K, V, T> {
    type Item = Result<(Windowed<K>, T)>;

    fn next(&mut self) -> Option<Result<(Windowed<K>, T)>> {
        typed(self.rows.next_row(), self.front, self.read)
    }
}

/// Windowed keys and values in the order of time: an iterator of `Result<(Windowed<K>, T)>`. It borrows the store, so that
/// nothing is written meanwhile.
pub struct ClosedEntries<'a, K, V, T = V> {
    rows: Closed<'a>,
    front: &'a TimedFront<K, V>,
    read: Read<K, V, T>,
}

impl<K: 'static, V: 'static, T> Iterator for ClosedEntries<'_, K, V, T> {
    type Item = Result<(Windowed<K>, T)>;

    fn next(&mut self) -> Option<Result<(Windowed<K>, T)>> {
        typed(self.rows.next_row(), self.front, self.read)
    }
}

fn typed<K: 'static, V: 'static, T>(
    row: kstreams_store::error::Result<Option<TimedRow<'_>>>,
    front: &TimedFront<K, V>,
    read: Read<K, V, T>,
) -> Option<Result<(Windowed<K>, T)>> {
    let typed = |row: TimedRow<'_>| {
        Ok((
            windowed(&front.codec, front.size_ms, &row)?,
            read(&front.codec, row.value)?,
        ))
    };
    match row {
        Ok(row) => row.map(typed),
        Err(error) => Some(Err(error.into())),
    }
}
