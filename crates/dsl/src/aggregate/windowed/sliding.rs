//! Windows that slide with the records (KIP-450).
//!
//! A record at `t` belongs to its *left window*, which ends at `t`, and begins a *right window* at `t + 1` as soon as later
//! records are in it. Each window remembers the largest timestamp in it. Out of what is stored around `t` follows which windows
//! of this record, and of the one before it, are still to be made, and what they start from.

use std::sync::Arc;

use kstreams_topology::graph::NodeContext;
use kstreams_topology::stores::{TimestampedWindowStore, ValueAndTimestamp};
use kstreams_topology::{Change, Data, Error, Record, Window, Windowed};

use super::node::{Before, Procedure, Updated, WindowForwarder, update_window};
use crate::aggregate::Aggregator;
use crate::window::SlidingWindows;

/// Updates the windows that contain a record, and makes those that it begins or ends.
pub(in crate::aggregate) struct Sliding<A, G> {
    windows: SlidingWindows,
    aggregator: Arc<G>,
    /// The windows around the record.
    found: Vec<(i64, ValueAndTimestamp<A>)>,
    /// Their starts.
    starts: Vec<i64>,
}

impl<A, G> Sliding<A, G> {
    pub(in crate::aggregate) fn new(windows: SlidingWindows, aggregator: Arc<G>) -> Self {
        Self {
            windows,
            aggregator,
            found: Vec::new(),
            starts: Vec::new(),
        }
    }
}

/// The surroundings of an operation on one record.
struct Around<'a, K, T, A, G> {
    windows: SlidingWindows,
    store: &'a WindowForwarder<K, A>,
    aggregator: &'a G,
    record: &'a Record<K, T>,
    /// Windows that end before this are closed.
    over: i64,
}

/// What was found of the windows around a record.
struct Found<A> {
    /// What goes into the record's right window, if that has to be made.
    right: Option<ValueAndTimestamp<A>>,
    right_exists: bool,
    /// The time of the record before.
    previous: Option<i64>,
}

impl<A> Default for Found<A> {
    fn default() -> Self {
        Self {
            right: None,
            right_exists: false,
            previous: None,
        }
    }
}

impl<K, T, A, G> Procedure<K, T, TimestampedWindowStore<K, A>> for Sliding<A, G>
where
    K: Data,
    T: Clone + 'static,
    A: Data,
    G: Aggregator<K, T, A>,
{
    fn update(
        &mut self,
        cx: &mut NodeContext<'_>,
        store: &WindowForwarder<K, A>,
        record: Record<K, T>,
        stream_time: i64,
    ) -> Result<Updated, Error> {
        let over = stream_time.saturating_sub(self.windows.grace_ms);
        let difference = self.windows.difference_ms;
        let timestamp = record.timestamp;
        // A window that would end behind the last timestamp is none, as in Java.
        if timestamp.checked_add(difference).is_none_or(|end| end < over) {
            cx.drop_record();
            return Ok(Updated::Nothing);
        }
        let around = Around {
            windows: self.windows,
            store,
            aggregator: &*self.aggregator,
            record: &record,
            over,
        };
        self.found.clear();
        self.starts.clear();
        if timestamp < difference {
            for row in store.view(cx).fetch_range(&record.key, 0, timestamp + 1)? {
                self.found.push(row?);
            }
            self.starts.extend(self.found.iter().map(|(start, _)| *start));
            around.early(cx, &self.starts, self.found.drain(..))?;
            return Ok(Updated::Windows);
        }
        let from = timestamp.saturating_sub(difference.saturating_mul(2)).max(0);
        let mut view = store.view(cx);
        for row in view.backward_fetch_range(&record.key, from, timestamp.saturating_add(1))? {
            let (start, row) = row?;
            self.starts.push(start);
            self.found.push((start, row));
            // The first window that is over before the record has the last of what matters.
            if start.saturating_add(difference) < timestamp {
                break;
            }
        }
        around.usual(cx, &self.starts, self.found.drain(..))?;
        Ok(Updated::Windows)
    }
}

