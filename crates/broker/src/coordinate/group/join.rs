//! How members join, and how a generation comes together.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::time::Instant;

use super::{Answer, Group, Joined, Member, Phase, Ticket};

/// A wish to join.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    /// Empty for a newcomer.
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// The member id that a newcomer gets.
    pub(crate) new_member_id: String,
    pub(crate) newcomer: Newcomer,
    pub(crate) leader_may_skip: bool,
}

/// How a newcomer gets its member id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newcomer {
    /// It is told, and comes back with it: one that is gone by then leaves no trace.
    ComesBack,
    /// It is told with the generation.
    JoinsAtOnce,
}

impl Group {
    /// Somebody joins. The answer may have to wait for the others.
    pub(crate) fn handle_join(&mut self, now: Instant, join: Join, ticket: Ticket) {
        let member_id = join.member_id.clone();
        if let Err(refused) = self.admit(now, join, ticket) {
            let member_id = refused.member_id.unwrap_or(member_id);
            self.refuse_join(ticket, refused.error, &member_id);
        }
    }

    fn admit(&mut self, now: Instant, join: Join, ticket: Ticket) -> Result<(), Refused> {
        if !self.understands(&join) {
            return Err(ResponseError::InconsistentGroupProtocol.into());
        }
        if join.member_id.is_empty() {
            return self.admit_newcomer(now, join, ticket);
        }
        if self.pending.remove(&join.member_id).is_some() {
            let member_id = join.member_id.clone();
            self.add(now, member_id, join, ticket);
            return Ok(());
        }
        self.check_instance(&join.member_id, join.instance_id.as_deref())?;
        self.readmit(now, join, ticket)
    }

