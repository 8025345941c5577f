//! Window and session stores: rows by key and time.
//!
//! They are byte maps like all others, from keys that [`layout::timed`](crate::layout) makes. What differs is written here
//! and in `scan`: a row's place is a key, a time and, for sessions, a start; the cache is not filled by reads; rows
//! disappear as time goes on.

use crate::error::Result;
use crate::layout::timed::{Rest, Row, Rows, SEEN};
use crate::range::{KeyRange, Order};
use crate::spec::Kind;
use crate::state::{State, Write};

/// A row of a window or session store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedRow<'a> {
    /// The key.
    pub key: &'a [u8],
    /// A window's or a session's start.
    pub start: i64,
    /// A session's end; a window's start again.
    pub time: i64,
    /// The value, in the layout of the store.
    pub value: &'a [u8],
}

impl<'a> TimedRow<'a> {
    pub(super) fn new(rows: &Rows, row: Row<'a>, value: &'a [u8]) -> Self {
        Self {
            key: row.key,
            start: if rows.rest == Rest::Start { row.rest } else { row.time },
            time: row.time,
            value,
        }
    }
}

impl Kind {
    /// The key and the times of a row that left the cache of a window or session store: [`Flushed::key`](crate::Flushed)
    /// are its bytes. Its value is left empty. `None` if these are not the bytes of such a row.
    pub fn timed_row(self, bytes: &[u8]) -> Option<TimedRow<'_>> {
        let rows = Rows::of(self)?;
        Some(TimedRow::new(&rows, rows.row(bytes)?, &[]))
    }
}

/// Window and session stores.
impl State {
    /// The value of a key in the window that begins at `start`. Where there are duplicates it is the one put last into the
    /// whole store, if that has this key and start; Kafka Streams' stores in memory find none.
    pub fn window_get(&mut self, key: &[u8], start: i64) -> Result<Option<&[u8]>> {
        let last = self.below.seen().map_or(0, |seen| match seen.rows.rest {
            Rest::Sequence if !seen.in_memory => seen.last_value,
            _ => 0,
        });
        self.timed_get(Row {
            key,
            time: start,
            rest: i64::from(last),
        })
    }

    /// The value of a session.
    pub fn session_get(&mut self, key: &[u8], start: i64, end: i64) -> Result<Option<&[u8]>> {
        self.timed_get(Row {
            key,
            time: end,
            rest: start,
        })
    }

    /// Sets or, with `None`, deletes the value of a key in the window that begins at `start`. Where there are duplicates it
    /// is added, and `None` changes nothing. What comes too late is dropped and counted, but still logged.
    pub fn window_put(&mut self, write: &mut Write<'_>, key: &[u8], start: i64, value: Option<&[u8]>) -> Result<()> {
        let number = self.below.seen_mut().map_or(0, |seen| seen.number(value.is_some()));
        let row = Row {
            key,
            time: start,
            rest: number,
        };
        self.timed_put(write, row, value)
    }

    /// Sets or, with `None`, deletes the value of a session. What comes too late is dropped and counted, but still logged.
    pub fn session_put(
        &mut self,
        write: &mut Write<'_>,
        key: &[u8],
        (start, end): (i64, i64),
        value: Option<&[u8]>,
    ) -> Result<()> {
        let row = Row {
            key,
            time: end,
            rest: start,
        };
        self.timed_put(write, row, value)
    }

    /// Deletes a session, one that came too late to be there included: that is not counted.
    pub fn session_remove(&mut self, write: &mut Write<'_>, key: &[u8], (start, end): (i64, i64)) -> Result<()> {
        let row = Row {
            key,
            time: end,
            rest: start,
        };
        if self.cache.is_some() {
            return self.timed_put(write, row, None);
        }
        let Some(seen) = self.below.seen() else {
            return Ok(());
        };
        let rows = seen.rows;
        rows.by_key(row, &mut self.row);
        self.below.remove(write.output, &self.row, write.context)?;
        if rows.by_time {
            rows.by_time(row, &mut self.row);
            self.below.write(write.output, &self.row, None, write.context)?;
        }
        Ok(())
    }

    /// How many puts came too late so far.
    pub fn dropped(&self) -> u64 {
        self.below.seen().map_or(self.below.too_old, |seen| seen.dropped)
    }

    /// The largest time of a row ever put, not counting what is only in the cache.
    pub fn observed_time(&self) -> Option<i64> {
        self.below.seen().and_then(|seen| seen.observed())
    }

    /// Lets go of rows before `time` in a store that is read by time, as far as they are older than the retention, too.
    pub fn forget(&mut self, time: i64) {
        if let Some(seen) = self.below.seen_mut() {
            seen.forget(time);
        }
    }

