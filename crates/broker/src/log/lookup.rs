//! Finds offsets by time and by epoch.

use std::io;

use kstreams_wire::batch;

use super::PartitionLog;
use super::index::{Entry, Limit};
use super::segment::Segment;

/// A record that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) epoch: i32,
}

impl PartitionLog {
    /// The first record that is not older than `timestamp`.
    pub(crate) fn at_time(&self, timestamp: i64) -> io::Result<Option<Found>> {
        for segment in &self.segments {
            if segment.index().max_timestamp().is_none_or(|max| max < timestamp) {
                continue;
            }
            let late = |entry: &&Entry| entry.max_timestamp >= timestamp && entry.last_offset >= self.start;
            for entry in segment.index().entries().iter().filter(late) {
                let found = self.scan(segment, entry, |time| time >= timestamp)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// The first of the records with the latest timestamp.
    pub(crate) fn latest_in_time(&self) -> io::Result<Option<Found>> {
        let readable = self.segments.iter().flat_map(|segment| segment.index().entries());
        let readable = readable.filter(|entry| entry.last_offset >= self.start);
        match readable.map(|entry| entry.max_timestamp).max() {
            Some(latest) => self.at_time(latest),
            None => Ok(None),
        }
    }

    fn scan(&self, segment: &Segment, entry: &Entry, wanted: impl Fn(i64) -> bool) -> io::Result<Option<Found>> {
        let limit = Limit {
            bytes: 0,
            whole_batch: true,
        };
        let mut slices = Vec::new();
        segment.read(entry.base_offset, i64::MAX, limit, &mut slices)?;
        for batch in slices.into_iter().flat_map(batch::split) {
            let batch = batch.map_err(io::Error::other)?;
            let epoch = batch.header().leader_epoch;
            let is_control = batch.header().attributes.is_control();
            let mut records = batch.into_records().map_err(io::Error::other)?;
            while let Some(record) = records.next().map_err(io::Error::other)? {
                if record.offset >= self.start && !is_control && wanted(record.timestamp) {
                    return Ok(Some(Found {
                        offset: record.offset,
                        timestamp: record.timestamp,
                        epoch,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Where the records of leader epoch `epoch` end: the latest epoch up to it, and the first offset of the next.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        if epoch == self.place.epoch {
            return Some((epoch, self.end));
        }
        if epoch > self.place.epoch {
            return None;
        }
        let after = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let end = self.epochs.get(after).map_or(self.end, |(_, first)| *first);
        let known = after.checked_sub(1).and_then(|last| self.epochs.get(last));
        Some(known.map_or((epoch, end.max(self.start)), |(known, _)| (*known, end)))
    }

    /// The epoch of the batch that has `offset`.
    pub(crate) fn epoch_of(&self, offset: i64) -> i32 {
        let after = self.epochs.partition_point(|(_, first)| *first <= offset);
        let known = after.checked_sub(1).and_then(|last| self.epochs.get(last));
        known.map_or(self.place.epoch, |(epoch, _)| *epoch)
    }
}
