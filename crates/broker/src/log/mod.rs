//! One partition's log: client batches in order, stored as they came.

mod assemble;
mod at;
mod blame;
mod cleaning;
mod compaction;
mod disk;
mod index;
mod lookup;
mod producers;
mod retention;
mod segment;
#[cfg(test)]
mod tests;
mod transactions;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kstreams_wire::batch::control::{Control, Marker};
use kstreams_wire::batch::{self, Batch, BatchHeader};
use tokio::sync::Notify;

pub(crate) use cleaning::Cleaning;
pub(crate) use index::Limit;
pub(crate) use lookup::Found;
pub(crate) use producers::ActiveProducer;
use producers::{Producers, Verdict};
use segment::Segment;
use transactions::Transactions;
pub(crate) use transactions::{Aborted, Outcome, TransactionMarker};

use crate::refusal::Refusal;
use crate::settings::{Settings, TimestampType};

/// The log of a partition. What is appended is readable at once: one node has nobody to wait for.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    settings: Rc<Settings>,
    place: Place,
    /// Never empty; the last one takes appends.
    segments: VecDeque<Segment>,
    start: i64,
    end: i64,
    /// The epochs under which batches came, and the first offset of each.
    epochs: Vec<(i32, i64)>,
    producers: Producers,
    transactions: Transactions,
    /// Everything before is compacted.
    compacted_until: i64,
    waiting: Vec<Weak<Notify>>,
}

/// Where and how a log is kept.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The directory of the partition; none in memory.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) segment_bytes_max: u64,
    /// The leader epoch of this run of the broker.
    pub(crate) epoch: i32,
}

/// How far a reader may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Everything.
    ReadUncommitted,
    /// Up to the first record of a transaction that is still open.
    ReadCommitted,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// The broker's time, if it replaced the producer's.
    pub(crate) append_time: Option<i64>,
}

impl PartitionLog {
    /// The log at this place, with what is there already.
    pub(crate) fn open(place: Place, settings: Rc<Settings>, now_ms: i64) -> io::Result<Self> {
        let mut log = Self {
            settings,
            segments: VecDeque::new(),
            start: 0,
            end: 0,
            epochs: Vec::new(),
            producers: Producers::default(),
            transactions: Transactions::default(),
            compacted_until: 0,
            waiting: Vec::new(),
            place,
        };
        log.recover(now_ms)?;
        Ok(log)
    }

    /// Appends the one batch that a produce request holds for a partition.
    pub(crate) fn append(&mut self, records: Bytes, now_ms: i64) -> Result<Appended, Refusal> {
        let batch = self.check(records, now_ms)?;
        if let Verdict::Duplicate(written) = self.producers.check(batch.header())? {
            return Ok(Appended {
                base_offset: written.base_offset,
                append_time: self.append_time(written.max_timestamp),
            });
        }
        let batch = assemble::recompress(batch, &self.settings.compression)
            .map_err(|error| Refusal::new(ResponseError::CorruptMessage, error.to_string()))?;
        let mut header = *batch.header();
        header.base_offset = self.end;
        header.leader_epoch = self.place.epoch;
        let append_time = self.append_time(now_ms);
        header.max_timestamp = append_time.unwrap_or(header.max_timestamp);
        self.store(&header, batch.bytes(), append_time, now_ms)
            .map_err(Refusal::storage)?;
        self.appended(&header, now_ms);
        Ok(Appended {
            base_offset: header.base_offset,
            append_time,
        })
    }

