//! The rows of a suppression buffer: the last change of each key, in the order of the times of the first ones.
//!
//! Changes reach the changelog at flushes only: what came and went in between leaves at most a deletion there.

use std::sync::LazyLock;

use bytes::Bytes;
use kstreams_wire::Headers;

use crate::context::RecordContext;
use crate::error::Result;
use crate::layout::buffered::{self, Buffered, Reader};
use crate::output::Output;
use crate::range::KeyRange;
use crate::record::{ChangelogRecord, FORMAT_HEADER, Logged, NO_HEADERS};
use crate::spec::{Changelog, Kind};
use crate::state::below::Below;
use crate::state::kind::{BufferTotals, OTHER_KIND, Row};

/// Before time and key: the buffered changes.
const CHANGE: u8 = 0;
/// Before a key: the time at which its change stands.
const TIME: u8 = 1;
/// Where in a change's row key the key begins.
const KEY_AT: usize = 9;
/// The row of the totals.
const TOTALS: &[u8] = &[2];

/// The headers of a buffered change in the changelog: the format in which it is written.
static HEADERS: LazyLock<Headers> = LazyLock::new(|| {
    let mut headers = Headers::new();
    headers.push(FORMAT_HEADER, Some(Bytes::from_static(&[3])));
    headers
});

/// A change that left the buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppressed<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The change, and where it came from.
    pub change: Buffered<'a>,
}

/// A suppression buffer's operations on its rows.
pub struct Suppression<'a> {
    below: &'a mut Below,
    row: &'a mut Row,
}

impl<'a> Suppression<'a> {
    pub(super) fn new(below: &'a mut Below, row: &'a mut Row) -> Self {
        assert!(below.identity().kind == Kind::Suppression, "{OTHER_KIND}");
        Self { below, row }
    }

    /// How much there is.
    pub fn totals(&mut self) -> Result<BufferTotals> {
        self.below.read(TOTALS, &mut self.row.value)?;
        let mut row = Reader(&self.row.value);
        let totals = row.long().zip(row.long()).zip(row.long());
        Ok(
            totals.map_or(BufferTotals::NONE, |((records, bytes), min_time)| BufferTotals {
                records: records as u64,
                bytes: bytes as u64,
                min_time,
            }),
        )
    }

    /// Buffers a change. A key that is buffered already keeps its place and its prior value; else `time` says where the
    /// change stands, and the old value is the prior one.
    pub fn put(
        &mut self,
        key: &[u8],
        time: i64,
        (old, new): (Option<&[u8]>, Option<&[u8]>),
        context: &RecordContext,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        buffered::write_context(context, &mut bytes);
        let before = self.change(key)?;
        let prior = match &before {
            Some((_, before)) => self.split(before)?.prior,
            None => old,
        };
        let change = Buffered {
            context: &bytes,
            prior,
            old,
            new,
        };
        self.place(key, time, &change, before.as_ref())?;
        self.below.mark_dirty(key);
        Ok(())
    }

    /// The prior value of a key, if the key is buffered: what the buffer's readers see as long as the change waits.
    pub fn prior(&mut self, key: &[u8]) -> Result<Option<Option<Vec<u8>>>> {
        let Some((_, row)) = self.change(key)? else {
            return Ok(None);
        };
        Ok(Some(self.split(&row)?.prior.map(<[u8]>::to_vec)))
    }

