//! How a generation's assignment gets from its leader to all members.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::time::Instant;

use super::{Answer, Group, Identity, Phase, Synced, Ticket};

/// A member asks for its assignment; the leader's brings all.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    pub(crate) identity: Identity,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: BTreeMap<String, Bytes>,
}

impl Group {
    /// A member asks for its assignment. The answer may have to wait for the leader.
    pub(crate) fn handle_sync(&mut self, now: Instant, sync: Sync, ticket: Ticket) {
        if let Err(error) = self.take_sync(now, sync, ticket) {
            self.answers.push_back((ticket, Answer::Sync(Err(error))));
        }
    }

    fn take_sync(&mut self, now: Instant, sync: Sync, ticket: Ticket) -> Result<(), ResponseError> {
        self.member(&sync.identity)?;
        let other_type = sync.protocol_type.is_some_and(|name| name != self.protocol_type);
        let other_protocol = sync.protocol.is_some_and(|name| Some(name) != self.protocol);
        if other_type || other_protocol {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let member = self.member(&sync.identity)?;
        member.session_deadline = now + member.session_timeout;
        member.owes_sync = false;
        match self.phase {
            Phase::Empty => Err(ResponseError::UnknownMemberId),
            Phase::Joining { .. } => Err(ResponseError::RebalanceInProgress),
            Phase::Stable => {
                self.answer_sync(now, &sync.identity.member_id, ticket);
                Ok(())
            }
            Phase::Syncing { .. } => {
                let before = self.member(&sync.identity)?.syncing.replace(ticket);
                if let Some(before) = before {
                    let error = Err(ResponseError::RebalanceInProgress);
                    self.answers.push_back((before, Answer::Sync(error)));
                }
                if self.leader.as_ref() == Some(&sync.identity.member_id) {
                    self.assign(now, sync.assignments);
                }
                Ok(())
            }
        }
    }

    /// The leader has decided. Who is not mentioned gets nothing.
    fn assign(&mut self, now: Instant, mut assignments: BTreeMap<String, Bytes>) {
        let mut waiting = Vec::new();
        for member in self.members.values_mut() {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
            waiting.extend(member.syncing.take().map(|ticket| (member.id.clone(), ticket)));
        }
        self.phase = Phase::Stable;
        self.is_news = true;
        for (member_id, ticket) in waiting {
            self.answer_sync(now, &member_id, ticket);
        }
    }

    fn answer_sync(&mut self, now: Instant, member_id: &str, ticket: Ticket) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        member.session_deadline = now + member.session_timeout;
        let synced = Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment: member.assignment.clone(),
        };
        self.answers.push_back((ticket, Answer::Sync(Ok(synced))));
    }

    /// Those who wait for an assignment that will not come must join again.
    pub(super) fn refuse_syncing(&mut self) {
        for member in self.members.values_mut() {
            if let Some(ticket) = member.syncing.take() {
                let error = Err(ResponseError::RebalanceInProgress);
                self.answers.push_back((ticket, Answer::Sync(error)));
            }
        }
    }

    /// Sends away those who have joined but never asked for their assignment.
    pub(super) fn drop_unsynced(&mut self, now: Instant) {
        let lost = self.members.values().filter(|member| member.owes_sync);
        for member_id in lost.map(|member| member.id.clone()).collect::<Vec<_>>() {
            tracing::info!(member = member_id, "member did not ask for its assignment in time");
            self.forget(&member_id, ResponseError::UnknownMemberId);
        }
        self.rebalance(now);
    }
}
