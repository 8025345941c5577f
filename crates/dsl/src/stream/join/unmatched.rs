//! Records that found no match yet, shared by both sides of a left or outer join, and what is known of time.

use std::marker::PhantomData;

use kstreams_store::{State, Write};
use kstreams_topology::stores::{JoinRow, JoinRows, JoinRowsFront, JoinRowsView, StoreKind};
use kstreams_topology::{Data, Error};

/// A store of records without a match. Beside the records, it has what both sides know of time: a store's front is the one
/// place that two nodes of a task have in common.
pub(super) struct Unmatched<K, L, R>(PhantomData<fn() -> (K, L, R)>);

/// The serdes of the store, and the times.
pub(super) struct UnmatchedFront<K, L, R> {
    rows: JoinRowsFront<K, L, R>,
    times: Times,
}

impl<K, L, R> UnmatchedFront<K, L, R> {
    pub(super) fn new(rows: JoinRowsFront<K, L, R>) -> Self {
        let times = Times {
            stream_time: -1,
            oldest: None,
            next_sweep: 0,
        };
        Self { rows, times }
    }
}

/// What both sides of a join know of time, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The latest time of any record.
    stream_time: i64,
    /// No record without a match is older than this; `None` if that is not known.
    oldest: Option<i64>,
    /// The wall-clock time before which the records are not looked through again.
    next_sweep: i64,
}

impl Times {
    /// Takes note of a record's time; the latest so far.
    pub(super) fn observe(&mut self, timestamp: i64) -> i64 {
        self.stream_time = self.stream_time.max(timestamp);
        self.stream_time
    }

    /// A record of this time found no match.
    pub(super) fn wait_for(&mut self, timestamp: i64) {
        self.oldest = Some(self.oldest.map_or(timestamp, |oldest| oldest.min(timestamp)));
    }

    /// The records are being looked through, and this is the time of the next one. Like Java, this is also where the next
    /// sweep begins if this one ends here.
    pub(super) fn pass(&mut self, timestamp: i64) {
        self.oldest = Some(timestamp);
    }

    /// Whether it is time to look through the records. The bound is that of the side that asks, as in Java: where the
    /// window's sides differ, records of the other side may be due and still wait.
    pub(super) fn begin_sweep(&mut self, wait_ms: i64, (now, interval): (i64, i64)) -> bool {
        let waiting = |oldest: i64| oldest.saturating_add(wait_ms) >= self.stream_time;
        if self.oldest.is_some_and(waiting) || now < self.next_sweep {
            return false;
        }
        self.next_sweep = now.saturating_add(interval);
        self.oldest = None;
        true
    }
}

impl<K: Data, L: Data, R: Data> StoreKind for Unmatched<K, L, R> {
    type Front = UnmatchedFront<K, L, R>;
    type View<'a> = UnmatchedView<'a, K, L, R>;

    fn view<'a>(front: &'a mut Self::Front, state: &'a mut State, write: Write<'a>) -> Self::View<'a> {
        UnmatchedView {
            rows: JoinRows::view(&mut front.rows, state, write),
            times: &mut front.times,
        }
    }
}

/// The records and the times while a node works with them.
pub(super) struct UnmatchedView<'a, K, L, R> {
    pub(super) rows: JoinRowsView<'a, K, L, R>,
    pub(super) times: &'a mut Times,
}

/// How many rows are read at a time.
const BATCH: usize = 32;

impl<K: Data, L: Data, R: Data> UnmatchedView<'_, K, L, R> {
    /// The first rows, or those behind a row; whether there are more.
    pub(super) fn next_rows(
        &mut self,
        behind: Option<&JoinRow<K, L, R>>,
    ) -> Result<(Vec<JoinRow<K, L, R>>, bool), Error> {
        let rows = self.rows.oldest(behind, BATCH)?;
        let more = rows.len() == BATCH;
        Ok((rows, more))
    }
}