    /// Ends a producer's transaction here.
    pub(crate) fn append_marker(&mut self, marker: TransactionMarker, now_ms: i64) -> io::Result<()> {
        let epoch = Marker {
            coordinator_epoch: marker.coordinator_epoch,
        };
        let control = match marker.outcome {
            Outcome::Commit => Control::Commit(epoch),
            Outcome::Abort => Control::Abort(epoch),
        };
        let batch = control.to_batch(marker.producer_id, marker.producer_epoch, now_ms);
        let batch = Batch::new(batch.map_err(io::Error::other)?).map_err(io::Error::other)?;
        let mut header = *batch.header();
        header.base_offset = self.end;
        header.leader_epoch = self.place.epoch;
        self.store(&header, batch.bytes(), None, now_ms)?;
        self.transactions.end(marker.producer_id, marker.outcome, self.end);
        self.appended(&header, now_ms);
        Ok(())
    }

    /// Takes note of a batch that is stored.
    fn appended(&mut self, header: &BatchHeader, now_ms: i64) {
        if header.attributes.is_transactional() && !header.attributes.is_control() {
            self.transactions.note(header.producer_id, header.base_offset);
        }
        self.producers.note(header, now_ms);
        self.end = header.next_offset();
        self.wake();
    }

    fn append_time(&self, time: i64) -> Option<i64> {
        (self.settings.timestamp_type == TimestampType::LogAppendTime).then_some(time)
    }

    /// Kafka's conditions on a batch that a client sends.
    fn check(&self, records: Bytes, now_ms: i64) -> Result<Batch, Refusal> {
        let invalid = |message: &str| Refusal::new(ResponseError::InvalidRecord, message);
        let bytes = records.len();
        let batch = Batch::new(records).map_err(|_| invalid("not exactly one record batch of format 2"))?;
        if bytes > self.settings.message_bytes_max {
            return Err(ResponseError::MessageTooLarge.into());
        }
        if bytes as u64 > self.settings.segment_bytes {
            return Err(ResponseError::RecordListTooLarge.into());
        }
        batch
            .verify_crc()
            .map_err(|error| Refusal::new(ResponseError::CorruptMessage, error.to_string()))?;
        let header = batch.header();
        if header.attributes.is_control() {
            return Err(invalid("Clients are not allowed to write control records"));
        }
        if header.attributes.is_transactional() && header.producer_id < 0 {
            return Err(invalid("a transactional batch without a producer id"));
        }
        if header.records < 1 || header.records != header.last_offset_delta.wrapping_add(1) {
            return Err(invalid("the batch's offsets do not fit its number of records"));
        }
        if self.settings.timestamp_type == TimestampType::CreateTime {
            blame::check_times(batch.clone(), &self.settings, now_ms)?;
        }
        if self.settings.compact {
            blame::check_keys(batch.clone())?;
        }
        Ok(batch)
    }

