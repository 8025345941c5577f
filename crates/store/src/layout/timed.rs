//! The rows of window and session stores: which segment a row is in, where it stands there, and its changelog key.
//!
//! A row is `segment || 0 || key || time || rest`: the number of its segment, so that an expired segment is one range of
//! keys; a mark; the key; the time inside the segment, in as few bytes as the segment's length needs; and a sequence number
//! where there are duplicates, or the start of a session. A window's time is its start, a session's its end. A store that is
//! read by time has a second row without value for each of these: `segment || 1 || time || rest || key`.
//!
//! Changelog keys are those of Kafka Streams: `key || start || sequence` and `key || end || start`.

use std::ops::Range;

use crate::spec::{Kind, TimeOrder};

/// The key under which a store keeps its [`Seen`](crate::state) times: no segment has such a number.
pub(crate) const SEEN: [u8; 8] = [0xff; 8];

const SEGMENT: usize = 8;
const BY_KEY: u8 = 0;
const BY_TIME: u8 = 1;
/// Segments up to this length need four bytes for a time inside: then its first byte is smaller than any that text has,
/// and rows of a key that begins with another stand where Kafka Streams has them.
const SHORT_SEGMENT_MS: i64 = 1 << 28;

/// The row layout of a kind of store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) retention_ms: i64,
    pub(crate) by_time: bool,
    pub(crate) rest: Rest,
    segment_ms: i64,
}

/// What stands behind the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    Nothing,
    /// The sequence number of a duplicate.
    Sequence,
    /// The start of a session.
    Start,
}

/// A row's place: a key, a time, and the sequence number or the session's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) time: i64,
    pub(crate) rest: i64,
}

