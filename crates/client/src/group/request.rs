//! The requests of a member and their answers, as the membership machine gives and takes them.

use std::time::Duration;

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use kstreams_wire::code::ErrorCode;

use super::{GroupConfig, GroupMetadata};

/// Names one request, so that its answer is told from that of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// A request to be sent by the driver.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// To be given back with the answer.
    pub ticket: Ticket,
    /// Where to send it.
    pub to: Destination,
    /// How long to wait for the answer.
    pub timeout: Duration,
    /// What to send.
    pub request: Request,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Any broker that answers.
    Anyone,
    /// The coordinator with this node id, over a connection that only this member uses: a broker answers the requests
    /// of one connection one after the other, and a JoinGroup may wait for minutes.
    Coordinator(i32),
    /// The coordinator with this node id, over the connection that everyone uses.
    Shared(i32),
}

/// The requests of a member.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// Which node coordinates the group?
    FindCoordinator,
    /// Become a member, or take part in the next generation.
    Join(JoinGroupRequest),
    /// Fetch (or, as the leader, give) the assignment.
    Sync(SyncGroupRequest),
    /// Still alive.
    Heartbeat(HeartbeatRequest),
    /// Leave the group.
    Leave(LeaveGroupRequest),
}

/// The answers, one for each kind of request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Response {
    /// The node id of the coordinator.
    Coordinator(i32),
    /// Answer of a JoinGroup.
    Join(JoinGroupResponse),
    /// Answer of a SyncGroup.
    Sync(SyncGroupResponse),
    /// Answer of a heartbeat: its error code.
    Heartbeat(ErrorCode),
    /// Answer of a LeaveGroup.
    Left,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The connection broke, or the time is up. It may help to ask again, perhaps elsewhere.
    Unreachable,
    /// The broker refused (FindCoordinator), or cannot speak our version of the request.
    Refused(ErrorCode),
}

/// Builds the requests of one member; everything in it is constant for a generation.
pub(super) struct Requests<'a> {
    pub(super) config: &'a GroupConfig,
    pub(super) member: &'a GroupMetadata,
}

impl Requests<'_> {
    pub(super) fn join(&self, subscription: bytes::Bytes, reason: &str) -> Request {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text(&self.config.protocol))
            .with_metadata(subscription);
        Request::Join(
            JoinGroupRequest::default()
                .with_group_id(self.group())
                .with_session_timeout_ms(millis(self.config.session_timeout))
                .with_rebalance_timeout_ms(millis(self.config.poll_interval_max))
                .with_member_id(text(&self.member.member_id))
                .with_group_instance_id(self.instance())
                .with_protocol_type(StrBytes::from_static_str(super::PROTOCOL_TYPE))
                .with_protocols(vec![protocol])
                .with_reason(Some(text(reason))),
        )
    }

    pub(super) fn sync(&self, assignments: &[(String, bytes::Bytes)]) -> Request {
        let assignments = assignments
            .iter()
            .map(|(member, bytes)| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(text(member))
                    .with_assignment(bytes.clone())
            })
            .collect();
        Request::Sync(
            SyncGroupRequest::default()
                .with_group_id(self.group())
                .with_generation_id(self.member.generation)
                .with_member_id(text(&self.member.member_id))
                .with_group_instance_id(self.instance())
                .with_protocol_type(Some(StrBytes::from_static_str(super::PROTOCOL_TYPE)))
                .with_protocol_name(Some(text(&self.config.protocol)))
                .with_assignments(assignments),
        )
    }

    pub(super) fn heartbeat(&self) -> Request {
        Request::Heartbeat(
            HeartbeatRequest::default()
                .with_group_id(self.group())
                .with_generation_id(self.member.generation)
                .with_member_id(text(&self.member.member_id))
                .with_group_instance_id(self.instance()),
        )
    }

    pub(super) fn leave(&self, reason: &str) -> Request {
        let member = MemberIdentity::default()
            .with_member_id(text(&self.member.member_id))
            .with_group_instance_id(self.instance())
            .with_reason(Some(text(reason)));
        Request::Leave(
            LeaveGroupRequest::default()
                .with_group_id(self.group())
                .with_members(vec![member]),
        )
    }

    fn group(&self) -> GroupId {
        GroupId(text(&self.config.group_id))
    }

    fn instance(&self) -> Option<StrBytes> {
        self.config.instance_id.as_deref().map(text)
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
