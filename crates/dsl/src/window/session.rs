//! Windows that last as long as something happens.

use std::time::Duration;

use super::millis;

/// Sessions: from the first to the last record, both inclusive, between which no two neighbours are further apart than the
/// gap. A record in between two sessions makes one of them.
///
/// ```
/// # use std::time::Duration;
/// # use kstreams_dsl::SessionWindows;
/// let half_an_hour = SessionWindows::of_inactivity_gap(Duration::from_secs(1800)).grace(Duration::from_secs(60));
/// # let _ = half_an_hour;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWindows {
    pub(crate) gap_ms: i64,
    pub(crate) grace_ms: i64,
}

impl SessionWindows {
    /// Sessions that end when nothing happens for longer than this, at least a millisecond. Without grace.
    pub fn of_inactivity_gap(gap: Duration) -> Self {
        Self {
            gap_ms: millis(gap),
            grace_ms: 0,
        }
    }

    /// Takes records that come this much after the end of a session and its gap. A session is closed when stream time has
    /// passed `end + gap + grace`: what comes later for it is dropped.
    pub fn grace(self, grace: Duration) -> Self {
        Self {
            grace_ms: millis(grace),
            ..self
        }
    }

    /// What is wrong with these windows.
    pub(crate) fn fault(&self) -> Option<String> {
        let gap_ms = self.gap_ms;
        (gap_ms < 1).then(|| format!("a gap of {gap_ms} ms, at least 1 ms expected"))
    }
}
