//! Control records: the markers that end transactions.

use bytes::Bytes;

use super::build::{BatchBuilder, ProducerStamp};
use super::header::Attributes;
use super::records::RawRecord;
use crate::compression::Compression;
use crate::error::{Error, Result};
use crate::headers::Headers;
use crate::primitives::Cursor;

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The producer's transaction was aborted: its records before this do not count.
    Abort(Marker),
    /// The producer's transaction was committed.
    Commit(Marker),
    /// Something for the brokers among themselves, by its type number.
    Other(i16),
}

/// The details of a transaction's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The epoch of the transaction coordinator.
    pub coordinator_epoch: i32,
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

impl Control {
    /// Reads a record of a control batch.
    pub fn parse(record: &RawRecord<'_>) -> Result<Self> {
        const WHAT: &str = "control record";
        let mut key = Cursor::new(record.key.ok_or(Error::corrupt(WHAT, "has no key"))?);
        let (Some(0..), Some(kind)) = (key.i16(), key.i16()) else {
            return Err(Error::corrupt(WHAT, "its key has no version and type"));
        };
        if kind != ABORT && kind != COMMIT {
            return Ok(Self::Other(kind));
        }
        let mut value = Cursor::new(record.value.ok_or(Error::corrupt(WHAT, "has no value"))?);
        let (Some(0..), Some(coordinator_epoch)) = (value.i16(), value.i32()) else {
            return Err(Error::corrupt(WHAT, "its value has no version and epoch"));
        };
        let marker = Marker { coordinator_epoch };
        Ok(if kind == COMMIT {
            Self::Commit(marker)
        } else {
            Self::Abort(marker)
        })
    }

    /// The batch that carries this record for the given producer.
    pub fn to_batch(self, producer_id: i64, producer_epoch: i16, timestamp: i64) -> Result<Bytes> {
        let (kind, marker) = match self {
            Self::Abort(marker) => (ABORT, marker),
            Self::Commit(marker) => (COMMIT, marker),
            Self::Other(_) => {
                return Err(Error::corrupt(
                    "control record",
                    "only transaction markers can be written",
                ));
            }
        };
        let mut key = [0; 4];
        key.last_chunk_mut::<2>()
            .into_iter()
            .for_each(|chunk| *chunk = kind.to_be_bytes());
        let mut value = [0; 6];
        value
            .last_chunk_mut::<4>()
            .into_iter()
            .for_each(|chunk| *chunk = marker.coordinator_epoch.to_be_bytes());
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(timestamp, Some(&key), Some(&value), &Headers::new())?;
        let stamp = ProducerStamp {
            producer_id,
            epoch: producer_epoch,
            base_sequence: -1,
            transactional: true,
        };
        builder.finish_with(stamp, Attributes::new(Compression::None, true, true))
    }
}
