//! Reads over many rows of a window or session store: segment after segment, each a range of keys.

use std::ops::Range as Bytes;

use crate::error::Result;
use crate::layout::timed::{Row, Rows};
use crate::range::{KeyRange, Order};
use crate::state::merge::Range;
use crate::state::{State, TimedRow};

/// Which rows a read of a window or session store wants.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'k> {
    /// Of which keys.
    pub keys: Keys<'k>,
    /// From this time, inclusive: a window's start, a session's end.
    pub from: i64,
    /// To this time, inclusive.
    pub to: i64,
    /// Of sessions, those that begin at this time or before.
    pub start_to: i64,
    /// Earliest first, or the exact reverse.
    pub order: Order,
}

/// Which keys a read wants.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'k> {
    /// This one. Its rows come in the order of time.
    One(&'k [u8]),
    /// From one to another, both inclusive; `None` leaves that end open. Rows of a store in memory, or of one that is read
    /// by time, come in the order of time, then key; others by segment, then key, then time.
    Between(Option<&'k [u8]>, Option<&'k [u8]>),
}

impl Keys<'_> {
    fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::One(one) => *one == key,
            Self::Between(from, to) => from.is_none_or(|from| from <= key) && to.is_none_or(|to| key <= to),
        }
    }
}

impl State {
    /// The rows that a read wants, as they are now: the borrow keeps them so. None if this is no window or session store.
    pub fn scan<'a>(&'a mut self, scan: Scan<'a>) -> Result<Scanned<'a>> {
        self.index();
        let state: &'a Self = self;
        let Some(segments) = Segments::new(state, scan) else {
            return Ok(Scanned(Found::Nothing));
        };
        let by_time = state.below.seen().is_some_and(|seen| seen.in_memory) || segments.rows.by_time;
        if by_time && matches!(scan.keys, Keys::Between(..)) {
            return Ok(Scanned(Found::Sorted(Sorted::new(segments)?)));
        }
        Ok(Scanned(Found::Segments(segments)))
    }

    /// The number of the first segment, at `segment` or behind it, that a read has to look into.
    fn segment_at(&self, segment: i64, dense: i64, order: Order) -> Result<Option<i64>> {
        // Time goes on without large gaps: of segments that the store has not yet forgotten, each is tried.
        if segment >= dense {
            return Ok(Some(segment));
        }
        // Below the engine has nothing that is seen, but the cache may.
        let Some(cache) = &self.cache else {
            return Ok((order == Order::Forward).then_some(dense));
        };
        let range = match order {
            Order::Forward => KeyRange::from_key(&Rows::segment_start(segment)),
            Order::Reverse => KeyRange::before_key(&Rows::segment_start(segment.saturating_add(1))),
        };
        let slot = cache.entries().range(&range, order).next();
        let found = slot.and_then(|slot| Rows::segment_of(cache.entries().key(slot)));
        Ok(match order {
            Order::Forward => Some(found.map_or(dense, |found| found.min(dense))),
            Order::Reverse => found,
        })
    }
}

/// Rows of a window or session store, lent one by one.
pub struct Scanned<'a>(Found<'a>);

#[expect(
    clippy::large_enum_variant,
    reason = "reads of one key, the larger ones, shall not allocate"
)]
enum Found<'a> {
    Nothing,
    Segments(Segments<'a>),
    Sorted(Sorted),
}

impl Scanned<'_> {
    /// The next row. It is lent until the next call.
    pub fn next_row(&mut self) -> Result<Option<TimedRow<'_>>> {
        match &mut self.0 {
            Found::Nothing => Ok(None),
            Found::Segments(segments) => {
                let rows = segments.rows;
                let row = segments.next_row()?;
                Ok(row.map(|(row, value)| TimedRow::new(&rows, row, value)))
            }
            Found::Sorted(sorted) => Ok(sorted.next_row()),
        }
    }
}

/// The rows segment by segment, as they lie in the store.
struct Segments<'a> {
    state: &'a State,
    rows: Rows,
    scan: Scan<'a>,
    /// Rows at this time and before are only seen if they are in the cache.
    horizon: i64,
    /// The first segment that may hold rows which are seen, other than those in the cache.
    dense: i64,
    /// The segments to look into, both inclusive.
    first: i64,
    last: i64,
    range: Option<Range<'a>>,
    bounds: (Vec<u8>, Vec<u8>),
}