    fn store(&mut self, header: &BatchHeader, bytes: &[u8], time: Option<i64>, now_ms: i64) -> io::Result<()> {
        if self.is_full(bytes.len() as u64, now_ms) {
            self.roll(now_ms)?;
        }
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch < header.leader_epoch) {
            self.epochs.push((header.leader_epoch, header.base_offset));
        }
        let active = self.active();
        if active.is_empty() {
            active.created_ms = now_ms;
        }
        active.appended_ms = now_ms;
        active.append(header, bytes, |stored| {
            batch::stamp::place(stored, header.base_offset, header.leader_epoch).map_err(io::Error::other)?;
            match time {
                Some(time) => batch::stamp::append_time(stored, time).map_err(io::Error::other),
                None => Ok(()),
            }
        })
    }

    fn is_full(&mut self, more_bytes: u64, now_ms: i64) -> bool {
        let bytes_max = self.settings.segment_bytes.min(self.place.segment_bytes_max);
        let age_max = self.settings.segment_ms;
        let active = self.active();
        let old = now_ms.saturating_sub(active.created_ms) > age_max;
        !active.is_empty() && (old || active.index().bytes() + more_bytes > bytes_max)
    }

    /// Starts a new segment at the end.
    fn roll(&mut self, now_ms: i64) -> io::Result<()> {
        let segment = Segment::create(self.place.directory.as_deref(), self.end, now_ms)?;
        self.segments.push_back(segment);
        Ok(())
    }

    fn active(&mut self) -> &mut Segment {
        self.segments
            .back_mut()
            .expect("a log has a segment: recovery makes one")
    }

    /// Whole batches from the one that has `offset` on, which must be within the log, and that begin before `until`.
    pub(crate) fn read(&self, offset: i64, until: i64, limit: Limit) -> io::Result<Vec<Bytes>> {
        let mut slices = Vec::new();
        let mut left = limit;
        let first = self.segment_of(offset);
        for segment in self.segments.range(first..) {
            let before = slices.len();
            let read = segment.read(offset, until, left, &mut slices)?;
            left.bytes = left.bytes.saturating_sub(read);
            let had_some = slices.len() > before;
            left.whole_batch &= !had_some;
            // A segment that gave less than all it has is where the limit was met.
            if segment.index().bytes_between(offset, until) > read as u64 {
                break;
            }
        }
        Ok(slices)
    }

    /// How many bytes a reader from `offset` to `until` could get; counts no further than `enough`.
    pub(crate) fn readable_bytes(&self, offset: i64, until: i64, enough: u64) -> u64 {
        let mut bytes = 0;
        for segment in self.segments.range(self.segment_of(offset)..) {
            bytes += segment.index().bytes_between(offset, until);
            if bytes >= enough {
                break;
            }
        }
        bytes
    }

    /// The number of the segment that has `offset`, if any has.
    fn segment_of(&self, offset: i64) -> usize {
        let after = self.segments.partition_point(|segment| segment.base_offset() <= offset);
        after.saturating_sub(1)
    }

    /// The first offset that can be read.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// The offset that the next record gets: also the high watermark.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// The last stable offset: before it, every transaction has ended.
    pub(crate) fn stable_end(&self) -> i64 {
        // What retention took away of an open transaction keeps nobody waiting.
        let open = self.transactions.first_open().map(|offset| offset.max(self.start));
        open.unwrap_or(self.end)
    }

    /// Where the log ends for such a reader.
    pub(crate) fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end,
            Isolation::ReadCommitted => self.stable_end(),
        }
    }

    /// The aborted transactions that a reader of these offsets may meet.
    pub(crate) fn aborted_between(&self, from: i64, until: i64) -> Vec<Aborted> {
        self.transactions.aborted_between(from, until).collect()
    }

    /// Who has written here and is remembered.
    pub(crate) fn active_producers(&self) -> impl Iterator<Item = ActiveProducer> {
        let start_of = |producer: ActiveProducer| ActiveProducer {
            transaction_start: self.transactions.start_of(producer.producer_id),
            ..producer
        };
        self.producers.active().map(start_of)
    }

    /// Whether there are as many replicas as a writer may insist on: one, and `min.insync.replicas` may want more.
    pub(crate) fn has_enough_replicas(&self) -> bool {
        self.settings.insync_replicas_min <= 1
    }

    /// The leader epoch.
    pub(crate) fn epoch(&self) -> i32 {
        self.place.epoch
    }

    /// Takes the topic's altered configs.
    pub(crate) fn alter(&mut self, settings: Rc<Settings>) {
        self.settings = settings;
    }

    /// Wakes `notify` at the next append or when the log goes away.
    pub(crate) fn wake_later(&mut self, notify: &Rc<Notify>) {
        // Readers of an idle partition that have given up are dropped here, or the list would grow for ever.
        if self.waiting.len() >= 16 {
            self.waiting.retain(|waiting| waiting.strong_count() > 0);
        }
        self.waiting.push(Rc::downgrade(notify));
    }

    fn wake(&mut self) {
        for notify in self.waiting.drain(..).filter_map(|waiting| waiting.upgrade()) {
            notify.notify_one();
        }
    }
}

impl Drop for PartitionLog {
    fn drop(&mut self) {
        self.wake();
    }
}
