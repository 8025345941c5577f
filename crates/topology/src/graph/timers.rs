//! The punctuations that a task's nodes have scheduled.

use std::collections::BTreeSet;
use std::time::Duration;

use super::alone::Scheduled;
use crate::heap::Heap;

/// Which clock a punctuation follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The largest timestamp seen so far: advances with the records.
    StreamTime,
    /// The wall clock: advances without records, too.
    WallClock,
}

/// One schedule of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(u64);

/// What is asked for. Without a start, stream time is first due at 0, which is as soon as it is known, and the wall clock
/// one interval from now; with one, at the start, or at the next point of its grid if it is past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) every: Duration,
    pub(crate) clock: Clock,
    pub(crate) start: Option<i64>,
}

#[derive(Debug)]
struct Timer {
    id: TimerId,
    node: usize,
    due: i64,
    interval_ms: i64,
}

/// All schedules of a task, by clock.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    stream: Heap<Timer>,
    wall: Heap<Timer>,
    /// Those that are still in their heap, but will not fire again.
    cancelled: BTreeSet<TimerId>,
    next_id: u64,
}

/// A timer that is to fire now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) id: TimerId,
    pub(crate) node: usize,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a schedule of this node.
    pub(crate) fn schedule(&mut self, node: usize, schedule: Schedule, now: i64) -> TimerId {
        let interval_ms = i64::try_from(schedule.every.as_millis()).unwrap_or(i64::MAX).max(1);
        let due = match (schedule.start, schedule.clock) {
            (Some(start), _) if start > now => start,
            (Some(start), _) => after(start, interval_ms, now),
            (None, Clock::StreamTime) => 0,
            (None, Clock::WallClock) => now.saturating_add(interval_ms),
        };
        let id = TimerId(self.next_id);
        self.next_id += 1;
        self.heap(schedule.clock).push(
            due,
            Timer {
                id,
                node,
                due,
                interval_ms,
            },
        );
        id
    }

    pub(crate) fn cancel(&mut self, id: TimerId) {
        self.cancelled.insert(id);
    }

    /// All schedules that are not cancelled, by due time.
    pub(super) fn scheduled(&self) -> Vec<Scheduled> {
        let of = |clock, heap: &Heap<Timer>| {
            let live = heap.things().filter(|timer| !self.cancelled.contains(&timer.id));
            let schedules = live.map(|timer| Scheduled {
                timer: timer.id,
                clock,
                every_ms: timer.interval_ms,
                due: timer.due,
            });
            schedules.collect::<Vec<_>>()
        };
        let mut all = of(Clock::StreamTime, &self.stream);
        all.extend(of(Clock::WallClock, &self.wall));
        all.sort_by_key(|scheduled| (scheduled.due, scheduled.timer));
        all
    }

    pub(crate) fn clear(&mut self) {
        self.stream.clear();
        self.wall.clear();
        self.cancelled.clear();
    }

    /// When the next timer of this clock is due, if it was not cancelled; `i64::MAX` without one.
    #[inline]
    pub(crate) fn next_due(&self, clock: Clock) -> i64 {
        let heap = match clock {
            Clock::StreamTime => &self.stream,
            Clock::WallClock => &self.wall,
        };
        heap.first().unwrap_or(i64::MAX)
    }

    /// The due timer with the earliest due time, moved on to its next due time: however many intervals were missed, it
    /// fires once and stays on its grid.
    pub(crate) fn pop(&mut self, clock: Clock, now: i64) -> Option<Due> {
        while self.next_due(clock) <= now {
            let timer = self.heap(clock).pop()?;
            if self.cancelled.remove(&timer.id) {
                continue;
            }
            let due = Due {
                id: timer.id,
                node: timer.node,
            };
            let next = after(timer.due, timer.interval_ms, now);
            self.heap(clock).push(next, Timer { due: next, ..timer });
            return Some(due);
        }
        None
    }

    fn heap(&mut self, clock: Clock) -> &mut Heap<Timer> {
        match clock {
            Clock::StreamTime => &mut self.stream,
            Clock::WallClock => &mut self.wall,
        }
    }
}

/// The first point after `now` on the grid through `start`.
fn after(start: i64, interval_ms: i64, now: i64) -> i64 {
    let missed = now.saturating_sub(start) / interval_ms;
    start.saturating_add(interval_ms.saturating_mul(missed.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(ms: u64, clock: Clock) -> Schedule {
        Schedule {
            every: Duration::from_millis(ms),
            clock,
            start: None,
        }
    }

    fn from(start: i64, ms: u64) -> Schedule {
        Schedule {
            start: Some(start),
            ..every(ms, Clock::WallClock)
        }
    }

    #[test]
    fn stream_time_fires_at_once_and_then_on_the_grid_of_zero() {
        let mut timers = Timers::new();
        timers.schedule(3, every(10000, Clock::StreamTime), 77);
        assert_eq!(timers.pop(Clock::StreamTime, -1), None);
        assert_eq!(timers.pop(Clock::StreamTime, 12_345).map(|due| due.node), Some(3));
        assert_eq!(timers.pop(Clock::StreamTime, 12_345), None);
        assert_eq!(timers.next_due(Clock::StreamTime), 20_000);
    }

    #[test]
    fn wall_clock_fires_once_after_a_stall_and_keeps_its_phase() {
        let mut timers = Timers::new();
        timers.schedule(0, every(10000, Clock::WallClock), 5_000);
        assert_eq!(timers.pop(Clock::WallClock, 14_999), None);
        assert!(timers.pop(Clock::WallClock, 115_001).is_some());
        assert_eq!(timers.pop(Clock::WallClock, 115_001), None);
        assert_eq!(timers.next_due(Clock::WallClock), 125_000);
    }

    #[test]
    fn a_start_in_the_past_gives_the_next_point_of_its_grid() {
        let mut timers = Timers::new();
        timers.schedule(0, from(3, 10), 25);
        assert_eq!(timers.next_due(Clock::WallClock), 33);
        timers.schedule(0, from(30, 10), 25);
        assert_eq!(timers.next_due(Clock::WallClock), 30);
    }

    #[test]
    fn several_timers_fire_by_due_time_and_a_cancelled_one_never() {
        let mut timers = Timers::new();
        let late = timers.schedule(1, every(2000, Clock::WallClock), 0);
        let gone = timers.schedule(2, every(1000, Clock::WallClock), 0);
        let early = timers.schedule(3, every(1000, Clock::WallClock), 0);
        timers.cancel(gone);
        let mut fired = Vec::new();
        while let Some(due) = timers.pop(Clock::WallClock, 2_500) {
            fired.push(due.id);
        }
        assert_eq!(fired, [early, late]);
    }
}
