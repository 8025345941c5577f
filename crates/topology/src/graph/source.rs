//! The nodes through which records enter: bytes become typed records with a timestamp.

use std::sync::Arc;

use bytes::Bytes;
use kstreams_wire::batch::RawHeaders;
pub use kstreams_wire::batch::RawRecord;

use super::NodeContext;
use super::handler::place;
use crate::error::{Error, Result};
use crate::panic::guarded;
use crate::record::{Nullable, Record};
use crate::serde::{Serde, SerdeError};
use crate::timestamp::TimestampExtractor;

/// A node that decodes the records of some topics.
pub trait Source: Send {
    /// Whether the next record of a partition has to be looked at before its turn, because its timestamp is not the one
    /// that it was sent with.
    fn looks_ahead(&self) -> bool;

    /// Decodes the record and forwards it.
    fn process(&mut self, cx: &mut NodeContext<'_>, raw: &RawRecord<'_>) -> Result<()>;

    /// Decodes the record and keeps it as the head of its partition. Its timestamp; `None` if it was dropped.
    fn hold(&mut self, cx: &mut NodeContext<'_>, partition: usize, raw: &RawRecord<'_>) -> Result<Option<i64>>;

    /// Forwards the record that is held for this partition.
    fn process_held(&mut self, cx: &mut NodeContext<'_>, partition: usize) -> Result<()>;
}

/// The source of records of one type. A type that knows no null drops nulls, and counts them.
pub struct SourceNode<K: Nullable, V: Nullable> {
    key: Arc<dyn Serde<K::Inner>>,
    value: Arc<dyn Serde<V::Inner>>,
    extractor: TimestampExtractor<K, V>,
    held: Vec<Option<Held<K, V>>>,
}

/// A decoded record that waits for its turn, and its bytes, for handlers.
struct Held<K, V> {
    decoded: Decoded<K, V>,
    key: Option<Bytes>,
    value: Option<Bytes>,
}

/// A decoded record. Null where the type knows none is remembered, because it counts as seen all the same.
enum Decoded<K, V> {
    Record(Record<K, V>),
    Null { timestamp: i64 },
}

impl<K: Nullable, V: Nullable> SourceNode<K, V> {
    /// A source with these serdes.
    pub fn new(
        key: Arc<dyn Serde<K::Inner>>,
        value: Arc<dyn Serde<V::Inner>>,
        extractor: TimestampExtractor<K, V>,
    ) -> Self {
        Self {
            key,
            value,
            extractor,
            held: Vec::new(),
        }
    }

    /// The record with its own timestamp. `None` if it cannot be decoded and the handler says to go on.
    fn decode(&self, cx: &mut NodeContext<'_>, raw: &RawRecord<'_>) -> Result<Option<Decoded<K, V>>> {
        let topic = cx.parts.record.topic.as_deref().unwrap_or_default();
        let parts = guarded(|| {
            let key = part(&self.key, topic, raw.key, raw)?;
            Ok((key, part(&self.value, topic, raw.value, raw)?))
        });
        match parts {
            Ok((key, value)) => Ok(Some(Self::typed(cx, key, value, raw))),
            Err(error) => cx.undecodable(error).map(|()| None),
        }
    }

    #[inline]
    fn typed(
        cx: &NodeContext<'_>,
        key: Option<K::Inner>,
        value: Option<V::Inner>,
        raw: &RawRecord<'_>,
    ) -> Decoded<K, V> {
        let (Some(key), Some(value)) = (K::from_option(key), V::from_option(value)) else {
            return Decoded::Null {
                timestamp: raw.timestamp,
            };
        };
        Decoded::Record(Record {
            key,
            value,
            timestamp: raw.timestamp,
            headers: cx.parts.record.headers.clone(),
        })
    }

