//! The serdes of windowed keys, as Kafka Streams' own serializers write them.

use std::sync::Arc;
use std::time::Duration;

use super::{Serde, SerdeError};
use crate::exception::{Exception, NEGATIVE_SIZE};
use crate::window::{Window, Windowed};

/// Keys in windows of a fixed size: the key's bytes, then eight of the start. The end is not written, the reader has to know
/// the size. Java's `TimeWindowedSerde`.
///
/// ```
/// # use std::time::Duration;
/// # use kstreams_topology::serde::{StringSerde, TimeWindowedSerde};
/// # use kstreams_topology::{Serde, Window, Windowed};
/// let serde = TimeWindowedSerde::new(StringSerde, Duration::from_millis(10));
/// let mut bytes = Vec::new();
/// serde.serialize("topic", &Windowed::new("k".to_owned(), Window::new(1000, 1010)), &mut bytes)?;
/// assert_eq!(bytes, b"k\0\0\0\0\0\0\x03\xe8");
/// assert_eq!(serde.deserialize("topic", &bytes)?.window, Window::new(1000, 1010));
/// # Ok::<(), kstreams_topology::SerdeError>(())
/// ```
pub struct TimeWindowedSerde<K> {
    key: Arc<dyn Serde<K>>,
    size_ms: i64,
}

impl<K: 'static> TimeWindowedSerde<K> {
    /// Keys of this serde, in windows of this size.
    pub fn new(key: impl Serde<K>, size: Duration) -> Self {
        Self::shared(Arc::new(key), i64::try_from(size.as_millis()).unwrap_or(i64::MAX))
    }

    /// Like [`new`](Self::new), with a serde that others use, too, and the size in milliseconds.
    pub fn shared(key: Arc<dyn Serde<K>>, size_ms: i64) -> Self {
        Self { key, size_ms }
    }
}

impl<K: 'static> Serde<Windowed<K>> for TimeWindowedSerde<K> {
    fn serialize(&self, topic: &str, windowed: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.key.serialize(topic, &windowed.key, out)?;
        out.extend_from_slice(&windowed.window.start.to_be_bytes());
        Ok(())
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        let (key, start) = split_time(bytes).ok_or_else(|| short(bytes, TIME_BYTES))?;
        let window = Window::new(start, start.saturating_add(self.size_ms));
        Ok(Windowed::new(self.key.deserialize(topic, key)?, window))
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.key.prepare(topic)
    }

    fn partitioned_by<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        split_time(bytes).map_or(bytes, |(key, _)| key)
    }
}

/// Keys in sessions: the key's bytes, then eight of the end and eight of the start. Java's `SessionWindowedSerde`.
///
/// ```
/// # use kstreams_topology::serde::{SessionWindowedSerde, StringSerde};
/// # use kstreams_topology::{Serde, Window, Windowed};
/// let serde = SessionWindowedSerde::new(StringSerde);
/// let mut bytes = Vec::new();
/// serde.serialize("topic", &Windowed::new("k".to_owned(), Window::new(1000, 2000)), &mut bytes)?;
/// assert_eq!(bytes, b"k\0\0\0\0\0\0\x07\xd0\0\0\0\0\0\0\x03\xe8");
/// # Ok::<(), kstreams_topology::SerdeError>(())
/// ```
pub struct SessionWindowedSerde<K> {
    key: Arc<dyn Serde<K>>,
}

impl<K: 'static> SessionWindowedSerde<K> {
    /// Keys of this serde.
    pub fn new(key: impl Serde<K>) -> Self {
        Self::shared(Arc::new(key))
    }

    /// Like [`new`](Self::new), with a serde that others use, too.
    pub fn shared(key: Arc<dyn Serde<K>>) -> Self {
        Self { key }
    }
}

impl<K: 'static> Serde<Windowed<K>> for SessionWindowedSerde<K> {
    fn serialize(&self, topic: &str, windowed: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.key.serialize(topic, &windowed.key, out)?;
        out.extend_from_slice(&windowed.window.end.to_be_bytes());
        out.extend_from_slice(&windowed.window.start.to_be_bytes());
        Ok(())
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        let times = split_time(bytes).and_then(|(rest, start)| Some((split_time(rest)?, start)));
        let ((key, end), start) = times.ok_or_else(|| short(bytes, 2 * TIME_BYTES))?;
        Ok(Windowed::new(
            self.key.deserialize(topic, key)?,
            Window::new(start, end),
        ))
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.key.prepare(topic)
    }

    fn partitioned_by<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
            .len()
            .checked_sub(16)
            .and_then(|at| bytes.get(..at))
            .unwrap_or(bytes)
    }
}

/// What is before the last eight bytes, and the time in those.
fn split_time(bytes: &[u8]) -> Option<(&[u8], i64)> {
    let (rest, time) = bytes.split_last_chunk()?;
    Some((rest, i64::from_be_bytes(*time)))
}

/// How long a time is.
const TIME_BYTES: usize = 8;

/// Java subtracts without looking, and is refused an array for the key.
fn short(bytes: &[u8], times: usize) -> SerdeError {
    let what = format!("{} bytes to a windowed key: at least {times} expected", bytes.len());
    let left = bytes.len().cast_signed() - times.cast_signed();
    SerdeError::new(what).as_java(Exception::new(NEGATIVE_SIZE, left.to_string()))
}
