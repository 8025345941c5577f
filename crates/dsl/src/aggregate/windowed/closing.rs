//! Emitting the aggregates of windows once, when they are closed.

use kstreams_topology::graph::NodeContext;

/// When windows close. Times of a window are starts of time windows, and ends of sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    /// How far behind stream time the time is at which windows are over.
    pub(crate) late_ms: i64,
    /// How far behind that a window's own time has to be.
    pub(crate) span_ms: i64,
    /// The times of windows are multiples of this.
    pub(crate) grid_ms: i64,
}

/// Windows to be emitted: those with a time from `from` to `to`, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Whether those that Java lost on a jump of stream time are lost.
    pub(crate) java_quirks: bool,
}

/// What was emitted so far, and when to look again. It survives restarts as the time at which windows were over when they
/// were last emitted, under the store's name: Java's `lastEmitWindowCloseTime`.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    sweep: Sweep,
    store: String,
    java_quirks: bool,
    /// Windows up to this time are emitted.
    emitted: i64,
    /// The wall clock does not have to be looked at before.
    next_at: i64,
}

impl Closing {
    pub(super) fn new(sweep: Sweep, store: String, java_quirks: bool) -> Self {
        Self {
            sweep,
            store,
            java_quirks,
            emitted: -1,
            next_at: 0,
        }
    }

    /// Takes up what was committed.
    pub(super) fn init(&mut self, cx: &NodeContext<'_>) {
        if let Some(over) = cx.processor_metadata(&self.store) {
            self.emitted = over.saturating_sub(self.sweep.span_ms).max(-1);
        }
    }

    /// The windows that are closed at this stream time and not yet emitted, if it is time to look for them. They count as
    /// emitted.
    pub(super) fn next(&mut self, cx: &mut NodeContext<'_>, stream_time: i64) -> Option<Closed> {
        let now = cx.wall_clock();
        if now < self.next_at {
            return None;
        }
        self.next_at = now.saturating_add(cx.emit_interval());
        let over = stream_time.saturating_sub(self.sweep.late_ms);
        let to = over.saturating_sub(self.sweep.span_ms);
        if to.div_euclid(self.sweep.grid_ms) <= self.emitted.div_euclid(self.sweep.grid_ms) {
            return None;
        }
        let from = self.emitted + 1;
        self.emitted = to;
        cx.set_processor_metadata(&self.store, over);
        Some(Closed {
            from,
            to,
            java_quirks: self.java_quirks,
        })
    }
}
