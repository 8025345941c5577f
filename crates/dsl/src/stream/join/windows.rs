//! How far apart in time records may be to be joined.

use std::time::Duration;

use kstreams_topology::stores::JoinSide;

use crate::window::millis;

/// How far apart in time two records may be to be joined, and how late they may come.
///
/// A record of the left stream at time `t` meets those of the right stream from `t - before` to `t + after`, both included.
///
/// ```
/// # use std::time::Duration;
/// # use kstreams_dsl::JoinWindows;
/// // A payment counts for an order if it comes at most an hour after it.
/// let payments = JoinWindows::of_time_difference(Duration::from_secs(3600)).before(Duration::ZERO);
/// // Records may come ten minutes late.
/// let payments = payments.grace(Duration::from_secs(600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinWindows {
    /// Milliseconds; negative if the window ends before the left record.
    pub(super) after: i64,
    /// Milliseconds; negative if the window begins after the left record.
    pub(super) before: i64,
    /// Milliseconds.
    pub(super) grace: i64,
    /// Whether records without a match are given at once.
    pub(super) eager: bool,
}

impl JoinWindows {
    /// Records meet whose times differ by at most this, in both directions. Late ones are not waited for.
    pub fn of_time_difference(difference: Duration) -> Self {
        let difference = millis(difference);
        Self {
            after: difference,
            before: difference,
            grace: 0,
            eager: false,
        }
    }

    /// Right records may be older than the left one by at most this.
    pub fn before(self, difference: Duration) -> Self {
        Self {
            before: millis(difference),
            ..self
        }
    }

    /// Right records may be younger than the left one by at most this.
    pub fn after(self, difference: Duration) -> Self {
        Self {
            after: millis(difference),
            ..self
        }
    }

    /// Right records must be older than the left one by at least this: a negative `after` in Java's terms.
    pub fn older_by(self, difference: Duration) -> Self {
        Self {
            after: -millis(difference),
            ..self
        }
    }

    /// Right records must be younger than the left one by at least this: a negative `before` in Java's terms.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{JoinWindows, StreamsBuilder};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let visits = builder.stream::<String, String>("visits");
    /// // Visits that are followed by another one, five to ten seconds later.
    /// let windows = JoinWindows::of_time_difference(Duration::from_secs(10)).younger_by(Duration::from_secs(5));
    /// visits.join(&visits, windows, |_, from, to| format!("{from} to {to}")).to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let visits = driver.input::<String, String>("visits");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&visits, record("ann", "home").at(0))?;
    /// driver.pipe(&visits, record("ann", "shop").at(4_999))?;
    /// driver.pipe(&visits, record("ann", "till").at(9_999))?;
    /// assert_eq!(
    ///     driver.read_all(&output)?,
    ///     [record("ann", "home to till").at(9_999), record("ann", "shop to till").at(9_999)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn younger_by(self, difference: Duration) -> Self {
        Self {
            before: -millis(difference),
            ..self
        }
    }

    /// Waits this long, in stream time, for records that come late. Left and outer joins give a record without a match only
    /// when its window and this time are over; stores keep records as long.
    pub fn grace(self, grace: Duration) -> Self {
        Self {
            grace: millis(grace),
            ..self
        }
    }

    /// Lets left and outer joins give records without a match at once instead of waiting until their windows are over. A
    /// match that comes later is one more result: an earlier one without it was wrong. This is what Kafka Streams did before
    /// 3.1 (KIP-633), and still does for its deprecated `JoinWindows.of`, there with a grace of 24 hours.
    pub fn eager(self) -> Self {
        Self { eager: true, ..self }
    }

    /// Until when a record of this time and side may be matched, in stream time.
    pub(super) fn closes_at(self, side: JoinSide, timestamp: i64) -> i64 {
        let wait = match side {
            JoinSide::Left => self.after,
            JoinSide::Right => self.before,
        };
        timestamp.saturating_add(wait).saturating_add(self.grace)
    }

    /// What is wrong with these windows, if anything is.
    pub(super) fn fault(self) -> Option<String> {
        let size = self.size();
        (size < 0).then(|| format!("a size of {size} ms: they end before they begin"))
    }

    /// Milliseconds from the first to the last match of a record.
    pub(super) fn size(self) -> i64 {
        self.before.saturating_add(self.after)
    }

    /// How long records have to be kept, in milliseconds. Of a window on one side of a record the gap in between counts, too;
    /// Java leaves it out, and so loses matches.
    pub(super) fn retention(self) -> i64 {
        let reach = self.before.max(0).saturating_add(self.after.max(0));
        reach.saturating_add(self.grace)
    }
}
