//! Pauses between attempts: doubled by each failure up to a maximum, spread by chance, forgotten by a success.

use std::time::Duration;

use crate::network::chance;

/// How long to wait before the next attempt.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max: max.max(first),
            failures: 0,
        }
    }

    /// Counts a failure and says how long to wait: from 80 to 120 % of the step that has been reached.
    pub(crate) fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.after(self.failures)
    }

    /// How long to wait after so many failures, counted by the caller.
    pub(crate) fn after(&self, failures: u32) -> Duration {
        let step = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        step.min(self.max).mul_f64(0.8 + 0.4 * chance())
    }

    /// Forgets the failures.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(1000));
        for expected in [50, 100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.failed().as_millis();
            assert!(
                (expected * 8 / 10..=expected * 12 / 10).contains(&pause),
                "{pause} is not about {expected}"
            );
        }
        backoff.succeeded();
        assert!(backoff.failed() <= Duration::from_millis(60));
    }
}
