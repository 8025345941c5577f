//! One side of a join of two streams: its records look for those of the other side.

use std::marker::PhantomData;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::stores::{JoinRow, JoinRows, JoinSide, SideValue, StoreHandle, WindowStore};
use kstreams_topology::{Data, Error, Nullable, Record};

use super::JoinWindows;
use super::pair::{PairJoiner, Side, forward_joined};
use super::plan::JoinKind;

/// What both sides of a join go by.
pub(super) struct Rule<K: Nullable, L, R, V2> {
    pub(super) kind: JoinKind,
    pub(super) windows: JoinWindows,
    pub(super) joiner: PairJoiner<K, L, R, V2>,
    /// Where records without a match wait. Inner joins have none, and neither have those that wait for nothing.
    pub(super) unmatched: Option<StoreHandle<JoinRows<K::Inner, L, R>>>,
    /// Whether windows end where Java's do that would end behind the last timestamp.
    pub(super) java_quirks: bool,
}

impl<K: Nullable, L, R, V2> Clone for Rule<K, L, R, V2> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            windows: self.windows,
            joiner: self.joiner.clone(),
            unmatched: self.unmatched,
            java_quirks: self.java_quirks,
        }
    }
}

/// How many records without a match are read at a time.
const BATCH: usize = 32;

/// Joins each record with those of the other side that are kept.
pub(super) struct SideNode<K: Nullable, V, L: Data, R: Data, V2, S: Side<L, R>> {
    rule: Rule<K, L, R, V2>,
    /// How much older than its own record one of the other side may be, in milliseconds.
    before: i64,
    /// How much younger.
    after: i64,
    other: StoreHandle<WindowStore<K::Inner, S::Other>>,
    matches: Vec<(i64, S::Other)>,
    types: PhantomData<fn(V)>,
}

impl<K: Nullable, V, L: Data, R: Data, V2: Nullable, S: Side<L, R>> SideNode<K, V, L, R, V2, S> {
    pub(super) fn new(rule: Rule<K, L, R, V2>, other: StoreHandle<WindowStore<K::Inner, S::Other>>) -> Self {
        let JoinWindows { before, after, .. } = rule.windows;
        let (before, after) = match S::SIDE {
            JoinSide::Left => (before, after),
            JoinSide::Right => (after, before),
        };
        Self {
            rule,
            before,
            after,
            other,
            matches: Vec::new(),
            types: PhantomData,
        }
    }

    /// Whether this side's records without a match are in the result.
    fn is_outer(&self) -> bool {
        match S::SIDE {
            JoinSide::Left => self.rule.kind.is_left_outer(),
            JoinSide::Right => self.rule.kind.is_right_outer(),
        }
    }

    /// The time of the youngest record that one of this time meets. Where that is behind the last timestamp, Java's comes
    /// out at 0.
    fn last_match(&self, timestamp: i64) -> i64 {
        let behind_all = if self.rule.java_quirks { 0 } else { i64::MAX };
        timestamp.checked_add(self.after).unwrap_or(behind_all)
    }

    /// Gives the records without a match whose time is over, if it may be over for any.
    fn sweep_if_due(
        &self,
        cx: &mut NodeContext<'_>,
        store: StoreHandle<JoinRows<K::Inner, L, R>>,
        record: &Record<K, S::This>,
    ) -> Result<(), Error> {
        let clock = (cx.wall_clock(), cx.emit_interval());
        let wait = self.after.saturating_add(self.rule.windows.grace);
        if cx.store(store).times().begin_sweep(wait, clock) {
            self.sweep(cx, store, record)?;
        }
        Ok(())
    }

