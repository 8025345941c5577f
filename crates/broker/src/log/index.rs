//! Where the batches of a segment are: one entry for each.

use std::collections::VecDeque;
use std::ops::Range;

use kstreams_wire::batch::BatchHeader;

/// What is known of a stored batch without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) position: u64,
    pub(crate) bytes: usize,
}

/// The batches of one segment in order. Offsets grow, and may leave gaps where compaction took batches away.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: VecDeque<Entry>,
    end: u64,
    max_timestamp: i64,
}

impl Index {
    /// Notes a batch at the end of the segment.
    pub(crate) fn push(&mut self, header: &BatchHeader) {
        let bytes = header.total_bytes();
        self.max_timestamp = match self.entries.is_empty() {
            true => header.max_timestamp,
            false => self.max_timestamp.max(header.max_timestamp),
        };
        self.entries.push_back(Entry {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            position: self.end,
            bytes,
        });
        self.end += bytes as u64;
    }

    /// The batches that `limit` bytes hold and that begin before `until`, starting with the one that has `offset` or what
    /// follows it.
    pub(crate) fn select(&self, offset: i64, until: i64, limit: Limit) -> Range<usize> {
        let first = self.find(offset);
        let Some(start) = self.entries.get(first).filter(|entry| entry.base_offset < until) else {
            return first..first;
        };
        let fits = |entry: &Entry| {
            entry.base_offset < until && entry.position + entry.bytes as u64 - start.position <= limit.bytes as u64
        };
        let mut last = first + self.entries.range(first..).take_while(|entry| fits(entry)).count();
        if last == first && limit.whole_batch {
            last = first + 1;
        }
        first..last
    }

    /// The number of the batch that has `offset`, or of the first after it.
    pub(crate) fn find(&self, offset: i64) -> usize {
        self.entries.partition_point(|entry| entry.last_offset < offset)
    }

    /// Bytes from the batch that has `offset` to the last one that begins before `until`.
    pub(crate) fn bytes_between(&self, offset: i64, until: i64) -> u64 {
        let behind = match self.entries.back() {
            Some(last) if last.base_offset < until => self.end,
            _ => {
                let behind = self.entries.partition_point(|entry| entry.base_offset < until);
                self.entries.get(behind).map_or(self.end, |entry| entry.position)
            }
        };
        let first = self.entries.get(self.find(offset));
        first.map_or(0, |entry| behind.saturating_sub(entry.position))
    }

    /// Bytes of all batches.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.front().map_or(0, |entry| self.end - entry.position)
    }

    /// Where the next batch will be.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The latest timestamp, if there is a batch.
    pub(crate) fn max_timestamp(&self) -> Option<i64> {
        (!self.entries.is_empty()).then_some(self.max_timestamp)
    }

    /// The entries in order.
    pub(crate) fn entries(&self) -> &VecDeque<Entry> {
        &self.entries
    }

    /// Forgets the batches that end before `offset`; tells how many.
    pub(crate) fn trim(&mut self, offset: i64) -> usize {
        let gone = self.find(offset);
        self.entries.drain(..gone);
        gone
    }
}

/// How much a reader takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) bytes: usize,
    /// Take the first batch even if it alone is longer: a reader must get past it.
    pub(crate) whole_batch: bool,
}
