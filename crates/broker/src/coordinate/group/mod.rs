//! A classic group as a pure state machine: members join, a leader assigns, all are told, until somebody comes or goes.
//!
//! Inputs are `handle_*` methods with the time as a parameter; answers that had to wait come out of
//! [`Group::poll_answer`], and [`Group::poll_timeout`] tells when [`Group::handle_timeout`] is due.

mod join;
mod member;
mod snapshot;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::time::Instant;

pub(crate) use join::{Join, Newcomer};
pub(crate) use member::{Identity, Member};
pub(crate) use sync::Sync;

/// Names somebody who waits for an answer.
pub(crate) type Ticket = u64;

/// An answer that may have had to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Join(Result<Joined, JoinRefused>),
    Sync(Result<Synced, ResponseError>),
}

/// A new generation, as one member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member_id: String,
    /// All members with their metadata, for the leader only.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
    /// The leader is to leave the assignment as it is.
    pub(crate) skip_assignment: bool,
}

/// A join that failed, and the member id to use next time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinRefused {
    pub(crate) error: ResponseError,
    pub(crate) member_id: String,
}

/// What a member is assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) assignment: Bytes,
}

/// Where a group is on its way from one generation to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No members; perhaps committed offsets.
    Empty,
    /// Members are called to join. Those that have not by the deadline are out.
    Joining { deadline: Instant, not_before: Instant },
    /// All have joined; the leader's assignment is awaited.
    Syncing { deadline: Instant },
    /// All know their assignment.
    Stable,
}

impl Phase {
    /// Kafka's name of the state.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Joining { .. } => "PreparingRebalance",
            Self::Syncing { .. } => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    initial_delay: Duration,
    phase: Phase,
    generation: i32,
    protocol_type: String,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Member ids of static members by instance id.
    instances: BTreeMap<String, String>,
    /// Ids given to members that have not come back with them yet, and until when they may.
    pending: BTreeMap<String, Instant>,
    answers: VecDeque<(Ticket, Answer)>,
    /// Something has changed that a restarted broker should know.
    is_news: bool,
}

impl Group {
    /// A group without members. Its first generation waits `initial_delay` for more than one.
    pub(crate) fn new(initial_delay: Duration) -> Self {
        Self {
            initial_delay,
            phase: Phase::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            answers: VecDeque::new(),
            is_news: false,
        }
    }

    /// Where it is.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// What its members call themselves: "consumer", "connect".
    pub(crate) fn protocol_type(&self) -> &str {
        &self.protocol_type
    }

    /// The protocol of this generation.
    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Its members, by member id.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// A member says that it lives. The error tells it to join again.
    pub(crate) fn handle_heartbeat(&mut self, now: Instant, identity: &Identity) -> Result<(), ResponseError> {
        let member = self.member(identity)?;
        member.session_deadline = now + member.session_timeout;
        match self.phase {
            Phase::Empty => Err(ResponseError::UnknownMemberId),
            Phase::Joining { .. } => Err(ResponseError::RebalanceInProgress),
            Phase::Syncing { .. } | Phase::Stable => Ok(()),
        }
    }

    /// Whether offsets of this origin may be committed. That a member commits also says that it lives.
    pub(crate) fn handle_commit(&mut self, now: Instant, identity: &Identity) -> Result<(), ResponseError> {
        // Who has no generation is no member: allowed while nobody is.
        if identity.generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        let member = self.member(identity)?;
        member.session_deadline = now + member.session_timeout;
        match self.phase {
            Phase::Syncing { .. } => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// A member goes, or somebody sends it away.
    pub(crate) fn handle_leave(
        &mut self,
        now: Instant,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        let member_id = match instance_id {
            None => member_id.to_owned(),
            Some(instance) => {
                let known = self.instances.get(instance).ok_or(ResponseError::UnknownMemberId)?;
                if !member_id.is_empty() && member_id != known {
                    return Err(ResponseError::FencedInstanceId);
                }
                known.clone()
            }
        };
        if self.pending.remove(&member_id).is_some() {
            self.try_complete_join(now);
            return Ok(());
        }
        if !self.members.contains_key(&member_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(now, &member_id);
        Ok(())
    }

    /// Does what falls due: sends away who is silent, ends waiting.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.pending.retain(|_, until| *until > now);
        let silent = self.members.values().filter(|member| member.is_silent(now));
        for member_id in silent.map(|member| member.id.clone()).collect::<Vec<_>>() {
            tracing::info!(member = member_id, "member's session timed out");
            self.remove(now, &member_id);
        }
        match self.phase {
            Phase::Joining { deadline, .. } if deadline <= now => self.complete_join(now),
            Phase::Joining { .. } => self.try_complete_join(now),
            Phase::Syncing { deadline } if deadline <= now => self.drop_unsynced(now),
            _ => {}
        }
    }

    /// When [`Self::handle_timeout`] has something to do, as far as can be known now.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self
            .members
            .values()
            .filter(|member| !member.is_waiting())
            .map(|member| member.session_deadline);
        let phase = match self.phase {
            Phase::Joining { deadline, not_before } if self.has_all_joined() => Some(deadline.min(not_before)),
            Phase::Joining { deadline, .. } | Phase::Syncing { deadline } => Some(deadline),
            Phase::Empty | Phase::Stable => None,
        };
        sessions.chain(self.pending.values().copied()).chain(phase).min()
    }

    /// An answer for somebody who waits.
    pub(crate) fn poll_answer(&mut self) -> Option<(Ticket, Answer)> {
        self.answers.pop_front()
    }

    /// The member of this identity, in this generation.
    fn member(&mut self, identity: &Identity) -> Result<&mut Member, ResponseError> {
        self.check_instance(&identity.member_id, identity.instance_id.as_deref())?;
        let generation = self.generation;
        let member = self
            .members
            .get_mut(&identity.member_id)
            .ok_or(ResponseError::UnknownMemberId)?;
        if identity.generation != generation {
            return Err(ResponseError::IllegalGeneration);
        }
        Ok(member)
    }

    fn check_instance(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ResponseError> {
        let Some(instance) = instance_id else { return Ok(()) };
        match self.instances.get(instance) {
            None => Err(ResponseError::UnknownMemberId),
            Some(known) if known != member_id => Err(ResponseError::FencedInstanceId),
            Some(_) => Ok(()),
        }
    }

    fn remove(&mut self, now: Instant, member_id: &str) {
        self.forget(member_id, ResponseError::UnknownMemberId);
        match self.phase {
            Phase::Stable | Phase::Syncing { .. } => self.rebalance(now),
            Phase::Joining { .. } => self.try_complete_join(now),
            Phase::Empty => {}
        }
    }

    /// Takes a member out of the books, telling it why if it waits.
    fn forget(&mut self, member_id: &str, error: ResponseError) -> Option<Member> {
        let mut member = self.members.remove(member_id)?;
        if let Some(ticket) = member.joining.take() {
            self.refuse_join(ticket, error, member_id);
        }
        if let Some(ticket) = member.syncing.take() {
            self.answers.push_back((ticket, Answer::Sync(Err(error))));
        }
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        if self.leader.as_deref() == Some(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    fn refuse_join(&mut self, ticket: Ticket, error: ResponseError, member_id: &str) {
        let refused = JoinRefused {
            error,
            member_id: member_id.to_owned(),
        };
        self.answers.push_back((ticket, Answer::Join(Err(refused))));
    }
}
