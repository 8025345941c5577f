//! What the answers of the coordinator do to a membership.

use std::collections::BTreeSet;
use std::time::Instant;

use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use kstreams_wire::TopicPartition;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::membership::{Assignment, Subscription};
use tracing::{debug, info, warn};

use super::membership::{Coordinator, Goodbye, Handover, State};
use super::{Failure, GroupEvent, GroupMember, Membership, Notice, PROTOCOL_TYPE, Response, Ticket};
use crate::error::Error;

impl Membership {
    /// The answer to the request of that ticket, or why there is none.
    pub fn handle_response(&mut self, ticket: Ticket, response: Result<Response, Failure>, now: Instant) {
        if self.heartbeat_sent == Some(ticket) {
            self.heartbeat_sent = None;
            return self.handle_heartbeat(response, now);
        }
        if matches!(self.coordinator, Coordinator::Unknown { asked: Some(asked) } if asked == ticket) {
            return self.handle_coordinator(response, now);
        }
        match &mut self.state {
            State::Joining { sent } if *sent == Some(ticket) => {
                *sent = None;
                self.handle_join(response, now);
            }
            State::Syncing { sent, .. } if *sent == Some(ticket) => {
                *sent = None;
                self.handle_sync(response, now);
            }
            State::Away { goodbye } | State::Leaving { goodbye } => {
                // A coordinator that did not hear it notices by the end of the session.
                if matches!(goodbye, Goodbye::Sent(sent) if *sent == ticket) {
                    *goodbye = Goodbye::Said;
                    self.close_if_said();
                }
            }
            _ => debug!(group = %self.config.group_id, ?ticket, "answer to an earlier request ignored"),
        }
    }

    fn handle_coordinator(&mut self, response: Result<Response, Failure>, now: Instant) {
        self.coordinator = Coordinator::Unknown { asked: None };
        match response {
            Ok(Response::Coordinator(node)) => {
                info!(group = %self.config.group_id, node, "found the coordinator");
                self.coordinator = Coordinator::Known(node);
                self.heartbeat.renew(now);
            }
            Err(Failure::Refused(code)) if !code.is_retriable() => self.refused(code),
            _ => self.pause_for("the group coordinator", now),
        }
        if let (State::Leaving { goodbye }, Coordinator::Unknown { .. }) = (&mut self.state, &self.coordinator) {
            // Nobody to say goodbye to: closing must not wait for a broker that is down.
            *goodbye = Goodbye::Said;
            self.close_if_said();
        }
    }

