//! How long tasks may fail in a row: `task.timeout.ms`, per task.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kstreams_topology::TaskId;

use crate::failure::Hurdle;

/// The longest pause between two attempts of the same task.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The tasks that fail at the moment.
///
/// The first failure starts a deadline, and none of its own ends a task: with a `task.timeout.ms` of 0 that is the second.
/// It is cleared when the task gets to where it was going. Meanwhile the task pauses, longer each time, so that an attempt
/// that has to time out does not hold up its neighbours.
#[derive(Debug)]
pub(crate) struct Deadlines {
    timeout: Duration,
    pause_min: Duration,
    failing: BTreeMap<TaskId, Failing>,
}

#[derive(Debug)]
struct Failing {
    at: Hurdle,
    deadline: Instant,
    pause: Duration,
    pause_end: Instant,
}

/// Whether a task that failed may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Left,
    Exhausted,
}

impl Deadlines {
    pub(crate) fn new(timeout: Duration, pause_min: Duration) -> Self {
        Self {
            timeout,
            pause_min,
            failing: BTreeMap::new(),
        }
    }

    /// A task failed on its way to `at`.
    pub(crate) fn failed(&mut self, task: TaskId, at: Hurdle, now: Instant) -> Patience {
        let (timeout, pause_min) = (self.timeout, self.pause_min);
        let mut patience = Patience::Left;
        self.failing
            .entry(task)
            .and_modify(|failing| {
                if now > failing.deadline {
                    patience = Patience::Exhausted;
                }
                failing.pause = (failing.pause * 2).min(PAUSE_MAX);
                failing.pause_end = now + failing.pause;
            })
            .or_insert_with(|| Failing {
                at,
                deadline: now + timeout,
                pause: pause_min,
                pause_end: now + pause_min,
            });
        patience
    }

    /// A task got there.
    pub(crate) fn passed(&mut self, task: TaskId, hurdle: Hurdle) {
        if self.failing.get(&task).is_some_and(|failing| failing.at == hurdle) {
            self.failing.remove(&task);
        }
    }

    /// All tasks got there.
    pub(crate) fn all_passed(&mut self, hurdle: Hurdle) {
        self.failing.retain(|_, failing| failing.at != hurdle);
    }

    /// The task is gone.
    pub(crate) fn forget(&mut self, task: TaskId) {
        self.failing.remove(&task);
    }

    /// Whether the task has failed and is not to try again yet.
    pub(crate) fn is_paused(&self, task: TaskId) -> bool {
        // The clock is asked only while something fails.
        let failing = self.failing.get(&task);
        failing.is_some_and(|failing| Instant::now() < failing.pause_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: TaskId = TaskId::new(0, 0);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_deadline_counts_from_the_first_failure_in_a_row() {
        let mut deadlines = Deadlines::new(SECOND * 10, SECOND);
        let start = Instant::now();
        assert_eq!(deadlines.failed(TASK, Hurdle::Commit, start), Patience::Left);
        // Another step that works out in between is no progress for this one.
        deadlines.passed(TASK, Hurdle::Start);
        assert_eq!(
            deadlines.failed(TASK, Hurdle::Start, start + SECOND * 10),
            Patience::Left
        );
        assert_eq!(
            deadlines.failed(TASK, Hurdle::Commit, start + SECOND * 11),
            Patience::Exhausted
        );
        deadlines.passed(TASK, Hurdle::Commit);
        assert_eq!(
            deadlines.failed(TASK, Hurdle::Commit, start + SECOND * 12),
            Patience::Left
        );
    }

    #[test]
    fn without_any_time_the_second_failure_is_the_last() {
        let mut deadlines = Deadlines::new(Duration::ZERO, SECOND);
        let start = Instant::now();
        assert_eq!(deadlines.failed(TASK, Hurdle::Commit, start), Patience::Left);
        assert_eq!(
            deadlines.failed(TASK, Hurdle::Commit, start + Duration::from_millis(1)),
            Patience::Exhausted
        );
    }

    #[test]
    fn only_who_fails_pauses() {
        let mut deadlines = Deadlines::new(SECOND, SECOND * 60);
        deadlines.failed(TASK, Hurdle::Start, Instant::now());
        assert!(deadlines.is_paused(TASK));
        assert!(!deadlines.is_paused(TaskId::new(0, 1)));
        deadlines.all_passed(Hurdle::Start);
        assert!(!deadlines.is_paused(TASK));
    }
}
