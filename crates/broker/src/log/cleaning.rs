//! Makes new segments of old ones, with only the latest record of each key.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use kstreams_wire::batch::{Batch, BatchHeader, TimestampType};
use kstreams_wire::compression::Compression;

use super::Aborted;
use super::assemble::assemble;
use super::segment::{Segment, Source};

/// Cleaning that is to be done.
#[derive(Debug)]
pub(crate) struct Cleaning {
    pub(super) sources: Vec<Source>,
    /// Where the segments end that are cleaned.
    pub(super) until: i64,
    /// Up to here keys were unique already.
    pub(super) clean_until: i64,
    /// Tombstones of segments that are older have been seen by everybody.
    pub(super) tombstones_before_ms: i64,
    pub(super) latest_of_producers: HashSet<i64>,
    /// The transactions whose records do not count.
    pub(super) aborted: Vec<Aborted>,
    pub(super) directory: Option<PathBuf>,
    pub(super) segment_bytes_max: u64,
}

/// Cleaning that is done.
#[derive(Debug)]
pub(crate) struct Cleaned {
    pub(super) segments: Vec<Segment>,
    /// The base offsets of the segments they replace.
    pub(super) replaced: Vec<i64>,
    pub(super) until: i64,
}

impl Cleaning {
    /// Does it. The log is not touched.
    pub(crate) fn run(self) -> io::Result<Cleaned> {
        let latest = self.latest()?;
        let mut segments: Vec<Segment> = Vec::new();
        for source in &self.sources {
            let mut kept = Vec::new();
            for bytes in source.batches() {
                kept.extend(self.clean(bytes?, &latest, source.appended_ms)?);
            }
            let bytes: u64 = kept.iter().map(|(header, _)| header.total_bytes() as u64).sum();
            let fits = |segment: &Segment| segment.index().bytes() + bytes <= self.segment_bytes_max;
            if !segments.last().is_some_and(fits) {
                let directory = self.directory.as_deref();
                segments.push(Segment::unfinished(directory, source.base_offset, source.appended_ms)?);
            }
            let into = segments.last_mut().expect("a segment was just made");
            into.appended_ms = into.appended_ms.max(source.appended_ms);
            for (header, batch) in kept {
                into.append(&header, &batch, |_| Ok(()))?;
            }
        }
        Ok(Cleaned {
            segments,
            replaced: self.sources.iter().map(|source| source.base_offset).collect(),
            until: self.until,
        })
    }

    /// The latest offset of each key among the records that have come since the last cleaning.
    fn latest(&self) -> io::Result<HashMap<Box<[u8]>, i64>> {
        let mut latest = HashMap::new();
        for source in self
            .sources
            .iter()
            .filter(|source| source.base_offset >= self.clean_until)
        {
            for bytes in source.batches() {
                let batch = Batch::new(bytes?).map_err(io::Error::other)?;
                if batch.header().attributes.is_control() || self.is_aborted(batch.header()) {
                    continue;
                }
                let mut records = batch.into_records().map_err(io::Error::other)?;
                while let Some(record) = records.next().map_err(io::Error::other)? {
                    let Some(key) = record.key else { continue };
                    match latest.get_mut(key) {
                        Some(offset) => *offset = record.offset,
                        None => {
                            latest.insert(Box::from(key), record.offset);
                        }
                    }
                }
            }
        }
        Ok(latest)
    }

    fn is_aborted(&self, header: &BatchHeader) -> bool {
        let covers = |aborted: &Aborted| {
            aborted.producer_id == header.producer_id
                && (aborted.first_offset..aborted.last_offset).contains(&header.base_offset)
        };
        header.attributes.is_transactional() && self.aborted.iter().any(covers)
    }

    /// What is left of a batch.
    fn clean(
        &self,
        bytes: Bytes,
        latest: &HashMap<Box<[u8]>, i64>,
        appended_ms: i64,
    ) -> io::Result<Option<(BatchHeader, Bytes)>> {
        let batch = Batch::new(bytes).map_err(io::Error::other)?;
        let header = *batch.header();
        let whole = batch.bytes().clone();
        // Markers stay: they are few, and a reader of older offsets may still need them.
        if header.attributes.is_control() {
            return Ok(Some((header, whole)));
        }
        let aborted = self.is_aborted(&header);
        let mut records = batch.into_records().map_err(io::Error::other)?;
        let payload = records.payload().clone();
        let mut spans = Spans {
            payload: &payload,
            next: 0,
        };
        let mut rest = Rest::default();
        while let Some(record) = records.next().map_err(io::Error::other)? {
            let span = spans
                .next()
                .ok_or_else(|| io::Error::other("a batch holds fewer records than it says"))?;
            let outdated = record
                .key
                .is_none_or(|key| latest.get(key).is_some_and(|offset| *offset > record.offset));
            let is_old = record.offset < self.clean_until && appended_ms < self.tombstones_before_ms;
            if !aborted && !outdated && (record.value.is_some() || !is_old) {
                rest.keep(payload.get(span).unwrap_or_default(), record.timestamp);
            }
        }
        if rest.records == header.records {
            return Ok(Some((header, whole)));
        }
        // An empty batch still tells a restarted broker the last sequence of its producer.
        if rest.records == 0 && !self.latest_of_producers.contains(&header.base_offset) {
            return Ok(None);
        }
        rest.into_batch(header).map(Some)
    }
}

/// The records of a batch that stay, as they were encoded.
#[derive(Default)]
struct Rest {
    payload: Vec<u8>,
    records: i32,
    max_timestamp: i64,
}

impl Rest {
    fn keep(&mut self, record: &[u8], timestamp: i64) {
        self.payload.extend_from_slice(record);
        self.max_timestamp = if self.records == 0 {
            timestamp
        } else {
            self.max_timestamp.max(timestamp)
        };
        self.records += 1;
    }

    /// A batch of these records, with the offsets, times and producer of `header`.
    fn into_batch(self, mut header: BatchHeader) -> io::Result<(BatchHeader, Bytes)> {
        let mut compression = header.attributes.compression().map_err(io::Error::other)?;
        if self.records == 0 {
            compression = Compression::None;
        } else if header.attributes.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = self.max_timestamp;
        }
        header.records = self.records;
        let batch = assemble(header, self.payload, compression)?;
        Ok((*batch.header(), batch.bytes().clone()))
    }
}

/// Where records are in a decompressed payload: each begins with its length.
struct Spans<'a> {
    payload: &'a [u8],
    next: usize,
}

impl Iterator for Spans<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next;
        let mut zigzag = 0_u64;
        let mut shift = 0;
        loop {
            let byte = *self.payload.get(self.next)?;
            self.next += 1;
            zigzag |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 28 {
                return None;
            }
        }
        // Zigzag: lengths are not negative, so the lowest bit is the sign and is 0.
        self.next += usize::try_from(zigzag >> 1).ok()?;
        (self.next <= self.payload.len()).then_some(start..self.next)
    }
}