    /// The timestamp by the extractor's choice. `None` drops the record.
    fn extract(&self, cx: &mut NodeContext<'_>, decoded: &Decoded<K, V>) -> Result<Option<i64>> {
        let own = match decoded {
            Decoded::Record(record) => record.timestamp,
            Decoded::Null { timestamp } => *timestamp,
        };
        let chosen = match (&self.extractor, decoded) {
            (TimestampExtractor::WallClock, _) => cx.wall_clock(),
            (TimestampExtractor::Custom(extract), Decoded::Record(record)) => {
                guarded::<_, Error>(|| Ok(extract(record, cx.parts.partition_time())))?
            }
            _ if own >= 0 => own,
            (TimestampExtractor::UsePartitionTime, _) => cx.parts.partition_time(),
            (TimestampExtractor::FailOnInvalid, _) => return Err(invalid(cx, own)),
            _ => own,
        };
        if chosen < 0 {
            tracing::warn!(
                at = place(cx.record()),
                timestamp = chosen,
                "record dropped: its timestamp is negative"
            );
            cx.drop_record();
            return Ok(None);
        }
        Ok(Some(chosen))
    }

    fn emit(cx: &mut NodeContext<'_>, decoded: Decoded<K, V>, timestamp: i64) -> Result<()> {
        cx.parts.advance(timestamp);
        cx.parts.record.timestamp = timestamp;
        match decoded {
            Decoded::Record(record) => cx.forward(Record { timestamp, ..record }),
            Decoded::Null { .. } => {
                tracing::debug!(
                    at = place(cx.record()),
                    "record dropped: null where the type knows none"
                );
                cx.drop_record();
                Ok(())
            }
        }
    }
}

#[cold]
fn invalid(cx: &NodeContext<'_>, timestamp: i64) -> Error {
    Error::InvalidTimestamp {
        node: cx.node_name().to_owned(),
        at: place(cx.record()),
        timestamp,
    }
}

#[inline]
fn part<T: 'static>(
    serde: &Arc<dyn Serde<T>>,
    topic: &str,
    bytes: Option<&[u8]>,
    raw: &RawRecord<'_>,
) -> Result<Option<T>, SerdeError> {
    bytes
        .map(|bytes| serde.deserialize_shared(topic, bytes, raw.shared))
        .transpose()
}

impl<K: Nullable, V: Nullable> Source for SourceNode<K, V> {
    fn looks_ahead(&self) -> bool {
        matches!(
            self.extractor,
            TimestampExtractor::WallClock | TimestampExtractor::Custom(_)
        )
    }

    #[inline]
    fn process(&mut self, cx: &mut NodeContext<'_>, raw: &RawRecord<'_>) -> Result<()> {
        let Some(decoded) = self.decode(cx, raw)? else {
            return Ok(());
        };
        let Some(timestamp) = self.extract(cx, &decoded)? else {
            return Ok(());
        };
        Self::emit(cx, decoded, timestamp)
    }

    fn hold(&mut self, cx: &mut NodeContext<'_>, partition: usize, raw: &RawRecord<'_>) -> Result<Option<i64>> {
        let Some(decoded) = self.decode(cx, raw)? else {
            return Ok(None);
        };
        let Some(timestamp) = self.extract(cx, &decoded)? else {
            return Ok(None);
        };
        if self.held.len() <= partition {
            self.held.resize_with(partition + 1, || None);
        }
        if let Some(held) = self.held.get_mut(partition) {
            let decoded = match decoded {
                Decoded::Record(record) => Decoded::Record(Record { timestamp, ..record }),
                Decoded::Null { .. } => Decoded::Null { timestamp },
            };
            *held = Some(Held {
                decoded,
                key: raw.key_bytes(),
                value: raw.value_bytes(),
            });
        }
        Ok(Some(timestamp))
    }

    fn process_held(&mut self, cx: &mut NodeContext<'_>, partition: usize) -> Result<()> {
        let Some(held) = self.held.get_mut(partition).and_then(Option::take) else {
            return Ok(());
        };
        let timestamp = match &held.decoded {
            Decoded::Record(record) => {
                if !record.headers.is_empty() || !cx.parts.record.headers.is_empty() {
                    cx.parts.record.headers = record.headers.clone();
                }
                record.timestamp
            }
            Decoded::Null { timestamp } => *timestamp,
        };
        let raw = RawRecord {
            offset: cx.parts.record.offset,
            timestamp,
            key: held.key.as_deref(),
            value: held.value.as_deref(),
            headers: RawHeaders::default(),
            shared: &Bytes::new(),
        };
        let mut cx = cx.reborrow();
        cx.raw = Some(&raw);
        cx.tell_origin();
        Self::emit(&mut cx, held.decoded, timestamp)
    }
}
