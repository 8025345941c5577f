//! Where each partition stands, on the I/O side of a consumer. Plain data: decides who may be fetched.

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams_wire::TopicPartition;

use super::{ResetPolicy, Start};
use crate::cluster::{Leader, NodeId};
use crate::network::Instant;

/// One assigned partition.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) epoch: u64,
    pub(super) state: State,
    pub(super) leader: Option<Leader>,
    /// The leader epoch of what was read last, if that is known.
    pub(super) last_epoch: Option<i32>,
    /// A request that concerns it is under way.
    pub(super) in_flight: bool,
    /// The bytes that wait for the application.
    pub(super) buffered_bytes: usize,
    pub(super) high_watermark: Option<i64>,
    /// After a failure: nothing before this.
    retry: Option<Instant>,
}

/// What a partition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// For the first or last offset of the log.
    Reset(Edge),
    /// For records from this offset on.
    Reading(i64),
    /// For the application: there is no position, or reading failed for good.
    Stopped,
}

/// Where a partition is to be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) offset: i64,
    /// The epoch of the leader that is asked.
    pub(super) leader_epoch: i32,
    /// The leader epoch of what was read last: the broker sees from it if the log was cut off since (KIP-320).
    pub(super) last_epoch: Option<i32>,
}

/// An end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edge {
    Earliest,
    Latest,
}

impl Edge {
    pub(super) fn of(policy: ResetPolicy) -> Option<Self> {
        match policy {
            ResetPolicy::Earliest => Some(Self::Earliest),
            ResetPolicy::Latest => Some(Self::Latest),
            ResetPolicy::None => None,
        }
    }
}

impl Position {
    pub(super) fn new(epoch: u64, start: Start, policy: ResetPolicy) -> Self {
        let state = match start {
            Start::Offset(offset) | Start::After { offset, .. } => State::Reading(offset),
            Start::Beginning => State::Reset(Edge::Earliest),
            Start::End => State::Reset(Edge::Latest),
            Start::ByPolicy => Edge::of(policy).map_or(State::Stopped, State::Reset),
        };
        Self {
            epoch,
            state,
            leader: None,
            last_epoch: match start {
                Start::After { epoch, .. } => Some(epoch),
                _ => None,
            },
            in_flight: false,
            buffered_bytes: 0,
            high_watermark: None,
            retry: None,
        }
    }

    /// Something failed that may succeed after a pause.
    pub(super) fn pause(&mut self, now: Instant, pause: Duration) {
        self.retry = Some(now + pause);
    }

    /// Where to fetch from, if a fetch is due.
    pub(super) fn fetchable(&self, now: Instant) -> Option<Point> {
        match self.state {
            State::Reading(offset) if self.is_due(now) && self.buffered_bytes == 0 => Some(Point {
                offset,
                leader_epoch: self.leader.map_or(-1, |leader| leader.epoch),
                last_epoch: self.last_epoch,
            }),
            _ => None,
        }
    }

    /// The end of the log to ask for, if a look-up is due.
    pub(super) fn resettable(&self, now: Instant) -> Option<Edge> {
        match self.state {
            State::Reset(edge) if self.is_due(now) => Some(edge),
            _ => None,
        }
    }

    /// When a pause ends that keeps this partition waiting.
    pub(super) fn wakes(&self, now: Instant) -> Option<Instant> {
        self.retry.filter(|retry| *retry > now)
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.in_flight && self.retry.is_none_or(|retry| retry <= now)
    }
}

/// Partitions by their leaders, each with what `select` says of it. Those without a leader are left out.
pub(super) fn by_leader<T>(
    positions: &BTreeMap<TopicPartition, Position>,
    select: impl Fn(&Position) -> Option<T>,
) -> BTreeMap<NodeId, Vec<(TopicPartition, T)>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (partition, position) in positions {
        if let (Some(leader), Some(value)) = (position.leader, select(position)) {
            found.entry(leader.node).or_default().push((partition.clone(), value));
        }
    }
    found
}
