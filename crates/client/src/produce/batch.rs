//! A sealed batch on its way: from the caller to the sender, to a broker, and back.

use bytes::Bytes;
use kstreams_wire::batch::{BatchBuilder, BatchHeader, ProducerStamp, Records, stamp};
use kstreams_wire::compression::Codec;
use kstreams_wire::{Error, Result};

use crate::network::Instant;

/// A partition as a producer numbers it: its topic's handle, and its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) topic: u32,
    pub(super) partition: i32,
}

/// A sealed batch.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) place: Place,
    pub(super) bytes: Bytes,
    pub(super) records: i32,
    /// What it takes of `buffer.memory`.
    pub(super) charged_bytes: usize,
    /// What the caller expected to be its stamp.
    pub(super) stamp: ProducerStamp,
    /// When its first record was appended.
    pub(super) opened: Instant,
}

impl Sealed {
    /// Gives the batch its stamp, which is nothing to do if the caller guessed well.
    pub(super) fn restamp(&mut self, to: ProducerStamp) -> Result<()> {
        if self.stamp != to {
            self.bytes = stamp::restamp(std::mem::take(&mut self.bytes), to)?;
            self.stamp = to;
        }
        Ok(())
    }

    /// Two halves of a batch that is too large for the broker; sequences stay those of the records.
    pub(super) fn split(self, codec: Codec) -> Result<[Self; 2]> {
        let header = BatchHeader::parse(&self.bytes)?;
        let mut records = kstreams_wire::batch::Batch::new(self.bytes.clone())?.into_records()?;
        let first_half = header.records.unsigned_abs().div_ceil(2);
        let first = self.part(&mut records, first_half, codec, self.stamp)?;
        let rest_bytes = self.charged_bytes.saturating_sub(first.charged_bytes);
        let base_sequence = match self.stamp.base_sequence {
            none @ ..0 => none,
            some => stamp::next_sequence(some, first_half),
        };
        let second = self.part(
            &mut records,
            u32::MAX,
            codec,
            ProducerStamp {
                base_sequence,
                ..self.stamp
            },
        )?;
        Ok([
            first,
            Self {
                charged_bytes: rest_bytes,
                ..second
            },
        ])
    }

    fn part(&self, records: &mut Records, count: u32, codec: Codec, stamp: ProducerStamp) -> Result<Self> {
        let mut builder = BatchBuilder::new(codec);
        while builder.records() < count
            && let Some(record) = records.next()?
        {
            builder.append(record.timestamp, record.key, record.value, &record.to_headers())?;
        }
        if builder.is_empty() {
            return Err(Error::EmptyBatch);
        }
        let parts = i32::try_from(builder.records()).unwrap_or(i32::MAX);
        let share = self.charged_bytes * builder.records() as usize / self.records.unsigned_abs().max(1) as usize;
        Ok(Self {
            place: self.place,
            bytes: builder.finish(stamp)?,
            records: parts,
            charged_bytes: share,
            stamp,
            opened: self.opened,
        })
    }
}