    /// The first change, which stays.
    pub fn first(&mut self) -> Result<Option<Suppressed<'_>>> {
        match self.read_first()? {
            Some(_) => self.lend().map(Some),
            None => Ok(None),
        }
    }

    /// Takes the first change out.
    pub fn pop(&mut self) -> Result<Option<Suppressed<'_>>> {
        let Some(next) = self.read_first()? else {
            return Ok(None);
        };
        let weight = {
            let Suppressed { key, change } = self.lend()?;
            weight(key, &change)
        };
        let change = std::mem::take(&mut self.row.value);
        let mut totals = self.totals()?;
        self.row.value = change;
        totals.records -= 1;
        totals.bytes -= weight;
        totals.min_time = next;
        self.set_totals(totals);
        self.below.buffer(&self.row.key, None);
        let key = self.row.key.get(KEY_AT..).unwrap_or_default();
        self.below.buffer(&[&[TIME], key].concat(), None);
        self.below.mark_dirty(key);
        self.lend().map(Some)
    }

    /// Reads the first change. The time of the one behind it, `i64::MAX` without one; `None` if there is no first.
    fn read_first(&mut self) -> Result<Option<i64>> {
        let mut rows = self.below.rows(&KeyRange::prefix(&[CHANGE]))?;
        let Some((key, value)) = rows.next_entry()? else {
            return Ok(None);
        };
        self.row.set(key, value);
        let next = rows.next_entry()?.and_then(|(key, _)| time_of(key));
        Ok(Some(next.unwrap_or(i64::MAX)))
    }

    /// The change that was read.
    fn lend(&self) -> Result<Suppressed<'_>> {
        Ok(Suppressed {
            key: self.row.key.get(KEY_AT..).unwrap_or_default(),
            change: self.split(&self.row.value)?,
        })
    }

    /// Logs every key that changed since the last flush: the change that is buffered now, or a deletion.
    pub(super) fn flush(&mut self, output: &mut dyn Output) -> Result<()> {
        for key in self.below.dirty.take() {
            let change = self.change(&key)?;
            let value = change.map(|(time, mut row)| {
                row.extend_from_slice(&time.to_be_bytes());
                row
            });
            let headers: &Headers = if value.is_some() { &HEADERS } else { &NO_HEADERS };
            self.below.send(
                output,
                Logged {
                    key: &key,
                    value: value.as_deref(),
                    timestamp: None,
                    headers,
                },
            )?;
        }
        Ok(())
    }

    /// Applies a changelog record, in whichever format it was written.
    pub(super) fn restore(&mut self, record: &ChangelogRecord<'_>) -> Result<()> {
        let before = self.change(record.key)?;
        let Some(value) = record.value else {
            return before.map_or(Ok(()), |before| self.remove(record.key, &before));
        };
        let format = record.headers.last(FORMAT_HEADER.as_bytes());
        let format = format.map(|header| header.value.as_deref().unwrap_or_default());
        let prior = match &before {
            Some((_, before)) => self.split(before)?.prior,
            None => None,
        };
        let read = match format {
            None => {
                let mut context = Vec::new();
                buffered::write_context(&self.context_of(record), &mut context);
                return match read_v0(value, &context, prior) {
                    Some((time, change)) => self.replace(record.key, time, &change, before.as_ref()),
                    None => Err(self.below.identity().malformed()),
                };
            }
            Some([1]) => read_v1(value, prior),
            Some([2]) => read_v2(value).or_else(|| read_v3(value)),
            Some([3]) => read_v3(value),
            Some(_) => None,
        };
        let (time, change) = read.ok_or_else(|| self.below.identity().malformed())?;
        self.replace(record.key, time, &change, before.as_ref())
    }

    /// Sets a key's change where its record says. It stands elsewhere than the one before if that left the buffer and the
    /// key came anew, all between two flushes: the changelog then does not tell that it left.
    fn replace(&mut self, key: &[u8], time: i64, change: &Buffered<'_>, before: Option<&(i64, Vec<u8>)>) -> Result<()> {
        let before = match before {
            Some(gone) if gone.0 != time => {
                self.remove(key, gone)?;
                None
            }
            before => before,
        };
        self.place(key, time, change, before)
    }

    /// Sets a key's change where it stands, or else at `time`.
    fn place(&mut self, key: &[u8], time: i64, change: &Buffered<'_>, before: Option<&(i64, Vec<u8>)>) -> Result<()> {
        let mut row = Vec::new();
        change.write(&mut row);
        let mut totals = self.totals()?;
        let weight = weight(key, change);
        let at = match before {
            Some((at, before)) => {
                totals.bytes -= self.weight_of(key, before)?;
                *at
            }
            None => {
                totals.records += 1;
                totals.min_time = totals.min_time.min(time);
                self.below.buffer(&[&[TIME], key].concat(), Some(&time.to_be_bytes()));
                time
            }
        };
        totals.bytes += weight;
        self.set_totals(totals);
        self.below.buffer(&change_key(at, key), Some(&row));
        Ok(())
    }

    fn remove(&mut self, key: &[u8], (time, row): &(i64, Vec<u8>)) -> Result<()> {
        let mut totals = self.totals()?;
        totals.records -= 1;
        totals.bytes -= self.weight_of(key, row)?;
        self.below.buffer(&change_key(*time, key), None);
        self.below.buffer(&[&[TIME], key].concat(), None);
        if *time == totals.min_time {
            let mut rows = self.below.rows(&KeyRange::prefix(&[CHANGE]))?;
            let first = rows.next_entry()?.and_then(|(key, _)| time_of(key));
            totals.min_time = first.unwrap_or(i64::MAX);
        }
        self.set_totals(totals);
        Ok(())
    }

    /// A key's change and where it stands.
    fn change(&mut self, key: &[u8]) -> Result<Option<(i64, Vec<u8>)>> {
        if !self.below.read(&[&[TIME], key].concat(), &mut self.row.value)? {
            return Ok(None);
        }
        let time = Reader(&self.row.value).long();
        let time = time.ok_or_else(|| self.below.identity().malformed())?;
        let mut row = Vec::new();
        let known = self.below.read(&change_key(time, key), &mut row)?;
        Ok(known.then_some((time, row)))
    }

    fn set_totals(&mut self, totals: BufferTotals) {
        let BufferTotals {
            records,
            bytes,
            min_time,
        } = totals;
        let row = [records.to_be_bytes(), bytes.to_be_bytes(), min_time.to_be_bytes()].concat();
        self.below.buffer(TOTALS, (records > 0).then_some(&row));
    }

    fn split<'r>(&self, row: &'r [u8]) -> Result<Buffered<'r>> {
        let split = Buffered::split(row).map(|(change, _)| change);
        split.ok_or_else(|| self.below.identity().malformed())
    }

    fn weight_of(&self, key: &[u8], row: &[u8]) -> Result<u64> {
        Ok(weight(key, &self.split(row)?))
    }

    /// Where a record of the oldest format came from: it does not say, so it came from the changelog.
    fn context_of(&self, record: &ChangelogRecord<'_>) -> RecordContext {
        let changelog = self.below.changelog().map(Changelog::partition);
        RecordContext {
            topic: changelog.map(|changelog| changelog.topic.clone()),
            partition: changelog.map_or(-1, |changelog| changelog.partition),
            offset: record.offset,
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        }
    }
}