    /// Gives the records without a match whose time is over. They come in the order of their times; when one of each side
    /// has still time, so have all that follow.
    fn sweep(
        &self,
        cx: &mut NodeContext<'_>,
        store: StoreHandle<JoinRows<K::Inner, L, R>>,
        record: &Record<K, S::This>,
    ) -> Result<(), Error> {
        let (mut open_left, mut open_right) = (false, false);
        let mut behind = None;
        loop {
            let rows = cx.store(store).oldest(behind.as_ref(), BATCH)?;
            let more = rows.len() == BATCH;
            for row in rows {
                cx.store(store).times().pass(row.timestamp);
                if open_left && open_right {
                    return Ok(());
                }
                let open = match row.side {
                    JoinSide::Left => &mut open_left,
                    JoinSide::Right => &mut open_right,
                };
                if self.rule.windows.closes_at(row.side, row.timestamp) >= record.timestamp {
                    *open = true;
                } else {
                    self.forward_unmatched(cx, &row, record)?;
                    cx.store(store).remove_row(&row)?;
                }
                behind = Some(row);
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn forward_unmatched(
        &self,
        cx: &mut NodeContext<'_>,
        row: &JoinRow<K::Inner, L, R>,
        record: &Record<K, S::This>,
    ) -> Result<(), Error> {
        for value in &row.values {
            let Some(key) = K::from_option(Some(row.key.clone())) else {
                continue;
            };
            let value = match value {
                SideValue::Left(left) => (Some(left), None),
                SideValue::Right(right) => (None, Some(right)),
            };
            let pair = Record {
                key,
                value,
                timestamp: row.timestamp,
                headers: record.headers.clone(),
            };
            forward_joined(cx, &self.rule.joiner, pair)?;
        }
        Ok(())
    }

    /// Takes the records of the other side that this one meets.
    fn fetch(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &K::Inner,
        (from, to): (i64, i64),
    ) -> Result<Vec<(i64, S::Other)>, Error> {
        let mut matches = std::mem::take(&mut self.matches);
        for entry in cx.store(self.other).fetch_range(key, from, to)? {
            matches.push(entry?);
        }
        Ok(matches)
    }

    fn forward_match(
        &self,
        cx: &mut NodeContext<'_>,
        record: &Record<K, S::This>,
        (time, other): (i64, S::Other),
    ) -> Result<(), Error> {
        if let (Some(store), Some(key)) = (self.rule.unmatched, record.key.as_option()) {
            cx.store(store).remove(key, time, S::OTHER)?;
        }
        let pair = Record {
            key: record.key.clone(),
            value: S::pair(&record.value, Some(&other)),
            timestamp: record.timestamp.max(time),
            headers: record.headers.clone(),
        };
        forward_joined(cx, &self.rule.joiner, pair)
    }

    /// A record without a match waits for one, unless it is too late for that already.
    fn wait_or_forward(&self, cx: &mut NodeContext<'_>, record: Record<K, S::This>, until: i64) -> Result<(), Error> {
        if let (Some(store), Some(key)) = (self.rule.unmatched, record.key.as_option()) {
            let mut unmatched = cx.store(store);
            if until >= unmatched.times().observe(record.timestamp) {
                unmatched.times().wait_for(record.timestamp);
                return unmatched.add(key, record.timestamp, &S::side_value(record.value));
            }
        }
        self.forward_alone(cx, record)
    }

    fn forward_alone(&self, cx: &mut NodeContext<'_>, record: Record<K, S::This>) -> Result<(), Error> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        let pair = Record {
            key,
            value: S::pair(&value, None),
            timestamp,
            headers,
        };
        forward_joined(cx, &self.rule.joiner, pair)
    }
}

impl<K, V, L, R, V2, S> Node for SideNode<K, V, L, R, V2, S>
where
    K: Nullable,
    V: Nullable<Inner = S::This>,
    L: Data,
    R: Data,
    V2: Nullable,
    S: Side<L, R>,
{
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = input.take::<K, V>();
        let unmatched = self.rule.unmatched;
        let stream_time = unmatched.map(|store| cx.store(store).times().observe(timestamp));
        let has_key = key.as_option().is_some();
        let Some(value) = value.into_option().filter(|_| has_key || self.is_outer()) else {
            cx.drop_record();
            return Ok(());
        };
        let record = Record {
            key,
            value,
            timestamp,
            headers,
        };
        let Some(key) = record.key.as_option() else {
            return self.forward_alone(cx, record);
        };
        if let (Some(store), true) = (unmatched, stream_time == Some(timestamp)) {
            self.sweep_if_due(cx, store, &record)?;
        }
        let from = timestamp.saturating_sub(self.before).max(0);
        let to = self.last_match(timestamp);
        let mut matches = self.fetch(cx, key, (from, to))?;
        if matches.is_empty() && self.is_outer() {
            self.matches = matches;
            return self.wait_or_forward(cx, record, to);
        }
        for other in matches.drain(..) {
            self.forward_match(cx, &record, other)?;
        }
        self.matches = matches;
        Ok(())
    }
}
