//! A sealed batch on its way: from the caller to the sender, to a broker, and back.

use bytes::Bytes;
use kstreams_wire::batch::{BatchBuilder, BatchHeader, ProducerStamp, Records, stamp};
use kstreams_wire::compression::Codec;
use kstreams_wire::{Error, Result};

use super::lost::{LostRecord, Origin};
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
    /// Where its records came from, in their order; empty if nobody told.
    pub(super) origins: Vec<Option<Origin>>,
}

/// A batch of which some records were refused, taken apart.
#[derive(Debug)]
pub(super) struct Sifted {
    /// The refused ones, in their order.
    pub(super) refused: Vec<LostRecord>,
    /// The others, without a stamp.
    pub(super) rest: Option<Sealed>,
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

    /// The records, one by one.
    pub(super) fn records(&self) -> Result<Vec<LostRecord>> {
        let mut records = kstreams_wire::batch::Batch::new(self.bytes.clone())?.into_records()?;
        let mut found = Vec::with_capacity(self.records.unsigned_abs() as usize);
        while let Some(record) = records.next()? {
            found.push(LostRecord {
                key: record.key_bytes(),
                value: record.value_bytes(),
                timestamp: record.timestamp,
                headers: record.to_headers(),
                origin: self.origins.get(found.len()).cloned().flatten(),
            });
        }
        Ok(found)
    }

    /// Takes out the records that are `refused`, by their place in the batch.
    pub(super) fn sift(&self, refused: impl Fn(usize) -> bool, codec: Codec) -> Result<Sifted> {
        let all = self.records()?.into_iter().enumerate();
        let (taken, kept): (Vec<_>, Vec<_>) = all.partition(|(at, _)| refused(*at));
        let mut builder = BatchBuilder::new(codec);
        for (_, record) in &kept {
            builder.append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &record.headers,
            )?;
        }
        let rest = match builder.records() {
            0 => None,
            count => Some(Self {
                place: self.place,
                bytes: builder.finish(ProducerStamp::NONE)?,
                records: i32::try_from(count).unwrap_or(i32::MAX),
                charged_bytes: self.share(count),
                stamp: ProducerStamp::NONE,
                opened: self.opened,
                origins: kept.into_iter().map(|(_, record)| record.origin).collect(),
            }),
        };
        Ok(Sifted {
            refused: taken.into_iter().map(|(_, record)| record).collect(),
            rest,
        })
    }

    /// What so many of the records take of `buffer.memory`.
    fn share(&self, records: u32) -> usize {
        self.charged_bytes * records as usize / self.records.unsigned_abs().max(1) as usize
    }

    fn part(&self, records: &mut Records, count: u32, codec: Codec, stamp: ProducerStamp) -> Result<Self> {
        let from = self.records.unsigned_abs() - records.remaining();
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
        let share = self.share(builder.records());
        let origins = self.origins.iter().skip(from as usize).take(builder.records() as usize);
        Ok(Self {
            place: self.place,
            origins: origins.cloned().collect(),
            bytes: builder.finish(stamp)?,
            records: parts,
            charged_bytes: share,
            stamp,
            opened: self.opened,
        })
    }
}
