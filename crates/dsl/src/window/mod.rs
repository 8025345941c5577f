//! Windows: which records of a key belong together in time. Lengths are durations, cut to whole milliseconds.
//!
//! | windows | what they are |
//! |---|---|
//! | [`TimeWindows`] | of a fixed size, one after the other or overlapping |
//! | [`SlidingWindows`] | around every record, as far as a difference in time |
//! | [`SessionWindows`] | as long as no gap of inactivity ends them |
//! | [`UnlimitedWindows`] | a single one without an end |
//!
//! All but the last have a *grace*: how much later than newer records a record may come and still count. Each input of an
//! aggregation keeps its own stream time for that, the largest timestamp that it has seen.

use std::time::Duration;

mod emit;
mod fixed;
mod session;
mod sliding;
mod time;
mod unlimited;

pub use emit::EmitStrategy;
pub use session::SessionWindows;
pub use sliding::SlidingWindows;
pub use time::TimeWindows;
pub use unlimited::UnlimitedWindows;

pub(crate) use fixed::FixedWindows;

/// Whole milliseconds, at most as many as a timestamp can count.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
