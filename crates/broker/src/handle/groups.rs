//! Finds the coordinator of groups; lists, describes and deletes them.

use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    BrokerId, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, ListGroupsRequest, ListGroupsResponse,
};

use super::{Context, text};
use crate::coordinate::group::{Group, Phase};
use crate::node::{NODE_ID, Node};
use crate::refusal::Refusal;

/// Bits of the operations that everybody may do with a group.
const GROUP_OPERATIONS: i32 = 0b1_0100_1000;
const OPERATIONS_OMITTED: i32 = i32::MIN;
/// The kinds of coordinators.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// This broker coordinates all groups.
pub(super) fn find_coordinator(
    _: &Rc<Node>,
    context: &Context,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let refusal = (![GROUP, TRANSACTION].contains(&request.key_type)).then(|| {
        let message = "this broker coordinates groups and transactions only";
        Refusal::new(ResponseError::InvalidRequest, message)
    });
    let error = refusal.as_ref().map_or(0, |refusal| refusal.code.code());
    let message = refusal.map(|refusal| text(refusal.message));
    let host = text(context.local.ip().to_string());
    let port = i32::from(context.local.port());
    if context.version < 4 {
        return FindCoordinatorResponse::default()
            .with_error_code(error)
            .with_error_message(message)
            .with_node_id(BrokerId(NODE_ID))
            .with_host(host)
            .with_port(port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_error_code(error)
            .with_error_message(message.clone())
            .with_node_id(BrokerId(NODE_ID))
            .with_host(host.clone())
            .with_port(port)
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}

/// All groups: those with members, and those of which only offsets are left.
pub(super) fn list(node: &Rc<Node>, _: &Context, request: ListGroupsRequest) -> ListGroupsResponse {
    let groups = node.groups.borrow();
    let offsets = node.offsets.borrow();
    let ids: BTreeSet<&str> = groups.iter().map(|(id, _)| id).chain(offsets.groups()).collect();
    let listed = ids.into_iter().map(|id| {
        let group = groups.find(id);
        ListedGroup::default()
            .with_group_id(GroupId(text(id)))
            .with_protocol_type(text(group.map_or("", Group::protocol_type)))
            .with_group_state(text(group.map_or(Phase::Empty, Group::phase).name()))
            .with_group_type(text("classic"))
    });
    let any_of = |filter: &[kafka_protocol::protocol::StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let listed = listed.filter(|group| {
        any_of(&request.states_filter, &group.group_state) && any_of(&request.types_filter, &group.group_type)
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

/// Members of groups and their assignments.
pub(super) fn describe(node: &Rc<Node>, context: &Context, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let groups = node.groups.borrow();
    let offsets = node.offsets.borrow();
    let operations = request.include_authorized_operations && context.version >= 3;
    let described = request.groups.into_iter().map(|id| {
        let group = DescribedGroup::default().with_authorized_operations(if operations {
            GROUP_OPERATIONS
        } else {
            OPERATIONS_OMITTED
        });
        let group = match groups.find(&id) {
            Some(found) => describe_one(group, found),
            None if offsets.has_group(&id) => group.with_group_state(text(Phase::Empty.name())),
            // From version 6 on an unknown group is an error; before, it is dead.
            None if context.version >= 6 => group
                .with_error_code(ResponseError::GroupIdNotFound.code())
                .with_error_message(Some(text(format!("Group {} not found.", &**id))))
                .with_group_state(text("Dead")),
            None => group.with_group_state(text("Dead")),
        };
        group.with_group_id(id)
    });
    DescribeGroupsResponse::default().with_groups(described.collect())
}

fn describe_one(described: DescribedGroup, group: &Group) -> DescribedGroup {
    let stable = group.phase() == Phase::Stable;
    let protocol = group.protocol().filter(|_| stable).unwrap_or_default();
    let members = group.members().map(|member| {
        let metadata = member.metadata(protocol).cloned().unwrap_or_default();
        DescribedGroupMember::default()
            .with_member_id(text(&*member.id))
            .with_group_instance_id(member.instance_id.as_deref().map(text))
            .with_client_id(text(&*member.client_id))
            .with_client_host(text(&*member.client_host))
            .with_member_metadata(metadata)
            .with_member_assignment(if stable {
                member.assignment.clone()
            } else {
                Bytes::new()
            })
    });
    described
        .with_group_state(text(group.phase().name()))
        .with_protocol_type(text(group.protocol_type()))
        .with_protocol_data(text(protocol))
        .with_members(members.collect())
}

/// Forgets groups without members, and what they have committed.
pub(super) fn delete(node: &Rc<Node>, _: &Context, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|id| {
        let error = delete_one(node, &id).map_or_else(|error| error.code(), |()| 0);
        DeletableGroupResult::default().with_group_id(id).with_error_code(error)
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}

fn delete_one(node: &Node, id: &str) -> Result<(), ResponseError> {
    let mut offsets = node.offsets.borrow_mut();
    match node.groups.borrow_mut().delete(id) {
        Err(ResponseError::GroupIdNotFound) if offsets.has_group(id) => {}
        other => other?,
    }
    offsets.forget_group(id).map_err(|error| Refusal::storage(error).code)
}
