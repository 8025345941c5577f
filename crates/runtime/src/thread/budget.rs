//! How many records each task may process before the thread looks around again.

use std::time::Duration;

/// Grows by one with each pass in which nothing else was due, and halves when something was: a thread that is busy with
/// records looks around seldom, one with much else to do looks around often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    records: usize,
    poll_interval_max: Duration,
}

/// What happened in one pass over all tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    pub(crate) processed: usize,
    /// Whether something was punctuated or committed.
    pub(crate) interrupted: bool,
    pub(crate) since_poll: Duration,
}

/// Whether to go on processing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another pass.
    Again,
    /// Poll first.
    Poll,
}

impl Budget {
    pub(crate) fn new(poll_interval_max: Duration) -> Self {
        Self {
            records: 1,
            poll_interval_max,
        }
    }

    /// Records per task in the next pass.
    pub(crate) fn records(self) -> usize {
        self.records
    }

    /// Learns from a pass.
    pub(crate) fn after(&mut self, pass: Pass) -> Next {
        if pass.processed == 0 {
            return Next::Poll;
        }
        if pass.since_poll > self.poll_interval_max / 2 {
            self.halve();
            return Next::Poll;
        }
        if pass.interrupted {
            self.halve();
        } else {
            self.records = self.records.saturating_add(1);
        }
        Next::Again
    }

    fn halve(&mut self) {
        self.records = (self.records / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_one_and_halves() {
        let mut budget = Budget::new(Duration::from_secs(10));
        let quiet = Pass {
            processed: 1,
            interrupted: false,
            since_poll: Duration::ZERO,
        };
        let cases = [
            (quiet, Next::Again, 2),
            (quiet, Next::Again, 3),
            (quiet, Next::Again, 4),
            (quiet, Next::Again, 5),
            (
                Pass {
                    interrupted: true,
                    ..quiet
                },
                Next::Again,
                2,
            ),
            (Pass { processed: 0, ..quiet }, Next::Poll, 2),
            (
                Pass {
                    since_poll: Duration::from_secs(6),
                    ..quiet
                },
                Next::Poll,
                1,
            ),
            (
                Pass {
                    interrupted: true,
                    ..quiet
                },
                Next::Again,
                1,
            ),
        ];
        for (pass, next, records) in cases {
            assert_eq!((budget.after(pass), budget.records()), (next, records), "{pass:?}");
        }
    }
}
