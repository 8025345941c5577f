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
use crate::state::kind::{OTHER_KIND, Row};

const RECORD: u8 = 0;
const TIME_BYTES: usize = 9;
const NUMBER_BYTES: usize = 4;
/// The row of the largest time, the first record's time, and the last number.
const MARKS: &[u8] = &[1];

/// What a buffer knows of its records.
#[derive(Clone, Copy)]
struct Marks {
    observed: i64,
    min_time: i64,
    number: i64,
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

    /// Buffers and logs a record; its time is that of its context.
    pub fn put(&mut self, output: &mut dyn Output, key: &[u8], value: &[u8], context: &RecordContext) -> Result<()> {
        let mut marks = self.marks()?;
        let time = context.timestamp;
        marks.number = (marks.number + 1) & i64::from(i32::MAX);
        marks.observed = marks.observed.max(time);
        marks.min_time = marks.min_time.min(time);
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
        let mut row = Vec::new();
        record.write(&mut row);
        let stored = row.len();
        // The changelog has the form of suppression buffers, where a time follows.
        row.extend_from_slice(&[0; 8]);
        self.log(output, &row_key, Some(&row))?;
        row.truncate(stored);
        self.below.buffer(&row_key, Some(&row));
        self.set_marks(marks);
        Ok(())
    }

    /// Takes the first record out, if its time is not after `time`, and logs that.
    pub fn pop(&mut self, output: &mut dyn Output, time: i64) -> Result<Option<Waiting<'_>>> {
        let mut marks = self.marks()?;
        if marks.min_time > time {
            return Ok(None);
        }
        let mut rows = self.below.rows(&KeyRange::prefix(&[RECORD]))?;
        let Some((key, value)) = rows.next_entry()? else {
            return Ok(None);
        };
        self.row.set(key, value);
        let next = rows.next_entry()?.and_then(|(key, _)| time_of(key));
        drop(rows);
        marks.min_time = next.unwrap_or(i64::MAX);
        self.below.send(output, tombstone(&self.row.key))?;
        self.below.buffer(&self.row.key, None);
        let row = [marks.observed, marks.min_time, marks.number].map(i64::to_be_bytes);
        self.below.buffer(MARKS, Some(row.as_flattened()));
        let malformed = || self.below.identity().malformed();
        let (record, _) = Buffered::split(&self.row.value).ok_or_else(malformed)?;
        let context = buffered::read_context(record.context).ok_or_else(malformed)?;
        let key_end = self.row.key.len().saturating_sub(NUMBER_BYTES);
        Ok(Some(Waiting {
            key: self.row.key.get(TIME_BYTES..key_end).ok_or_else(malformed)?,
            value: record.new.ok_or_else(malformed)?,
            context,
        }))
    }

    /// Applies a changelog record. Its key is the row's.
    pub(super) fn restore(&mut self, record: &ChangelogRecord<'_>) -> Result<()> {
        let malformed = || self.below.identity().malformed();
        let time = time_of(record.key).ok_or_else(malformed)?;
        let number = record.key.last_chunk().map(|number| i32::from_be_bytes(*number));
        let number = i64::from(number.ok_or_else(malformed)?);
        let row = match record.value {
            Some(value) => Some(value.get(..value.len().saturating_sub(8)).ok_or_else(malformed)?),
            None => None,
        };
        let mut marks = self.marks()?;
        marks.number = marks.number.max(number);
        marks.observed = marks.observed.max(time);
        self.below.buffer(record.key, row);
        if row.is_some() {
            marks.min_time = marks.min_time.min(time);
        } else if time == marks.min_time {
            let mut rows = self.below.rows(&KeyRange::prefix(&[RECORD]))?;
            let first = rows.next_entry()?.and_then(|(key, _)| time_of(key));
            marks.min_time = first.unwrap_or(i64::MAX);
        }
        self.set_marks(marks);
        Ok(())
    }

    fn log(&mut self, output: &mut dyn Output, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.below.send(
            output,
            Logged {
                value,
                ..tombstone(key)
            },
        )
    }

    fn marks(&mut self) -> Result<Marks> {
        self.below.read(MARKS, &mut self.row.value)?;
        let mut row = Reader(&self.row.value);
        let marks = row.long().zip(row.long()).zip(row.long());
        Ok(marks.map_or(
            Marks {
                observed: -1,
                min_time: i64::MAX,
                number: 0,
            },
            |((observed, min_time), number)| Marks {
                observed,
                min_time,
                number,
            },
        ))
    }

    fn set_marks(&mut self, marks: Marks) {
        let row = [marks.observed, marks.min_time, marks.number].map(i64::to_be_bytes);
        self.below.buffer(MARKS, Some(row.as_flattened()));
    }
}

fn time_of(row_key: &[u8]) -> Option<i64> {
    Reader(row_key.get(1..)?).long()
}

fn tombstone(key: &[u8]) -> Logged<'_> {
    Logged {
        key,
        value: None,
        timestamp: None,
        headers: &NO_HEADERS,
    }
}
