//! The clocks of a member: heartbeats, the session, the poll watch and the pause between attempts.

use std::time::{Duration, Instant};

use super::GroupConfig;

/// When the next heartbeat is due, and until when the session holds without one.
#[derive(Debug)]
pub(super) struct HeartbeatTimer {
    interval: Duration,
    session_timeout: Duration,
    next: Instant,
    session_end: Instant,
}

impl HeartbeatTimer {
    pub(super) fn new(config: &GroupConfig, now: Instant) -> Self {
        Self {
            interval: config.heartbeat_interval,
            session_timeout: config.session_timeout,
            next: now + config.heartbeat_interval,
            session_end: now + config.session_timeout,
        }
    }

    /// The coordinator heard us: a join, a sync or a heartbeat was answered.
    pub(super) fn heard(&mut self, now: Instant) {
        self.next = now + self.interval;
        self.session_end = now + self.session_timeout;
    }

    /// The next heartbeat goes out after `pause`, because the last one found nobody.
    pub(super) fn retry(&mut self, now: Instant, pause: Duration) {
        self.next = now + pause;
    }

    /// A heartbeat goes out now.
    pub(super) fn sent(&mut self, now: Instant) {
        self.next = now + self.interval;
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// True when the coordinator has not heard us for a whole session.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        now >= self.session_end
    }

    pub(super) fn session_end(&self) -> Instant {
        self.session_end
    }

    /// A new session begins with whoever coordinates next.
    pub(super) fn renew(&mut self, now: Instant) {
        self.session_end = now + self.session_timeout;
    }
}

/// Watches that the application polls (`max.poll.interval.ms`): one that hangs must not keep its partitions.
#[derive(Debug)]
pub(super) struct PollWatch {
    interval_max: Duration,
    last: Instant,
}

impl PollWatch {
    pub(super) fn new(config: &GroupConfig, now: Instant) -> Self {
        Self {
            interval_max: config.poll_interval_max,
            last: now,
        }
    }

    /// True if that is news.
    pub(super) fn polled(&mut self, at: Instant) -> bool {
        let news = at > self.last;
        self.last = self.last.max(at);
        news
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        now > self.deadline()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.last + self.interval_max
    }
}

/// The pause between attempts: doubled by each failure up to a maximum, forgotten by a success.
#[derive(Debug)]
pub(super) struct Pause {
    first: Duration,
    max: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    pub(super) fn new(config: &GroupConfig) -> Self {
        Self {
            first: config.retry_backoff,
            max: config.retry_backoff_max,
            failures: 0,
            until: None,
        }
    }

    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        let pause = self.first.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures += 1;
        self.until = Some(now + pause);
        pause
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}