/// What Kafka Streams counts for a buffered change: eight bytes of time, the key, the values and the context.
fn weight(key: &[u8], change: &Buffered<'_>) -> u64 {
    (8 + key.len() + change.resident_bytes()) as u64
}

fn change_key(time: i64, key: &[u8]) -> Vec<u8> {
    [&[CHANGE], time.to_be_bytes().as_slice(), key].concat()
}

fn time_of(change_key: &[u8]) -> Option<i64> {
    Reader(change_key.get(1..)?).long()
}

/// Time, then the change; where it came from is told by the record around it.
fn read_v0<'v>(value: &'v [u8], context: &'v [u8], prior: Option<&'v [u8]>) -> Option<(i64, Buffered<'v>)> {
    let mut rest = Reader(value);
    let time = rest.long()?;
    let (old, new) = buffered::split_change(rest.0)?;
    let change = Buffered {
        context,
        prior: prior.or(old),
        old,
        new,
    };
    Some((time, change))
}

/// Time, where it came from, then the change with its length.
fn read_v1<'v>(value: &'v [u8], prior: Option<&'v [u8]>) -> Option<(i64, Buffered<'v>)> {
    let mut rest = Reader(value);
    let time = rest.long()?;
    let context = rest.context()?;
    let (old, new) = buffered::split_change(rest.nullable()??)?;
    let change = Buffered {
        context,
        prior: prior.or(old),
        old,
        new,
    };
    Some((time, change))
}

/// Where it came from, the change with its length, the prior value, time.
fn read_v2(value: &[u8]) -> Option<(i64, Buffered<'_>)> {
    let mut rest = Reader(value);
    let context = rest.context()?;
    let (old, new) = buffered::split_change(rest.nullable()??)?;
    let prior = rest.nullable()?;
    let time = rest.long()?;
    let change = Buffered {
        context,
        prior,
        old,
        new,
    };
    rest.0.is_empty().then_some((time, change))
}

/// The buffered change, then time.
fn read_v3(value: &[u8]) -> Option<(i64, Buffered<'_>)> {
    let (change, rest) = Buffered::split(value)?;
    Some((Reader(rest).long()?, change))
}
