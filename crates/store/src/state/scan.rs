//! Reads over many rows of a window or session store.

use std::marker::PhantomData;

use crate::error::Result;
use crate::layout::timed::{Row, Rows};
use crate::range::{KeyRange, Order};
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

/// Rows of a window or session store, lent one by one.
pub struct Scanned<'a> {
    state: PhantomData<&'a State>,
    rows: Rows,
    found: Vec<(Vec<u8>, Vec<u8>)>,
    taken: usize,
}

impl State {
    /// The rows that a read wants.
    pub fn scan(&mut self, scan: &Scan<'_>) -> Result<Scanned<'_>> {
        let seen = self.below.seen().expect("only window and session stores are scanned");
        let (rows, horizon, in_memory) = (seen.rows, seen.horizon(), seen.in_memory);
        let mut found = Vec::new();
        let mut range = self.range(&KeyRange::all(), scan.order)?;
        while let Some((bytes, value)) = range.next_entry()? {
            let (bytes, value) = (bytes.to_vec(), value.to_vec());
            let Some(row) = rows.row(&bytes) else { continue };
            let wanted = Rows::is_by_key(&bytes)
                && (range.is_cached() || row.time > horizon)
                && scan.keys.contains(row.key)
                && (scan.from..=scan.to).contains(&row.time)
                && TimedRow::new(&rows, row, &[]).start <= scan.start_to;
            if wanted {
                found.push((bytes, value));
            }
        }
        if matches!(scan.keys, Keys::Between(..)) && (in_memory || rows.by_time) {
            found.sort_by(|(a, _), (b, _)| {
                let order = |bytes| rows.row(bytes).map(|Row { key, time, rest }| (time, key, rest));
                match scan.order {
                    Order::Forward => order(a).cmp(&order(b)),
                    Order::Reverse => order(b).cmp(&order(a)),
                }
            });
        }
        Ok(Scanned {
            state: PhantomData,
            rows,
            found,
            taken: 0,
        })
    }
}

impl Scanned<'_> {
    /// The next row. It is lent until the next call.
    pub fn next_row(&mut self) -> Result<Option<TimedRow<'_>>> {
        let Some((bytes, value)) = self.found.get(self.taken) else {
            return Ok(None);
        };
        self.taken += 1;
        Ok(self.rows.row(bytes).map(|row| TimedRow::new(&self.rows, row, value)))
    }
}
