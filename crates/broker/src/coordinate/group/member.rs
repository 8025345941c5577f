//! One member of a group.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Ticket;

/// Who says something, and of which generation it believes to be.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
}

/// A member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// The protocols it speaks, best first, each with metadata that only members understand.
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    pub(super) session_deadline: Instant,
    /// It waits for the next generation.
    pub(super) joining: Option<Ticket>,
    /// It has joined this generation and has not asked for its assignment yet.
    pub(super) owes_sync: bool,
    /// It waits for its assignment.
    pub(super) syncing: Option<Ticket>,
}

impl Member {
    /// What it says of itself in a protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map(|(_, metadata)| metadata)
    }

    pub(super) fn speaks(&self, protocol: &str) -> bool {
        self.metadata(protocol).is_some()
    }

    /// A member that waits for an answer cannot say that it lives.
    pub(super) fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        !self.is_waiting() && self.session_deadline <= now
    }
}
