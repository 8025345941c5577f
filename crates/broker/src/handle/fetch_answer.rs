//! Writes fetch responses by hand, so that batches go from the log to the socket uncopied.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;

use crate::coordinate::sessions::{TopicKey, Wanted};
use crate::log::{Aborted, Isolation};
use crate::server::Rope;

/// Batches up to this size are copied into the surrounding bytes: a slice of its own costs more.
const COPIED_BYTES_MAX: usize = 512;

/// A fetch response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) error: i16,
    pub(super) session_id: i32,
    pub(super) isolation: Isolation,
    pub(super) throttle_ms: i32,
    pub(super) partitions: Vec<PartitionAnswer>,
}

/// A partition's part of it.
#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) topic: TopicKey,
    pub(super) partition: i32,
    pub(super) error: i16,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) stable_end: i64,
    pub(super) aborted: Vec<Aborted>,
    pub(super) slices: Vec<Bytes>,
    /// Where the log parts from what the reader has: an epoch, and its end.
    pub(super) divergence: Option<(i32, i64)>,
}

impl PartitionAnswer {
    /// Nothing is known yet of a partition.
    pub(super) fn of(wanted: &Wanted) -> Self {
        Self {
            topic: wanted.topic.clone(),
            partition: wanted.partition,
            error: 0,
            start: -1,
            end: -1,
            stable_end: -1,
            aborted: Vec::new(),
            slices: Vec::new(),
            divergence: None,
        }
    }
}

impl Answer {
    /// An answer that gives nothing.
    pub(super) fn refused(error: ResponseError, session_id: i32) -> Self {
        Self {
            error: error.code(),
            session_id,
            isolation: Isolation::ReadUncommitted,
            throttle_ms: 0,
            partitions: Vec::new(),
        }
    }

    /// The response in a version from 4 to 17, behind `head`, the response header.
    pub(super) fn write(self, version: i16, head: BytesMut) -> Rope {
        let mut writer = Writer {
            version,
            isolation: self.isolation,
            bytes: head,
            rope: Rope::default(),
        };
        writer.bytes.put_i32(self.throttle_ms);
        if version >= 7 {
            writer.bytes.put_i16(self.error);
            writer.bytes.put_i32(self.session_id);
        }
        let topics = group(self.partitions);
        writer.count(topics.len());
        for (topic, partitions) in topics {
            writer.topic(&topic);
            writer.count(partitions.len());
            for partition in partitions {
                writer.partition(partition);
            }
            writer.no_tags();
        }
        writer.no_tags();
        writer.rope.push(writer.bytes.freeze());
        writer.rope
    }
}

/// Neighbours of one topic go together.
fn group(partitions: Vec<PartitionAnswer>) -> Vec<(TopicKey, Vec<PartitionAnswer>)> {
    let mut topics: Vec<(TopicKey, Vec<PartitionAnswer>)> = Vec::new();
    for partition in partitions {
        match topics.last_mut() {
            Some((topic, group)) if *topic == partition.topic => group.push(partition),
            _ => topics.push((partition.topic.clone(), vec![partition])),
        }
    }
    topics
}

struct Writer {
    version: i16,
    isolation: Isolation,
    bytes: BytesMut,
    rope: Rope,
}

impl Writer {
    fn is_flexible(&self) -> bool {
        self.version >= 12
    }

    fn topic(&mut self, topic: &TopicKey) {
        if self.version >= 13 {
            self.bytes.put_slice(topic.id.as_bytes());
        } else if self.is_flexible() {
            self.varint(topic.name.len() + 1);
            self.bytes.put_slice(topic.name.as_bytes());
        } else {
            self.bytes.put_i16(i16::try_from(topic.name.len()).unwrap_or(i16::MAX));
            self.bytes.put_slice(topic.name.as_bytes());
        }
    }

    fn partition(&mut self, partition: PartitionAnswer) {
        self.bytes.put_i32(partition.partition);
        self.bytes.put_i16(partition.error);
        self.bytes.put_i64(partition.end); // high watermark
        self.bytes.put_i64(partition.stable_end); // last stable offset
        if self.version >= 5 {
            self.bytes.put_i64(partition.start);
        }
        self.aborted(&partition.aborted);
        if self.version >= 11 {
            self.bytes.put_i32(-1); // preferred read replica
        }
        self.records(partition.slices);
        match partition.divergence {
            Some((epoch, end)) if self.is_flexible() => self.divergence(epoch, end),
            _ => self.no_tags(),
        }
    }

    /// The one tagged field there is, which has no tags itself.
    fn divergence(&mut self, epoch: i32, end: i64) {
        const DIVERGING_EPOCH: u8 = 0;
        const BYTES: u8 = 4 + 8 + 1;
        self.bytes.put_slice(&[1, DIVERGING_EPOCH, BYTES]);
        self.bytes.put_i32(epoch);
        self.bytes.put_i64(end);
        self.bytes.put_u8(0);
    }

    /// The aborted transactions: null for whom they do not matter.
    fn aborted(&mut self, aborted: &[Aborted]) {
        match (self.isolation, self.is_flexible()) {
            (Isolation::ReadUncommitted, true) => return self.varint(0),
            (Isolation::ReadUncommitted, false) => return self.bytes.put_i32(-1),
            (Isolation::ReadCommitted, _) => self.count(aborted.len()),
        }
        for transaction in aborted {
            self.bytes.put_i64(transaction.producer_id);
            self.bytes.put_i64(transaction.first_offset);
            self.no_tags();
        }
    }

    fn records(&mut self, slices: Vec<Bytes>) {
        let length: usize = slices.iter().map(Bytes::len).sum();
        if self.is_flexible() {
            self.varint(length + 1);
        } else {
            self.bytes.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
        }
        for slice in slices {
            if slice.len() <= COPIED_BYTES_MAX {
                self.bytes.put_slice(&slice);
            } else {
                self.rope.push(self.bytes.split().freeze());
                self.rope.push(slice);
            }
        }
    }

    fn count(&mut self, count: usize) {
        if self.is_flexible() {
            self.varint(count + 1);
        } else {
            self.bytes.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    fn no_tags(&mut self) {
        if self.is_flexible() {
            self.bytes.put_u8(0);
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }
}
