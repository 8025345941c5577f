//! Lets members of classic groups join, get their assignment, live and leave.

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Context, text};
use crate::coordinate::group::{Identity, Join, JoinRefused, Joined, Newcomer, Sync};
use crate::coordinate::groups::{joined, synced};
use crate::node::Node;

/// Answers when the group's next generation begins.
pub(super) async fn join(node: &Rc<Node>, context: &Context, request: JoinGroupRequest) -> JoinGroupResponse {
    if let Err(error) = check(node, &request) {
        let refused = JoinRefused {
            error,
            member_id: request.member_id.to_string(),
        };
        return join_refused(context, refused);
    }
    let group_id = request.group_id.to_string();
    let answer = node.groups.borrow_mut().join(&group_id, wish(context, request));
    match joined(answer).await {
        Ok(joined) => join_response(joined),
        Err(refused) => join_refused(context, refused),
    }
}

fn check(node: &Node, request: &JoinGroupRequest) -> Result<(), ResponseError> {
    if request.group_id.is_empty() {
        return Err(ResponseError::InvalidGroupId);
    }
    let session_timeout = milliseconds(request.session_timeout_ms);
    let allowed = node.config.group_session_timeout_min..=node.config.group_session_timeout_max;
    if request.session_timeout_ms < 0 || !allowed.contains(&session_timeout) {
        return Err(ResponseError::InvalidSessionTimeout);
    }
    Ok(())
}

fn wish(context: &Context, request: JoinGroupRequest) -> Join {
    // Version 0 has one time-out for both.
    let rebalance_timeout_ms = if context.version == 0 {
        request.session_timeout_ms
    } else {
        request.rebalance_timeout_ms
    };
    let prefix = match request.group_instance_id.as_deref() {
        Some(instance) => instance,
        None => context.client_id.as_str(),
    };
    let newcomer = if context.version >= 4 {
        Newcomer::ComesBack
    } else {
        Newcomer::JoinsAtOnce
    };
    let protocols = request.protocols.into_iter();
    Join {
        new_member_id: format!("{prefix}-{}", Uuid::new_v4()),
        member_id: request.member_id.to_string(),
        instance_id: owned(request.group_instance_id.as_ref()),
        client_id: context.client_id.clone(),
        client_host: format!("/{}", context.peer.ip()),
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols
            .map(|protocol| (protocol.name.to_string(), protocol.metadata))
            .collect(),
        session_timeout: milliseconds(request.session_timeout_ms),
        rebalance_timeout: milliseconds(rebalance_timeout_ms),
        newcomer,
        leader_may_skip: context.version >= 9,
    }
}

fn join_response(joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|(member_id, instance_id, metadata)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(member_id))
            .with_group_instance_id(instance_id.map(text))
            .with_metadata(metadata)
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(Some(text(joined.protocol_type)))
        .with_protocol_name(Some(text(joined.protocol)))
        .with_leader(text(joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(joined.member_id))
        .with_members(members.collect())
}

fn join_refused(context: &Context, refused: JoinRefused) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(refused.error.code())
        .with_generation_id(-1)
        // Versions before 7 cannot say null.
        .with_protocol_name((context.version < 7).then(StrBytes::new))
        .with_member_id(text(refused.member_id))
}

/// Answers when the leader has assigned.
pub(super) async fn sync(node: &Rc<Node>, _: &Context, request: SyncGroupRequest) -> SyncGroupResponse {
    let assignments = request.assignments.into_iter();
    let sync = Sync {
        identity: identity(
            &request.member_id,
            request.group_instance_id.as_ref(),
            request.generation_id,
        ),
        protocol_type: owned(request.protocol_type.as_ref()),
        protocol: owned(request.protocol_name.as_ref()),
        assignments: assignments
            .map(|entry| (entry.member_id.to_string(), entry.assignment))
            .collect(),
    };
    let answer = node.groups.borrow_mut().sync(&request.group_id, sync);
    match synced(answer).await {
        Ok(synced) => SyncGroupResponse::default()
            .with_protocol_type(Some(text(synced.protocol_type)))
            .with_protocol_name(Some(text(synced.protocol)))
            .with_assignment(synced.assignment),
        Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
    }
}

/// A member lives.
pub(super) fn heartbeat(node: &Rc<Node>, _: &Context, request: HeartbeatRequest) -> HeartbeatResponse {
    let identity = identity(
        &request.member_id,
        request.group_instance_id.as_ref(),
        request.generation_id,
    );
    let lives = node.groups.borrow_mut().heartbeat(&request.group_id, &identity);
    HeartbeatResponse::default().with_error_code(lives.map_or_else(|error| error.code(), |()| 0))
}

/// Members leave, or are sent away.
pub(super) fn leave(node: &Rc<Node>, context: &Context, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let mut groups = node.groups.borrow_mut();
    let mut leave = |member: &MemberIdentity| {
        let left = groups.leave(
            &request.group_id,
            &member.member_id,
            member.group_instance_id.as_deref(),
        );
        left.map_or_else(|error| error.code(), |()| 0)
    };
    if context.version < 3 {
        let error = leave(&MemberIdentity::default().with_member_id(request.member_id.clone()));
        return LeaveGroupResponse::default().with_error_code(error);
    }
    let members = request.members.iter().map(|member| {
        MemberResponse::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
            .with_error_code(leave(member))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

/// Who speaks, in the words of a request.
pub(super) fn identity(member_id: &str, instance_id: Option<&StrBytes>, generation: i32) -> Identity {
    Identity {
        member_id: member_id.to_owned(),
        instance_id: owned(instance_id),
        generation,
    }
}

fn owned(text: Option<&StrBytes>) -> Option<String> {
    text.map(|text| text.to_string())
}

fn milliseconds(ms: i32) -> Duration {
    Duration::from_millis(ms.try_into().unwrap_or(0))
}