    /// Whether all members could still agree on a protocol.
    fn understands(&self, join: &Join) -> bool {
        if self.members.is_empty() {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        let spoken_by_all = |protocol: &str| self.members.values().all(|member| member.speaks(protocol));
        join.protocol_type == self.protocol_type && join.protocols.iter().any(|(name, _)| spoken_by_all(name))
    }

    fn admit_newcomer(&mut self, now: Instant, join: Join, ticket: Ticket) -> Result<(), Refused> {
        let known = join
            .instance_id
            .as_ref()
            .and_then(|instance| self.instances.get(instance))
            .cloned();
        let member_id = join.new_member_id.clone();
        if let Some(old) = known {
            self.replace(now, &old, join, ticket);
            return Ok(());
        }
        if join.instance_id.is_none() && join.newcomer == Newcomer::ComesBack {
            self.pending.insert(member_id.clone(), now + join.session_timeout);
            return Err(Refused {
                error: ResponseError::MemberIdRequired,
                member_id: Some(member_id),
            });
        }
        self.add(now, member_id, join, ticket);
        Ok(())
    }

    fn add(&mut self, now: Instant, member_id: String, join: Join, ticket: Ticket) {
        if self.members.is_empty() {
            self.protocol_type.clone_from(&join.protocol_type);
        }
        if let Some(instance) = &join.instance_id {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        let member = Member {
            id: member_id.clone(),
            session_deadline: now + join.session_timeout,
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            joining: Some(ticket),
            owes_sync: false,
            syncing: None,
        };
        self.members.insert(member_id, member);
        if let Phase::Joining { deadline, not_before } = &mut self.phase
            && *not_before > now
        {
            *not_before = (now + self.initial_delay).min(*deadline);
        }
        self.rebalance(now);
    }

    /// A static member has restarted: it takes its own place, without a rebalance if nothing else changes.
    fn replace(&mut self, now: Instant, old: &str, join: Join, ticket: Ticket) {
        let was_leader = self.leader.as_deref() == Some(old);
        let Some(mut member) = self.forget(old, ResponseError::FencedInstanceId) else {
            return;
        };
        let member_id = join.new_member_id.clone();
        member.id.clone_from(&member_id);
        member.client_id.clone_from(&join.client_id);
        member.client_host.clone_from(&join.client_host);
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), member_id.clone());
        }
        if was_leader || self.leader.is_none() {
            self.leader = Some(member_id.clone());
        }
        let may_skip = join.leader_may_skip;
        self.members.insert(member_id.clone(), member);
        self.update(now, &member_id, join);
        if self.phase != Phase::Stable || self.choose_protocol() != self.protocol {
            self.wait_to_join(&member_id, ticket);
            self.rebalance(now);
            return;
        }
        self.is_news = true;
        let mut joined = self.joined(&member_id);
        if was_leader && may_skip {
            joined.skip_assignment = true;
        } else if was_leader {
            // A client that does not know how to skip must not think that it leads.
            joined.leader = old.to_owned();
            joined.members.clear();
        }
        self.answers.push_back((ticket, Answer::Join(Ok(joined))));
    }

    /// A member joins again.
    fn readmit(&mut self, now: Instant, join: Join, ticket: Ticket) -> Result<(), Refused> {
        let member_id = join.member_id.clone();
        let member = self.members.get(&member_id).ok_or(ResponseError::UnknownMemberId)?;
        let has_changed = member.protocols != join.protocols;
        let is_leader = self.leader.as_ref() == Some(&member_id);
        let rebalances = match self.phase {
            Phase::Empty => return Err(ResponseError::UnknownMemberId.into()),
            Phase::Joining { .. } => true,
            // The answer to its join was lost: it gets it again.
            Phase::Syncing { .. } => has_changed,
            // A leader that joins again asks for a rebalance, whatever its reasons.
            Phase::Stable => has_changed || is_leader,
        };
        self.update(now, &member_id, join);
        if rebalances {
            self.wait_to_join(&member_id, ticket);
            self.rebalance(now);
        } else {
            let joined = self.joined(&member_id);
            self.answers.push_back((ticket, Answer::Join(Ok(joined))));
        }
        Ok(())
    }

    fn update(&mut self, now: Instant, member_id: &str, join: Join) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.protocols = join.protocols;
            member.session_timeout = join.session_timeout;
            member.rebalance_timeout = join.rebalance_timeout;
            member.session_deadline = now + join.session_timeout;
        }
    }

    fn wait_to_join(&mut self, member_id: &str, ticket: Ticket) {
        let before = self
            .members
            .get_mut(member_id)
            .and_then(|member| member.joining.replace(ticket));
        // Its former connection is gone, or it would not ask twice.
        if let Some(before) = before {
            self.refuse_join(before, ResponseError::RebalanceInProgress, member_id);
        }
    }

    /// Calls all members to join, unless they are being called already.
    pub(super) fn rebalance(&mut self, now: Instant) {
        let deadline = now + self.rebalance_timeout();
        match self.phase {
            Phase::Joining { .. } => {}
            Phase::Empty => {
                self.phase = Phase::Joining {
                    deadline,
                    not_before: (now + self.initial_delay).min(deadline),
                }
            }
            Phase::Syncing { .. } | Phase::Stable => {
                self.refuse_syncing();
                self.phase = Phase::Joining {
                    deadline,
                    not_before: now,
                };
            }
        }
        self.try_complete_join(now);
    }

    fn rebalance_timeout(&self) -> Duration {
        self.members
            .values()
            .map(|member| member.rebalance_timeout)
            .max()
            .unwrap_or_default()
    }

    pub(super) fn has_all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    pub(super) fn try_complete_join(&mut self, now: Instant) {
        if let Phase::Joining { not_before, .. } = self.phase
            && not_before <= now
            && self.has_all_joined()
        {
            self.complete_join(now);
        }
    }

    /// Begins a generation with those who have joined. Static members keep their place until their session ends.
    pub(super) fn complete_join(&mut self, now: Instant) {
        let late = self
            .members
            .values()
            .filter(|member| member.joining.is_none() && member.instance_id.is_none());
        for member_id in late.map(|member| member.id.clone()).collect::<Vec<_>>() {
            tracing::info!(member = member_id, "member did not join in time");
            self.forget(&member_id, ResponseError::UnknownMemberId);
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            self.is_news = true;
            self.protocol = None;
            self.leader = None;
            return;
        }
        let has_joined = |member: &&Member| member.joining.is_some();
        let leader_joined = self
            .leader
            .as_ref()
            .and_then(|leader| self.members.get(leader))
            .filter(has_joined);
        if leader_joined.is_none() {
            let other = self.members.values().find(has_joined).map(|member| member.id.clone());
            self.leader = other.or_else(|| self.leader.take());
        }
        let deadline = now + self.rebalance_timeout();
        if !self.members.values().any(|member| member.joining.is_some()) {
            // Only static members, and none of them here: nobody could lead.
            self.phase = Phase::Joining {
                deadline,
                not_before: now,
            };
            return;
        }
        self.protocol = self.choose_protocol();
        self.phase = Phase::Syncing { deadline };
        self.announce(now);
    }

    /// Tells those who wait of the new generation.
    fn announce(&mut self, now: Instant) {
        let mut waiting = Vec::new();
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            member.owes_sync = member.joining.is_some();
            if let Some(ticket) = member.joining.take() {
                member.session_deadline = now + member.session_timeout;
                waiting.push((member.id.clone(), ticket));
            }
        }
        for (member_id, ticket) in waiting {
            let joined = self.joined(&member_id);
            self.answers.push_back((ticket, Answer::Join(Ok(joined))));
        }
    }

    /// This generation, as a member sees it.
    fn joined(&self, member_id: &str) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let leads = self.leader.as_deref() == Some(member_id);
        let members = self.members.values().filter(|_| leads).map(|member| {
            let metadata = member.metadata(&protocol).cloned().unwrap_or_default();
            (member.id.clone(), member.instance_id.clone(), metadata)
        });
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            members: members.collect(),
            skip_assignment: false,
            protocol,
        }
    }

    /// Every member votes for the first of its protocols that all speak.
    fn choose_protocol(&self) -> Option<String> {
        let spoken_by_all = |protocol: &str| self.members.values().all(|member| member.speaks(protocol));
        let vote = |member: &Member| {
            let names = member.protocols.iter().map(|(name, _)| name);
            names.into_iter().find(|name| spoken_by_all(name)).cloned()
        };
        let votes: Vec<String> = self.members.values().filter_map(vote).collect();
        let count = |name: &String| votes.iter().filter(|vote| *vote == name).count();
        votes.iter().max_by_key(|name| count(name)).cloned()
    }
}

/// Why a join is refused, and under which member id to try again, if another.
struct Refused {
    error: ResponseError,
    member_id: Option<String>,
}

impl From<ResponseError> for Refused {
    fn from(error: ResponseError) -> Self {
        Self { error, member_id: None }
    }
}
