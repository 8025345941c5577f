//! The rows of a buffer of stream records that wait for the table they are joined with, in the order of their times.
//!
//! Rows have the changelog's keys: a zero byte, the time, the key, a number that makes them unique.

use crate::context::RecordContext;
use crate::error::Result;
use crate::layout::buffered::{self, Buffered, Reader};
use crate::output::Output;
use crate::range::KeyRange;
use crate::record::{ChangelogRecord, Logged, NO_HEADERS};
use crate::spec::Kind;
use crate::state::below::Below;
use crate::state::kind::{BufferTotals, OTHER_KIND, Row};

const RECORD: u8 = 0;
const TIME_BYTES: usize = 9;
const NUMBER_BYTES: usize = 4;
/// The row of the marks.
const MARKS: &[u8] = &[1];

/// What a buffer knows of its records.
#[derive(Clone, Copy)]
struct Marks {
    totals: BufferTotals,
    /// The largest time that was ever buffered.
    observed: i64,
    /// The number given last.
    number: i64,
}

impl Marks {
    const NONE: Self = Self {
        totals: BufferTotals::NONE,
        observed: -1,
        number: 0,
    };

    fn add(&mut self, key: &[u8], record: &Buffered<'_>, time: i64) {
        self.totals.records += 1;
        self.totals.bytes += weight(key, record);
        self.totals.min_time = self.totals.min_time.min(time);
    }

    fn remove(&mut self, key: &[u8], record: &Buffered<'_>) {
        self.totals.records -= 1;
        self.totals.bytes -= weight(key, record);
    }
}

/// A record that waited in the buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Where it came from: its time and headers, too.
    pub context: RecordContext,
}

/// A grace buffer's operations on its rows.
pub struct GraceBuffer<'a> {
    below: &'a mut Below,
    row: &'a mut Row,
}

impl<'a> GraceBuffer<'a> {
    pub(super) fn new(below: &'a mut Below, row: &'a mut Row) -> Self {
        assert!(below.identity().kind == Kind::GraceBuffer, "{OTHER_KIND}");
        Self { below, row }
    }

    /// The largest time that was ever buffered; −1 before the first.
    pub fn observed(&mut self) -> Result<i64> {
        Ok(self.marks()?.observed)
    }

    /// How much there is.
    pub fn totals(&mut self) -> Result<BufferTotals> {
        Ok(self.marks()?.totals)
    }

    /// Buffers and logs a record; its time is that of its context.
    pub fn put(&mut self, output: &mut dyn Output, key: &[u8], value: &[u8], context: &RecordContext) -> Result<()> {
        let mut marks = self.marks()?;
        let time = context.timestamp;
        marks.number = (marks.number + 1) & i64::from(i32::MAX);
        marks.observed = marks.observed.max(time);
        let row_key = [
            &[RECORD],
            time.to_be_bytes().as_slice(),
            key,
            &(marks.number as i32).to_be_bytes(),
        ]
        .concat();
        let mut bytes = Vec::new();
        buffered::write_context(context, &mut bytes);
        let record = Buffered {
            context: &bytes,
            prior: None,
            old: None,
            new: Some(value),
        };
        marks.add(&row_key, &record, time);
        let mut row = Vec::new();
        record.write(&mut row);
        let stored = row.len();
        // The changelog has the form of suppression buffers, where a time follows.
        row.extend_from_slice(&[0; 8]);
        let logged = Logged {
            value: Some(&row),
            ..tombstone(&row_key)
        };
        self.below.send(output, logged)?;
        row.truncate(stored);
        self.below.buffer(&row_key, Some(&row));
        self.set_marks(marks);
        Ok(())
    }

