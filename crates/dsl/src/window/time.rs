//! Windows of a fixed size: tumbling and hopping.

use std::time::Duration;

use super::millis;

/// Windows of a fixed size, from a multiple of their advance, inclusive, to `start + size`, exclusive. By default they
/// advance by their size (tumbling windows); with a smaller [`advance`](Self::advance_by) they overlap (hopping windows), and a
/// record is in several. None begins before time 0.
///
/// ```
/// # use std::time::Duration;
/// # use kstreams_dsl::TimeWindows;
/// let five_minutes = TimeWindows::of_size(Duration::from_secs(300)).grace(Duration::from_secs(60));
/// let every_minute = five_minutes.advance_by(Duration::from_secs(60));
/// # let _ = every_minute;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    pub(crate) size_ms: i64,
    pub(crate) advance_ms: i64,
    pub(crate) grace_ms: i64,
}

impl TimeWindows {
    /// Windows of this size, at least a millisecond, without grace.
    pub fn of_size(size: Duration) -> Self {
        let size_ms = millis(size);
        Self {
            size_ms,
            advance_ms: size_ms,
            grace_ms: 0,
        }
    }

    /// Begins a window at every multiple of `advance`: at least a millisecond, and at most the size.
    pub fn advance_by(self, advance: Duration) -> Self {
        Self {
            advance_ms: millis(advance),
            ..self
        }
    }

    /// Takes records that come this much after the end of a window. A window is closed when stream time has reached
    /// `end + grace`: what comes later for it is dropped.
    pub fn grace(self, grace: Duration) -> Self {
        Self {
            grace_ms: millis(grace),
            ..self
        }
    }

    /// The start of the first window that contains `timestamp`. The others follow, one advance after the other, as long as
    /// they do not begin after `timestamp`.
    pub(crate) fn first_start(&self, timestamp: i64) -> i64 {
        let earliest = timestamp.saturating_sub(self.size_ms).saturating_add(self.advance_ms);
        let earliest = earliest.max(0);
        earliest - earliest % self.advance_ms
    }

    /// What is wrong with these windows.
    pub(crate) fn fault(&self) -> Option<String> {
        let Self {
            size_ms, advance_ms, ..
        } = *self;
        if size_ms < 1 {
            Some(format!("a size of {size_ms} ms, at least 1 ms expected"))
        } else if !(1..=size_ms).contains(&advance_ms) {
            Some(format!(
                "an advance of {advance_ms} ms, 1 ms to the size of {size_ms} ms expected"
            ))
        } else {
            None
        }
    }
}