impl Rows {
    /// The layout, if stores of this kind have rows with times.
    pub(crate) fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Window(layout) => Some(Self {
                retention_ms: layout.retention_ms,
                segment_ms: layout.segment_ms.max(1),
                rest: if layout.duplicates {
                    Rest::Sequence
                } else {
                    Rest::Nothing
                },
                by_time: layout.order == TimeOrder::TimeFirst,
            }),
            Kind::Session(layout) => Some(Self {
                retention_ms: layout.retention_ms,
                segment_ms: layout.segment_ms.max(1),
                rest: Rest::Start,
                by_time: layout.order == TimeOrder::TimeFirst,
            }),
            _ => None,
        }
    }

    /// The number of the segment of a time.
    pub(crate) fn segment(&self, time: i64) -> i64 {
        time.div_euclid(self.segment_ms)
    }

    /// The time with which a segment begins.
    pub(crate) fn begins(&self, segment: i64) -> i64 {
        segment.saturating_mul(self.segment_ms)
    }

    /// The key before which there are only rows of earlier segments.
    pub(crate) fn segment_start(segment: i64) -> [u8; SEGMENT] {
        ((segment as u64) ^ (1 << 63)).to_be_bytes()
    }

    /// The segment of a row's bytes.
    pub(crate) fn segment_of(bytes: &[u8]) -> Option<i64> {
        let (segment, _) = bytes.split_first_chunk()?;
        Some((u64::from_be_bytes(*segment) ^ (1 << 63)) as i64)
    }

    /// Whether these are the bytes of a row that holds a value, not of one that only stands for it in the order of time.
    pub(crate) fn is_by_key(bytes: &[u8]) -> bool {
        bytes.get(SEGMENT) == Some(&BY_KEY)
    }

    /// Replaces `bytes` by those of a row.
    pub(crate) fn by_key(&self, row: Row<'_>, bytes: &mut Vec<u8>) {
        self.key_prefix(self.segment(row.time), row.key, bytes);
        self.push_time(row.time, bytes);
        self.push_rest(row.rest, bytes);
    }

    /// Replaces `bytes` by those of the row that stands for another one in the order of time.
    pub(crate) fn by_time(&self, row: Row<'_>, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&Self::segment_start(self.segment(row.time)));
        bytes.push(BY_TIME);
        self.push_time(row.time, bytes);
        // Keys have no end that could be compared, so they come last.
        self.push_rest(row.rest, bytes);
        bytes.extend_from_slice(row.key);
    }

    /// Replaces `bytes` by what all rows of a segment begin with whose keys begin with `key`.
    pub(crate) fn key_prefix(&self, segment: i64, key: &[u8], bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&Self::segment_start(segment));
        bytes.push(BY_KEY);
        bytes.extend_from_slice(key);
    }

    /// The times of a segment from `from` to `to`, both inclusive, counted from the segment's begin; the second exclusive.
    pub(crate) fn times_of(&self, segment: i64, from: i64, to: i64) -> Range<i64> {
        let inside = |time: i64| time.rem_euclid(self.segment_ms);
        let from = if self.segment(from) == segment { inside(from) } else { 0 };
        let to = if self.segment(to) == segment {
            inside(to) + 1
        } else {
            self.segment_ms
        };
        from..to
    }

    /// Replaces the two ends by those of the rows of a key with these times of a segment. There may be rows of other, longer
    /// keys between them.
    pub(crate) fn bounds_of_key(
        &self,
        segment: i64,
        key: &[u8],
        times: Range<i64>,
        (from, to): (&mut Vec<u8>, &mut Vec<u8>),
    ) {
        for (end, inside) in [(from, times.start), (to, times.end)] {
            self.key_prefix(segment, key, end);
            self.push_inside(inside, end);
        }
    }

    /// Replaces the two ends by those of the rows of keys from one to another. There may be rows of other keys between them.
    pub(crate) fn bounds_of_keys(
        &self,
        segment: i64,
        (first, last): (Option<&[u8]>, Option<&[u8]>),
        (from, to): (&mut Vec<u8>, &mut Vec<u8>),
    ) {
        self.key_prefix(segment, first.unwrap_or_default(), from);
        let Some(last) = last else {
            to.clear();
            to.extend_from_slice(&Self::segment_start(segment));
            return to.push(BY_TIME);
        };
        // Rows of a key that begins another stand behind those of the other where their time's first byte is the larger one.
        let behind = self.largest_first_byte() + 1;
        let end = last.iter().position(|byte| *byte < behind).unwrap_or(last.len());
        self.key_prefix(segment, last.get(..end).unwrap_or_default(), to);
        to.push(behind);
    }

    /// Replaces the two ends by those of the rows with these times of a segment, in the order of time.
    pub(crate) fn bounds_of_times(&self, segment: i64, times: Range<i64>, (from, to): (&mut Vec<u8>, &mut Vec<u8>)) {
        for (end, inside) in [(from, times.start), (to, times.end)] {
            end.clear();
            end.extend_from_slice(&Self::segment_start(segment));
            end.push(BY_TIME);
            self.push_inside(inside, end);
        }
    }

    /// The largest first byte of a time inside a segment, or of the end of one.
    fn largest_first_byte(&self) -> u8 {
        let bytes = self.segment_ms.to_be_bytes();
        let [first, _, _, _, short, ..] = bytes;
        if self.segment_ms <= SHORT_SEGMENT_MS {
            short
        } else {
            first
        }
    }

    fn push_time(&self, time: i64, bytes: &mut Vec<u8>) {
        self.push_inside(time.rem_euclid(self.segment_ms), bytes);
    }

    fn push_inside(&self, inside: i64, bytes: &mut Vec<u8>) {
        if self.segment_ms <= SHORT_SEGMENT_MS {
            bytes.extend_from_slice(&(inside as u32).to_be_bytes());
        } else {
            bytes.extend_from_slice(&inside.to_be_bytes());
        }
    }

    fn push_rest(&self, rest: i64, bytes: &mut Vec<u8>) {
        match self.rest {
            Rest::Nothing => {}
            Rest::Sequence => bytes.extend_from_slice(&(rest as u32).to_be_bytes()),
            Rest::Start => bytes.extend_from_slice(&((rest as u64) ^ (1 << 63)).to_be_bytes()),
        }
    }

    /// The row of these bytes, whichever order they are in.
    pub(crate) fn row<'a>(&self, bytes: &'a [u8]) -> Option<Row<'a>> {
        let segment = Self::segment_of(bytes)?;
        let (mark, row) = bytes.get(SEGMENT..)?.split_first()?;
        let (key, inside, rest) = if *mark == BY_KEY {
            let (row, rest) = self.split_rest(row)?;
            let (key, inside) = self.split_last_inside(row)?;
            (key, inside, rest)
        } else {
            let (inside, row) = self.split_first_inside(row)?;
            let (key, rest) = self.split_first_rest(row)?;
            (key, inside, rest)
        };
        let time = segment.wrapping_mul(self.segment_ms).wrapping_add(inside);
        Some(Row { key, time, rest })
    }

    fn split_last_inside<'a>(&self, row: &'a [u8]) -> Option<(&'a [u8], i64)> {
        if self.segment_ms <= SHORT_SEGMENT_MS {
            return row.split_last_chunk().map(|(row, time)| (row, inside(*time)));
        }
        row.split_last_chunk()
            .map(|(row, time)| (row, i64::from_be_bytes(*time)))
    }

    fn split_first_inside<'a>(&self, row: &'a [u8]) -> Option<(i64, &'a [u8])> {
        if self.segment_ms <= SHORT_SEGMENT_MS {
            return row.split_first_chunk().map(|(time, row)| (inside(*time), row));
        }
        row.split_first_chunk()
            .map(|(time, row)| (i64::from_be_bytes(*time), row))
    }

    fn split_rest<'a>(&self, row: &'a [u8]) -> Option<(&'a [u8], i64)> {
        match self.rest {
            Rest::Nothing => Some((row, 0)),
            Rest::Sequence => row.split_last_chunk().map(|(row, rest)| (row, inside(*rest))),
            Rest::Start => row.split_last_chunk().map(|(row, rest)| (row, start(*rest))),
        }
    }

    fn split_first_rest<'a>(&self, row: &'a [u8]) -> Option<(&'a [u8], i64)> {
        match self.rest {
            Rest::Nothing => Some((row, 0)),
            Rest::Sequence => row.split_first_chunk().map(|(rest, row)| (row, inside(*rest))),
            Rest::Start => row.split_first_chunk().map(|(rest, row)| (row, start(*rest))),
        }
    }

    /// The length of a row's key in the record cache of Kafka Streams; `None` for what only stands for another row.
    pub(crate) fn cached_key_bytes(&self, bytes: &[u8]) -> Option<usize> {
        let row = self.row(bytes).filter(|_| Self::is_by_key(bytes))?;
        let times = match (self.rest, self.by_time) {
            (Rest::Start, _) => 16,
            (Rest::Nothing | Rest::Sequence, false) => 12,
            (Rest::Nothing | Rest::Sequence, true) => 13,
        };
        Some(SEGMENT + row.key.len() + times)
    }

    /// Replaces `bytes` by the changelog key of a row.
    pub(crate) fn logged(&self, row: Row<'_>, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(row.key);
        bytes.extend_from_slice(&row.time.to_be_bytes());
        match self.rest {
            Rest::Nothing | Rest::Sequence => bytes.extend_from_slice(&(row.rest as u32).to_be_bytes()),
            Rest::Start => bytes.extend_from_slice(&row.rest.to_be_bytes()),
        }
    }

    /// The row of a changelog key.
    pub(crate) fn restored<'a>(&self, logged: &'a [u8]) -> Option<Row<'a>> {
        let (logged, rest) = match self.rest {
            Rest::Nothing | Rest::Sequence => logged.split_last_chunk().map(|(key, rest)| (key, inside(*rest)))?,
            Rest::Start => logged
                .split_last_chunk()
                .map(|(key, rest)| (key, i64::from_be_bytes(*rest)))?,
        };
        let (key, time) = logged.split_last_chunk()?;
        let time = i64::from_be_bytes(*time);
        Some(Row { key, time, rest })
    }
}

