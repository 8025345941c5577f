//! The caller's side of a partition: the open batch that records are appended to, and what was acknowledged.

use bytes::Bytes;
use kstreams_wire::batch::{BatchBuilder, ProducerStamp, stamp};
use kstreams_wire::compression::Codec;
use kstreams_wire::{Result, TopicName};

use super::ProducerRecord;
use super::batch::{Place, Sealed};
use super::lost::Origin;
use super::queue::Identity;
use crate::network::Instant;

/// A topic that is written to.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) partitions: Vec<Partition>,
    /// Where records without key and partition go until its batch is full.
    pub(super) sticky: usize,
}

/// A partition that is written to.
#[derive(Debug)]
pub(super) struct Partition {
    place: Place,
    /// Made with the first record: most partitions of a wide topic may never see one.
    builder: Option<BatchBuilder>,
    opened: Option<Instant>,
    open_bytes: usize,
    next_sequence: i32,
    unacked_batches: usize,
    acked_offset: Option<i64>,
    /// Where the records of the open batch came from; empty if nobody told.
    origins: Vec<Option<Origin>>,
}

impl Topic {
    pub(super) fn new(name: TopicName) -> Self {
        Self {
            name,
            partitions: Vec::new(),
            sticky: 0,
        }
    }

    /// Makes room for as many partitions as the topic has by now.
    pub(super) fn widen(&mut self, topic: u32, partitions: i32) {
        for partition in self.partitions.len() as i32..partitions {
            self.partitions.push(Partition::new(Place { topic, partition }));
        }
    }
}

impl Partition {
    fn new(place: Place) -> Self {
        Self {
            place,
            builder: None,
            opened: None,
            open_bytes: 0,
            next_sequence: 0,
            unacked_batches: 0,
            acked_offset: None,
            origins: Vec::new(),
        }
    }

    /// The size of the open batch.
    pub(super) fn size(&self) -> usize {
        self.builder.as_ref().map_or(0, BatchBuilder::size)
    }

    /// How many sealed batches are on their way.
    pub(super) fn unacked_batches(&self) -> usize {
        self.unacked_batches
    }

    /// The bytes of the open batch before compression.
    pub(super) fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// When the open batch got its first record.
    pub(super) fn opened(&self) -> Option<Instant> {
        self.opened
    }

    /// Appends a record and says how many bytes it took.
    pub(super) fn append(&mut self, record: &ProducerRecord<'_>, codec: Codec) -> Result<usize> {
        let builder = self.builder.get_or_insert_with(|| BatchBuilder::new(codec));
        let bytes = builder.append(record.timestamp, record.key, record.value, record.headers)?;
        self.open_bytes += bytes;
        Ok(bytes)
    }

    /// Notes where the last record came from.
    pub(super) fn came_from(&mut self, origin: Origin) {
        let records = self.builder.as_ref().map_or(0, BatchBuilder::records) as usize;
        self.origins.resize(records.saturating_sub(1), None);
        self.origins.push(Some(origin));
    }

    /// Notes when the open batch got its first record.
    pub(super) fn open(&mut self, now: Instant) {
        self.opened = Some(now);
    }

    /// The producer has another identity: sequences begin anew.
    pub(super) fn begin_sequences(&mut self) {
        self.next_sequence = 0;
    }

    /// Ends the open batch, if there is one. Its stamp is a guess that the sender corrects if it has to.
    pub(super) fn seal(&mut self, identity: Option<Identity>, transactional: bool) -> Result<Option<Sealed>> {
        let (Some(builder), Some(opened)) = (self.builder.as_mut(), self.opened.take()) else {
            return Ok(None);
        };
        let records = builder.records();
        let stamp = identity.map_or(ProducerStamp::NONE, |identity| ProducerStamp {
            producer_id: identity.producer_id,
            epoch: identity.epoch,
            base_sequence: self.next_sequence,
            transactional,
        });
        self.next_sequence = stamp::next_sequence(self.next_sequence, records);
        self.open_bytes = 0;
        self.unacked_batches += 1;
        let bytes = builder.finish(stamp)?;
        let charged_bytes = bytes.len();
        let records = i32::try_from(records).unwrap_or(i32::MAX);
        Ok(Some(Sealed {
            place: self.place,
            bytes,
            records,
            charged_bytes,
            stamp,
            opened,
            origins: std::mem::take(&mut self.origins),
        }))
    }

    /// A batch came to its end.
    pub(super) fn landed(&mut self) {
        self.unacked_batches = self.unacked_batches.saturating_sub(1);
    }

    /// Takes over an acknowledgement, and the memory of its batch.
    pub(super) fn acked(&mut self, last_offset: Option<i64>, memory: Bytes) {
        self.landed();
        self.acked_offset = self.acked_offset.max(last_offset);
        if let Some(builder) = &mut self.builder {
            builder.recycle(memory);
        }
    }

    pub(super) fn acked_offset(&self) -> Option<i64> {
        self.acked_offset
    }

    /// Forgets everything but what was acknowledged.
    pub(super) fn clear(&mut self) {
        *self = Self {
            acked_offset: self.acked_offset,
            ..Self::new(self.place)
        };
    }
}