    /// Takes the first record out, if its time is not after `time`, and logs that.
    pub fn pop(&mut self, output: &mut dyn Output, time: i64) -> Result<Option<Waiting<'_>>> {
        let mut marks = self.marks()?;
        if marks.totals.min_time > time {
            return Ok(None);
        }
        let mut rows = self.below.rows(&KeyRange::prefix(&[RECORD]))?;
        let Some((key, value)) = rows.next_entry()? else {
            return Ok(None);
        };
        self.row.set(key, value);
        let next = rows.next_entry()?.and_then(|(key, _)| time_of(key));
        drop(rows);
        self.below.send(output, tombstone(&self.row.key))?;
        self.below.buffer(&self.row.key, None);
        marks.remove(&self.row.key, &self.split(&self.row.value)?);
        marks.totals.min_time = next.unwrap_or(i64::MAX);
        self.set_marks(marks);
        let record = self.split(&self.row.value)?;
        let malformed = || self.below.identity().malformed();
        let key_end = self.row.key.len().saturating_sub(NUMBER_BYTES);
        Ok(Some(Waiting {
            key: self.row.key.get(TIME_BYTES..key_end).ok_or_else(malformed)?,
            value: record.new.ok_or_else(malformed)?,
            context: buffered::read_context(record.context).ok_or_else(malformed)?,
        }))
    }

    /// Applies a changelog record. Its key is the row's.
    pub(super) fn restore(&mut self, record: &ChangelogRecord<'_>) -> Result<()> {
        let malformed = || self.below.identity().malformed();
        let time = time_of(record.key).ok_or_else(malformed)?;
        let number = number_of(record.key).ok_or_else(malformed)?;
        let mut marks = self.marks()?;
        marks.number = marks.number.max(i64::from(number));
        marks.observed = marks.observed.max(time);
        if self.below.read(record.key, &mut self.row.value)? {
            marks.remove(record.key, &self.split(&self.row.value)?);
        }
        if let Some(value) = record.value {
            let row = value.get(..value.len().saturating_sub(8)).unwrap_or_default();
            marks.add(record.key, &self.split(row)?, time);
            self.below.buffer(record.key, Some(row));
        } else {
            self.below.buffer(record.key, None);
            if time == marks.totals.min_time {
                let mut rows = self.below.rows(&KeyRange::prefix(&[RECORD]))?;
                let first = rows.next_entry()?.and_then(|(key, _)| time_of(key));
                marks.totals.min_time = first.unwrap_or(i64::MAX);
            }
        }
        self.set_marks(marks);
        Ok(())
    }

    fn split<'r>(&self, row: &'r [u8]) -> Result<Buffered<'r>> {
        let split = Buffered::split(row).map(|(record, _)| record);
        split.ok_or_else(|| self.below.identity().malformed())
    }

    fn marks(&mut self) -> Result<Marks> {
        if !self.below.read(MARKS, &mut self.row.key)? {
            return Ok(Marks::NONE);
        }
        let mut row = Reader(&self.row.key);
        let mut next = || row.long().ok_or_else(|| self.below.identity().malformed());
        Ok(Marks {
            totals: BufferTotals {
                records: next()? as u64,
                bytes: next()? as u64,
                min_time: next()?,
            },
            observed: next()?,
            number: next()?,
        })
    }

    fn set_marks(&mut self, marks: Marks) {
        let Marks {
            totals,
            observed,
            number,
        } = marks;
        let totals = [totals.records as i64, totals.bytes as i64, totals.min_time];
        let row = [totals.as_slice(), &[observed, number]].concat();
        let row: Vec<u8> = row.into_iter().flat_map(i64::to_be_bytes).collect();
        self.below.buffer(MARKS, Some(&row));
    }
}

/// What Kafka Streams counts for a buffered record.
fn weight(row_key: &[u8], record: &Buffered<'_>) -> u64 {
    (row_key.len() + record.resident_bytes()) as u64
}

/// The time in a row's key.
fn time_of(row_key: &[u8]) -> Option<i64> {
    Reader(row_key.strip_prefix(&[RECORD])?).long()
}

fn number_of(row_key: &[u8]) -> Option<i32> {
    row_key
        .get(TIME_BYTES..)?
        .last_chunk()
        .map(|number| i32::from_be_bytes(*number))
}

fn tombstone(key: &[u8]) -> Logged<'_> {
    Logged {
        key,
        value: None,
        timestamp: None,
        headers: &NO_HEADERS,
    }
}
