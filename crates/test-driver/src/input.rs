//! Topics that a test writes to.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use kstreams_topology::{Nullable, Serde};

/// A topic that a test writes to. It has a clock of its own, which gives records without a timestamp theirs: it starts at
/// the driver's clock and is moved by the test alone.
pub struct InputTopic<K: Nullable, V: Nullable> {
    pub(crate) name: String,
    pub(crate) key: Arc<dyn Serde<K::Inner>>,
    pub(crate) value: Arc<dyn Serde<V::Inner>>,
    clock: Cell<i64>,
    auto_advance_ms: i64,
}

impl<K: Nullable, V: Nullable> InputTopic<K, V> {
    pub(crate) fn new(name: &str, key: Arc<dyn Serde<K::Inner>>, value: Arc<dyn Serde<V::Inner>>, clock: i64) -> Self {
        Self {
            name: name.to_owned(),
            key,
            value,
            clock: Cell::new(clock),
            auto_advance_ms: 0,
        }
    }

    /// Starts the topic's clock at this time, in milliseconds.
    pub fn start_at(self, start: i64) -> Self {
        self.clock.set(start);
        self
    }

    /// Moves the topic's clock on by this much after each record that takes its time from it.
    pub fn auto_advance(mut self, by: Duration) -> Self {
        self.auto_advance_ms = millis(by);
        self
    }

    /// Moves the topic's clock on.
    pub fn advance_time(&self, by: Duration) {
        self.clock.set(self.clock.get() + millis(by));
    }

    /// The time of a record that says none.
    pub(crate) fn tick(&self) -> i64 {
        let now = self.clock.get();
        self.clock.set(now + self.auto_advance_ms);
        now
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