    /// The rows with a time from `from` to `to`, both inclusive, of a store that is read by time: in the order of time, then
    /// key. They are found even if they are older than the retention; with `visible` only those that Kafka Streams still has.
    ///
    /// Says that rows before `from` are not asked for any more, see [`forget`](Self::forget).
    pub fn closed(&mut self, from: i64, to: i64, visible: bool) -> Result<Closed<'_>> {
        self.forget(from);
        self.index();
        let mut closed = Closed {
            state: self,
            bytes: Vec::new(),
            ends: Vec::new(),
            taken: 0,
        };
        closed.find(from, to, visible)?;
        Ok(closed)
    }

    fn timed_get(&mut self, row: Row<'_>) -> Result<Option<&[u8]>> {
        let Some(seen) = self.below.seen() else {
            return Ok(None);
        };
        seen.rows.by_key(row, &mut self.row);
        let found = self.cache.as_mut().and_then(|cache| cache.touch(&self.row));
        if let Some(slot) = found {
            return Ok(self.cache.as_ref().and_then(|cache| cache.at(slot)?.value()));
        }
        Ok(self.below.read(&self.row, &mut self.value)?.then_some(&self.value))
    }

    fn timed_put(&mut self, write: &mut Write<'_>, row: Row<'_>, value: Option<&[u8]>) -> Result<()> {
        let Some(seen) = self.below.seen() else {
            return Ok(());
        };
        let rows = seen.rows;
        if self.cache.is_some() {
            self.cached_to = self.cached_to.max(Some(row.time));
        }
        let mut bytes = std::mem::take(&mut self.row);
        rows.by_key(row, &mut bytes);
        let mut put = self.put(write, &bytes, value);
        if rows.by_time && put.is_ok() {
            rows.by_time(row, &mut bytes);
            put = self.put(write, &bytes, value.map(|_| &[][..]));
        }
        self.row = bytes;
        put
    }

    /// The first segment at this one or behind it that holds rows.
    fn next_segment(&self, segment: i64, dense: i64) -> Result<Option<i64>> {
        if segment >= dense {
            return Ok(Some(segment));
        }
        // The owner may not have looked for long, and time may have jumped: there may be many segments without rows.
        let behind = KeyRange::from_key(&Rows::segment_start(segment));
        let mut range = self.indexed_range(&behind, Order::Forward)?;
        let found = range.next_entry()?.filter(|(key, _)| *key != SEEN);
        Ok(found.and_then(|(key, _)| Rows::segment_of(key)))
    }
}

/// Rows in the order of time, lent one by one.
pub struct Closed<'a> {
    state: &'a mut State,
    /// The rows that stand for them, one behind the other.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    taken: usize,
}

impl Closed<'_> {
    fn find(&mut self, from: i64, to: i64, visible: bool) -> Result<()> {
        let Some(seen) = self.state.below.seen() else {
            return Ok(());
        };
        let (rows, in_memory) = (seen.rows, seen.in_memory);
        let (horizon, lost_to) = (seen.horizon(), seen.lost_to());
        let Some(latest) = seen.observed().max(self.state.cached_to) else {
            return Ok(());
        };
        let dense = seen
            .observed()
            .map_or(i64::MAX, |_| rows.segment(horizon.saturating_add(1)));
        let last = rows.segment(to.min(latest));
        let mut next = rows.segment(from).max(seen.live());
        let (mut low, mut high) = (Vec::new(), Vec::new());
        while next <= last
            && let Some(segment) = self.state.next_segment(next, dense)?
            && segment <= last
        {
            rows.bounds_of_times(segment, rows.times_of(segment, from, to), (&mut low, &mut high));
            let range = KeyRange::half_open_between(&low, &high);
            let mut range = self.state.indexed_range(&range, Order::Forward)?;
            while range.step()? {
                let Some((key, _)) = range.entry() else { continue };
                let is_seen = !visible || range.is_cached() || rows.row(key).is_some_and(|row| row.time > lost_to);
                if is_seen {
                    self.bytes.extend_from_slice(key);
                    self.ends.push(self.bytes.len());
                }
            }
            next = segment + 1;
        }
        // Stores on disk keep sessions with the same end in the order of their starts, as in Kafka Streams.
        if in_memory && rows.rest != Rest::Nothing {
            self.order_by_key(&rows);
        }
        Ok(())
    }

    /// Puts rows with the same time in the order of their keys.
    fn order_by_key(&mut self, rows: &Rows) {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut found: Vec<&[u8]> = starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.bytes.get(start..*end))
            .collect();
        found.sort_by_key(|bytes| rows.row(bytes).map(|row| (row.time, row.key, row.rest)));
        let mut end = 0;
        let ends = found.iter().map(|bytes| {
            end += bytes.len();
            end
        });
        self.ends = ends.collect();
        self.bytes = found.concat();
    }

    /// The next row. It is lent until the next call.
    pub fn next_row(&mut self) -> Result<Option<TimedRow<'_>>> {
        let Some(seen) = self.state.below.seen() else {
            return Ok(None);
        };
        let rows = seen.rows;
        while let Some(&end) = self.ends.get(self.taken) {
            let start = self
                .taken
                .checked_sub(1)
                .and_then(|before| self.ends.get(before).copied());
            self.taken += 1;
            let row = self
                .bytes
                .get(start.unwrap_or(0)..end)
                .and_then(|bytes| rows.row(bytes));
            let Some(row) = row else { continue };
            rows.by_key(row, &mut self.state.row);
            if self.state.copy_row()? {
                return Ok(Some(TimedRow::new(&rows, row, &self.state.value)));
            }
        }
        Ok(None)
    }
}

impl State {
    /// Copies the value of the row at work into the value read last, however old it is. Says whether there is one.
    fn copy_row(&mut self) -> Result<bool> {
        let slot = self.cache.as_mut().and_then(|cache| cache.touch(&self.row));
        let cached = self.cache.as_ref().and_then(|cache| cache.at(slot?));
        let Some(entry) = cached else {
            return self.below.read_any(&self.row, &mut self.value);
        };
        self.value.clear();
        self.value.extend_from_slice(entry.value().unwrap_or_default());
        Ok(entry.value().is_some())
    }
}