    fn handle_join(&mut self, response: Result<Response, Failure>, now: Instant) {
        let response = match response {
            Ok(Response::Join(response)) => response,
            Err(Failure::Refused(code)) => return self.refused(code),
            _ => return self.search_coordinator("the answer to JoinGroup", now),
        };
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => self.joined(response, now),
            ErrorCode::MEMBER_ID_REQUIRED => self.member.member_id = response.member_id.to_string(),
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS | ErrorCode::REBALANCE_IN_PROGRESS => {
                self.pause_for("the group's turn to join", now);
            }
            ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => {
                self.search_coordinator("the group coordinator", now);
            }
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.member.member_id.clear();
                self.pause.failed(now);
                self.dropped("JoinGroup", ErrorCode::UNKNOWN_MEMBER_ID);
            }
            code => self.refused(code),
        }
    }

    fn joined(&mut self, response: JoinGroupResponse, now: Instant) {
        let (kind, name) = (response.protocol_type.as_deref(), response.protocol_name.as_deref());
        if kind.is_some_and(|kind| kind != PROTOCOL_TYPE) || name.is_some_and(|name| name != self.config.protocol) {
            return self.refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        self.pause.succeeded();
        self.heartbeat.heard(now);
        self.member.member_id = response.member_id.to_string();
        self.member.generation = response.generation_id;
        info!(
            group = %self.config.group_id, member = %self.member.member_id, generation = response.generation_id,
            leader = response.leader == response.member_id, "joined"
        );
        if response.generation_id < self.newest_generation {
            warn!(
                group = %self.config.group_id, from = self.newest_generation, to = response.generation_id,
                "the group's generation went back: its coordinator forgot the later ones, and may have forgotten offsets, too"
            );
        }
        self.newest_generation = response.generation_id;
        if response.leader != response.member_id {
            self.state = State::Syncing {
                assignments: Vec::new(),
                sent: None,
            };
            return;
        }
        let members = match members(&response) {
            Ok(members) => members,
            Err(error) => return self.fail(error),
        };
        self.watch.topics = members
            .iter()
            .flat_map(|member| member.subscription.topics.iter().cloned())
            .collect();
        if response.skip_assignment {
            // A static leader is back: the coordinator keeps the assignment that it has.
            self.state = State::Syncing {
                assignments: Vec::new(),
                sent: None,
            };
            return;
        }
        self.state = State::Leading;
        let generation = response.generation_id;
        self.notices
            .push_back(Notice::Event(GroupEvent::Lead { generation, members }));
    }

    fn handle_sync(&mut self, response: Result<Response, Failure>, now: Instant) {
        let response = match response {
            Ok(Response::Sync(response)) => response,
            Err(Failure::Refused(code)) => return self.refused(code),
            _ => {
                self.search_coordinator("the answer to SyncGroup", now);
                return self.ask("the assignment did not arrive");
            }
        };
        self.heartbeat.heard(now);
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => self.assigned(response),
            ErrorCode::REBALANCE_IN_PROGRESS => self.ask("another rebalance began before the assignment"),
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
                self.pause_for("the group coordinator", now);
            }
            ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => {
                self.search_coordinator("the group coordinator", now);
                self.ask("the coordinator moved before the assignment");
            }
            code => self.handle_drop("SyncGroup", code),
        }
    }

    fn assigned(&mut self, response: SyncGroupResponse) {
        let (kind, name) = (response.protocol_type.as_deref(), response.protocol_name.as_deref());
        if kind.is_some_and(|kind| kind != PROTOCOL_TYPE) || name.is_some_and(|name| name != self.config.protocol) {
            return self.refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        // A member that the leader did not mention gets no bytes at all.
        let decoded = match response.assignment.is_empty() {
            true => Ok(Assignment::default()),
            false => Assignment::decode(&response.assignment),
        };
        let plan = match decoded {
            Ok(plan) => plan,
            Err(error) => return self.fail(error.into()),
        };
        self.pause.succeeded();
        let assigned: BTreeSet<TopicPartition> = plan.partitions.into_iter().collect();
        let added: Vec<_> = assigned.difference(&self.owned).cloned().collect();
        let revoked: Vec<_> = self.owned.difference(&assigned).cloned().collect();
        info!(
            group = %self.config.group_id, member = %self.member.member_id, generation = self.member.generation,
            assigned = assigned.len(), added = added.len(), revoked = revoked.len(), "assigned"
        );
        self.notices.push_back(Notice::Event(GroupEvent::Assigned {
            generation: self.member.generation,
            member: self.member.clone(),
            assigned: assigned.iter().cloned().collect(),
            added,
            user_data: plan.user_data.unwrap_or_default(),
            revoked: revoked.clone(),
        }));
        self.state = State::Stable {
            unacknowledged: Some(Handover {
                assigned,
                revokes: !revoked.is_empty(),
            }),
        };
    }

    fn handle_heartbeat(&mut self, response: Result<Response, Failure>, now: Instant) {
        let code = match response {
            Ok(Response::Heartbeat(code)) => code,
            Err(Failure::Refused(code)) => code,
            _ => return self.search_coordinator("the answer to a heartbeat", now),
        };
        match code {
            ErrorCode::NONE => {
                self.pause.succeeded();
                self.heartbeat.heard(now);
            }
            ErrorCode::REBALANCE_IN_PROGRESS => {
                self.heartbeat.heard(now);
                if let State::Stable { .. } = self.state {
                    self.rejoin = Some("the group is rebalancing");
                    self.rejoin_if_wanted();
                }
            }
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
                let pause = self.pause.failed(now);
                self.heartbeat.retry(now, pause);
            }
            ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => {
                self.search_coordinator("the group coordinator", now);
            }
            code => self.handle_drop("Heartbeat", code),
        }
    }

    /// A commit of `generation` was refused with `code`: if that generation is still ours, the group dropped us.
    pub fn handle_commit_refusal(&mut self, generation: i32, code: ErrorCode) {
        let stable = matches!(self.state, State::Stable { .. } | State::Asking);
        if !stable || generation < 0 || generation != self.member.generation {
            return;
        }
        match code {
            ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::GROUP_ID_NOT_FOUND
            | ErrorCode::FENCED_INSTANCE_ID => {
                self.handle_drop("OffsetCommit", code);
            }
            ErrorCode::REBALANCE_IN_PROGRESS if matches!(self.state, State::Stable { .. }) => {
                self.rejoin = Some("the group is rebalancing");
                self.rejoin_if_wanted();
            }
            _ => {}
        }
    }

    fn handle_drop(&mut self, api: &'static str, code: ErrorCode) {
        match code {
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::GROUP_ID_NOT_FOUND => self.member.member_id.clear(),
            ErrorCode::ILLEGAL_GENERATION => {}
            code => return self.refused(code),
        }
        self.dropped(api, code);
    }

    /// The coordinator does not count us into this generation any more: back to the beginning.
    fn dropped(&mut self, api: &'static str, code: ErrorCode) {
        let generation = self.member.generation;
        warn!(group = %self.config.group_id, generation, api, %code, "the group dropped this member, it rejoins");
        // The first join of a member may be told so too (its id expired): then the subscription is still good.
        if generation >= 0 {
            self.lose_generation();
            self.ask("was dropped from the group");
        }
    }

    fn search_coordinator(&mut self, missing: &str, now: Instant) {
        self.lose_coordinator(now);
        self.pause_for(missing, now);
    }

    fn pause_for(&mut self, missing: &str, now: Instant) {
        let pause_ms = self.pause.failed(now).as_millis();
        let group = &self.config.group_id;
        // The first time, and then about every ten seconds.
        if self.pause.failures() % 10 == 1 {
            warn!(%group, "waiting for {missing}");
        } else {
            debug!(%group, pause_ms, "waiting for {missing}");
        }
    }

    fn refused(&mut self, code: ErrorCode) {
        let what = format!(
            "membership of {:?} in group {}",
            self.member.member_id, self.config.group_id
        );
        self.fail(Error::Refused { what, code });
    }
}

fn members(response: &JoinGroupResponse) -> Result<Vec<GroupMember>, Error> {
    let mut members = Vec::with_capacity(response.members.len());
    for member in &response.members {
        members.push(GroupMember {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
            subscription: Subscription::decode(&member.metadata)?,
        });
    }
    members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    Ok(members)
}