impl<'a> Segments<'a> {
    fn new(state: &'a State, scan: Scan<'a>) -> Option<Self> {
        let seen = state.below.seen()?;
        let (rows, horizon) = (seen.rows, seen.horizon());
        let latest = seen.observed().max(state.cached_to)?;
        // Before anything left the cache there are no rows elsewhere.
        let dense = seen
            .observed()
            .map_or(i64::MAX, |_| rows.segment(horizon.saturating_add(1)));
        Some(Self {
            state,
            rows,
            scan,
            horizon,
            dense,
            first: rows.segment(scan.from),
            last: rows.segment(scan.to.min(latest)),
            range: None,
            bounds: Default::default(),
        })
    }

    fn next_row(&mut self) -> Result<Option<(Row<'_>, &[u8])>> {
        loop {
            if !self.step()? {
                match self.open_next()? {
                    true => continue,
                    false => return Ok(None),
                }
            }
            if self.here().is_some_and(|(row, _)| self.wants(&row)) {
                return Ok(self.here());
            }
        }
    }

    /// Moves on inside the open segment; says whether there is a row.
    fn step(&mut self) -> Result<bool> {
        match &mut self.range {
            Some(range) => range.step(),
            None => Ok(false),
        }
    }

    fn here(&self) -> Option<(Row<'_>, &[u8])> {
        let (key, value) = self.range.as_ref()?.entry()?;
        Some((self.rows.row(key)?, value))
    }

    fn wants(&self, row: &Row<'_>) -> bool {
        let is_seen = row.time > self.horizon || self.range.as_ref().is_some_and(Range::is_cached);
        is_seen
            && (self.scan.from..=self.scan.to).contains(&row.time)
            && TimedRow::new(&self.rows, *row, &[]).start <= self.scan.start_to
            && self.scan.keys.contains(row.key)
    }

    /// Opens the next segment; says whether there is one.
    fn open_next(&mut self) -> Result<bool> {
        let order = self.scan.order;
        let from = match order {
            Order::Forward => self.first,
            Order::Reverse => self.last,
        };
        if self.first > self.last {
            return Ok(false);
        }
        let found = self.state.segment_at(from, self.dense, order)?;
        let Some(segment) = found.filter(|found| (self.first..=self.last).contains(found)) else {
            return Ok(false);
        };
        match order {
            Order::Forward => self.first = segment + 1,
            Order::Reverse => self.last = segment - 1,
        }
        let (from, to) = &mut self.bounds;
        let times = self.rows.times_of(segment, self.scan.from, self.scan.to);
        match self.scan.keys {
            Keys::One(key) => self.rows.bounds_of_key(segment, key, times, (from, to)),
            Keys::Between(first, last) => self.rows.bounds_of_keys(segment, (first, last), (from, to)),
        }
        let range = KeyRange::half_open_between(from, to);
        // What is asked for is often newer than all that was committed, and a search in files costs most.
        let may_rest = (self.state.below.seen()).is_some_and(|seen| seen.may_rest(self.scan.from));
        self.range = Some(match may_rest {
            true => self.state.indexed_range(&range, order)?,
            false => self.state.unsaved_range(&range, order),
        });
        Ok(true)
    }
}

/// Rows put into the order of time, their bytes side by side.
struct Sorted {
    rows: Rows,
    bytes: Vec<u8>,
    found: Vec<Kept>,
    taken: usize,
}

/// Where the bytes of a row are.
struct Kept {
    time: i64,
    rest: i64,
    key: Bytes<usize>,
    value: Bytes<usize>,
}

impl Sorted {
    fn new(mut segments: Segments<'_>) -> Result<Self> {
        let order = segments.scan.order;
        let mut sorted = Self {
            rows: segments.rows,
            bytes: Vec::new(),
            found: Vec::new(),
            taken: 0,
        };
        while let Some((row, value)) = segments.next_row()? {
            let start = sorted.bytes.len();
            sorted.bytes.extend_from_slice(row.key);
            let behind_key = sorted.bytes.len();
            sorted.bytes.extend_from_slice(value);
            sorted.found.push(Kept {
                time: row.time,
                rest: row.rest,
                key: start..behind_key,
                value: behind_key..sorted.bytes.len(),
            });
        }
        let bytes = &sorted.bytes;
        let place = |kept: &Kept| (kept.time, bytes.get(kept.key.clone()), kept.rest);
        match order {
            Order::Forward => sorted.found.sort_unstable_by(|a, b| place(a).cmp(&place(b))),
            Order::Reverse => sorted.found.sort_unstable_by(|a, b| place(b).cmp(&place(a))),
        }
        Ok(sorted)
    }

    fn next_row(&mut self) -> Option<TimedRow<'_>> {
        let kept = self.found.get(self.taken)?;
        self.taken += 1;
        let row = Row {
            key: self.bytes.get(kept.key.clone())?,
            time: kept.time,
            rest: kept.rest,
        };
        Some(TimedRow::new(&self.rows, row, self.bytes.get(kept.value.clone())?))
    }
}
