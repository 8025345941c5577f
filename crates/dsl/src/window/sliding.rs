//! Windows that slide with the records.

use std::time::Duration;

use super::millis;

/// Windows `[start, start + difference]`, both ends inclusive, with every set of records that are no further apart than the
/// difference: a window ends at every record, and one begins right after it if later records are in it (KIP-450). Records
/// earlier than the difference share the window that begins at 0.
///
/// ```
/// # use std::time::Duration;
/// # use kstreams_dsl::SlidingWindows;
/// let ten_seconds = SlidingWindows::of_time_difference(Duration::from_secs(10)).grace(Duration::from_secs(1));
/// # let _ = ten_seconds;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindows {
    pub(crate) difference_ms: i64,
    pub(crate) grace_ms: i64,
}

impl SlidingWindows {
    /// Windows of records that are at most this far apart, without grace.
    pub fn of_time_difference(difference: Duration) -> Self {
        Self {
            difference_ms: millis(difference),
            grace_ms: 0,
        }
    }

    /// Takes records that come this much after the end of a window. A window is closed when stream time has passed
    /// `end + grace`: what comes later for it is dropped.
    pub fn grace(self, grace: Duration) -> Self {
        Self {
            grace_ms: millis(grace),
            ..self
        }
    }

    /// The span of a window, as the serde of its keys takes it.
    pub(crate) fn size_ms(&self) -> i64 {
        self.difference_ms
    }
}