fn start(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

fn inside(bytes: [u8; 4]) -> i64 {
    i64::from(u32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{SessionLayout, WindowLayout};

    fn rows(duplicates: bool) -> Rows {
        let layout = WindowLayout {
            duplicates,
            ..WindowLayout::new(120_000, 10)
        };
        Rows::of(Kind::Window(layout)).unwrap()
    }

    #[test]
    fn changelog_keys_are_those_of_kafka_streams() {
        let row = Row {
            key: b"k",
            time: 1000,
            rest: 2,
        };
        let mut logged = Vec::new();
        rows(true).logged(row, &mut logged);
        assert_eq!(logged, [0x6b, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 2]);
        assert_eq!(rows(true).restored(&logged), Some(row));
        let sessions = Rows::of(Kind::Session(SessionLayout::new(120_000))).unwrap();
        sessions.logged(row, &mut logged);
        assert_eq!(logged, [0x6b, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(sessions.restored(&logged), Some(row));
        assert_eq!(sessions.restored(&logged[..15]), None);
    }

    #[test]
    fn rows_are_found_again_and_stand_in_their_segment() {
        for rows in [rows(true), rows(false)] {
            for (time, rest) in [(0, 0), (59_999, 0), (60_000, 0), (7 * 60_000 + 5, 0)] {
                let row = Row {
                    key: b"key",
                    time,
                    rest,
                };
                let mut bytes = Vec::new();
                rows.by_key(row, &mut bytes);
                assert!(Rows::is_by_key(&bytes));
                assert_eq!(rows.row(&bytes), Some(row));
                assert_eq!(Rows::segment_of(&bytes), Some(time / 60_000));
                assert!(bytes[..] >= Rows::segment_start(time / 60_000)[..]);
                assert!(bytes[..] < Rows::segment_start(time / 60_000 + 1)[..]);
                rows.by_time(row, &mut bytes);
                assert!(!Rows::is_by_key(&bytes));
                assert_eq!(rows.row(&bytes), Some(row));
            }
        }
    }
}
