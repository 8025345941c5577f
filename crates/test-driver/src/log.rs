//! The topics that a driver's tasks read, with all records that were ever written to them.

use std::ops::Range;

use bytes::Bytes;
use kstreams_wire::batch::{Batch, Records, stamp};
use kstreams_wire::partition::partition_for_key;

use crate::error::Result;

/// Who reads a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A global task: its place in the list of those.
    Global(usize),
    /// The tasks.
    Tasks,
}

/// A topic that is read.
pub(crate) struct SourceTopic {
    pub(crate) reader: Reader,
    /// One batch per record, by partition; the place in the list is the offset.
    partitions: Vec<Vec<Bytes>>,
    /// How many records without a key there were: they take turns.
    keyless: usize,
}

impl SourceTopic {
    pub(crate) fn new(reader: Reader, partitions: i32) -> Self {
        let mut topic = Self {
            reader,
            partitions: Vec::new(),
            keyless: 0,
        };
        topic.grow(partitions);
        topic
    }

    /// Gives the topic at least this many partitions.
    pub(crate) fn grow(&mut self, partitions: i32) {
        let partitions = usize::try_from(partitions).unwrap_or_default();
        if self.partitions.len() < partitions {
            self.partitions.resize_with(partitions, Vec::new);
        }
    }

    /// Where a record with this key goes.
    pub(crate) fn choose(&mut self, key: Option<&[u8]>) -> i32 {
        let count = self.partitions.len();
        if count <= 1 {
            return 0;
        }
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        match key {
            Some(key) => partition_for_key(key, count),
            None => {
                self.keyless += 1;
                i32::try_from(self.keyless - 1).unwrap_or_default() % count
            }
        }
    }

    pub(crate) fn has(&self, partition: i32) -> bool {
        usize::try_from(partition).is_ok_and(|at| at < self.partitions.len())
    }

    /// The offset behind the last record.
    pub(crate) fn end(&self, partition: i32) -> i64 {
        self.batches(partition).len() as i64
    }

    /// Appends a batch of one record, and gives it back as a consumer would fetch it.
    pub(crate) fn append(&mut self, partition: i32, batch: Bytes) -> Result<Records> {
        let mut batch = Vec::from(batch);
        stamp::place(&mut batch, self.end(partition), -1)?;
        let batch = Bytes::from(batch);
        let at = usize::try_from(partition).unwrap_or_default();
        if let Some(batches) = self.partitions.get_mut(at) {
            batches.push(batch.clone());
        }
        Ok(Batch::new(batch)?.into_records()?)
    }

    /// The records of these offsets.
    pub(crate) fn records(&self, partition: i32, offsets: Range<i64>) -> Result<Vec<Records>> {
        let from = usize::try_from(offsets.start).unwrap_or_default();
        let wanted = usize::try_from(offsets.end).unwrap_or_default().saturating_sub(from);
        let batches = self.batches(partition).iter().skip(from).take(wanted);
        batches
            .map(|batch| Ok(Batch::new(batch.clone())?.into_records()?))
            .collect()
    }

    fn batches(&self, partition: i32) -> &[Bytes] {
        let at = usize::try_from(partition).ok();
        at.and_then(|at| self.partitions.get(at)).map_or(&[], Vec::as_slice)
    }
}