impl<K, T, A, G> Around<'_, K, T, A, G>
where
    K: Data,
    T: Clone,
    A: Data,
    G: Aggregator<K, T, A>,
{
    /// A record whose left window does not reach below time 0. The windows come latest first.
    fn usual(
        &self,
        cx: &mut NodeContext<'_>,
        starts: &[i64],
        windows: impl Iterator<Item = (i64, ValueAndTimestamp<A>)>,
    ) -> Result<(), Error> {
        let timestamp = self.record.timestamp;
        let mut found = Found::default();
        let (mut left, mut left_exists, mut containing) = (None, false, 0);
        for (start, row) in windows {
            let end = start.saturating_add(self.windows.difference_ms);
            if start > timestamp {
                found.right_exists = true;
            } else if end > timestamp {
                if containing == 0 && !found.right_exists && row.timestamp > timestamp {
                    found.right = Some(row.clone());
                }
                containing += 1;
                self.update(cx, start, Some(row))?;
            } else if end == timestamp {
                left_exists = true;
                let latest = row.timestamp;
                self.update(cx, start, Some(row))?;
                if latest >= timestamp {
                    // Another record has this very timestamp: it made all windows that there have to be.
                    return Ok(());
                }
                found.previous = Some(latest);
            } else {
                found.previous = Some(row.timestamp);
                left = Some(row.value);
            }
        }
        if let Some(start) = found.previous.map(|previous| previous + 1)
            && !starts.contains(&start)
            && start.saturating_add(self.windows.difference_ms) >= timestamp
        {
            self.update(cx, start, None)?;
        }
        let left_start = timestamp - self.windows.difference_ms;
        if !left_exists {
            let reaches = found.previous.is_some_and(|previous| previous >= left_start);
            let before = left.filter(|_| reaches);
            self.update(
                cx,
                left_start,
                before.map(|value| ValueAndTimestamp::new(value, timestamp)),
            )?;
        }
        self.make_right(cx, found)
    }

    /// A record so early that its left window would begin below time 0: the one from 0 on stands in for it. The windows come
    /// earliest first.
    fn early(
        &self,
        cx: &mut NodeContext<'_>,
        starts: &[i64],
        windows: impl Iterator<Item = (i64, ValueAndTimestamp<A>)>,
    ) -> Result<(), Error> {
        let timestamp = self.record.timestamp;
        let mut found = Found::default();
        let mut combined: Option<ValueAndTimestamp<A>> = None;
        let mut containing = 0;
        for (start, row) in windows {
            if start == 0 {
                found.previous = Some(row.timestamp).filter(|latest| *latest < timestamp);
                combined = Some(row);
            } else if start <= timestamp {
                containing += 1;
                found.right = Some(row.clone());
                self.update(cx, start, Some(row))?;
            } else {
                found.right_exists = true;
            }
        }
        if containing == 0 {
            found.right.clone_from(&combined);
        }
        let previous = found.previous;
        found.right = found.right.filter(|right| right.timestamp > timestamp);
        self.make_right(cx, found)?;
        if let Some(start) = previous.map(|previous| previous + 1)
            && !starts.contains(&start)
        {
            self.update(cx, start, None)?;
        }
        self.update(cx, 0, combined)
    }

    /// Makes the record's right window, if it is missing and not empty.
    fn make_right(&self, cx: &mut NodeContext<'_>, found: Found<A>) -> Result<(), Error> {
        let Some(ValueAndTimestamp { value, timestamp }) = found.right.filter(|_| !found.right_exists) else {
            return Ok(());
        };
        let window = self.window(self.record.timestamp.saturating_add(1));
        self.store
            .view(cx)
            .set(&self.record.key, Some(&value), timestamp, window.start)?;
        self.store.forward(cx, || Record {
            key: Windowed::new(self.record.key.clone(), window),
            value: Change {
                new: Some(value),
                old: None,
                is_latest: true,
            },
            timestamp,
            headers: self.record.headers.clone(),
        })
    }

    /// Adds the record to a window, unless that is closed.
    fn update(&self, cx: &mut NodeContext<'_>, start: i64, before: Option<ValueAndTimestamp<A>>) -> Result<(), Error> {
        let window = self.window(start);
        if window.end < self.over {
            cx.drop_record();
            return Ok(());
        }
        let before = (window, Before::Known(before));
        update_window(cx, self.store, self.aggregator, before, self.record.clone())
    }

    fn window(&self, start: i64) -> Window {
        Window::new(start, start.saturating_add(self.windows.difference_ms))
    }
}
