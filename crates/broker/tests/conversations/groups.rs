//! Members share a group and its offsets.

use bytes::Bytes;
use kstreams_wire::membership::Subscription;
use kstreams_wire::messages::join_group_request::JoinGroupRequestProtocol;
use kstreams_wire::messages::leave_group_request::MemberIdentity;
use kstreams_wire::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kstreams_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kstreams_wire::messages::offset_fetch_response::OffsetFetchResponsePartitions;
use kstreams_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use kstreams_wire::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest, StrBytes,
    SyncGroupRequest,
};

use crate::client::*;

const JOIN: i16 = 9;
const SYNC: i16 = 5;

pub(crate) fn group() -> GroupId {
    GroupId(text("g"))
}

/// Real Kafka looks into the metadata of groups of consumers; our broker takes any.
fn subscription() -> Bytes {
    let subscription = Subscription {
        topics: vec!["t".into()],
        user_data: Some(Bytes::from("anything")),
        ..Subscription::default()
    };
    subscription.encode()
}

fn join(member_id: &StrBytes) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("stream"))
        .with_metadata(subscription());
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(30_000)
        .with_member_id(member_id.clone())
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// The id that a newcomer is told to come back with.
fn new_member(client: &mut Client) -> StrBytes {
    let told = client.ask(&join(&StrBytes::new()), JOIN);
    assert_eq!(told.error_code, 79);
    told.member_id
}

fn sync(joined: &JoinGroupResponse, assignments: &[(&StrBytes, &'static str)]) -> SyncGroupRequest {
    let assignments = assignments.iter().map(|(member_id, assignment)| {
        let entry = SyncGroupRequestAssignment::default().with_member_id((*member_id).clone());
        entry.with_assignment(Bytes::from(*assignment))
    });
    SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("stream")))
        .with_assignments(assignments.collect())
}

pub(crate) fn commit(generation: i32, member_id: &StrBytes, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let partition = partition
        .with_committed_leader_epoch(0)
        .with_committed_metadata(Some(text("AgAAAAA=")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(member_id.clone())
        .with_topics(vec![topic])
}

pub(crate) fn committed(client: &mut Client) -> (i64, String) {
    let partition = committed_partition(client);
    (partition.committed_offset, partition.metadata.unwrap().to_string())
}

/// What the group has committed, if no transaction is about to change it.
pub(crate) fn committed_partition(client: &mut Client) -> OffsetFetchResponsePartitions {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(name("t"))
        .with_partition_indexes(vec![0]);
    let wanted = OffsetFetchRequestGroup::default()
        .with_group_id(group())
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default()
        .with_groups(vec![wanted])
        .with_require_stable(true);
    client.ask(&request, 9).groups[0].topics[0].partitions[0].clone()
}

/// Joins as the only member; gives its id. The generation is the first.
pub(crate) fn join_alone(client: &mut Client) -> StrBytes {
    let member = new_member(client);
    let joined = client.ask(&join(&member), JOIN);
    assert_eq!(client.ask(&sync(&joined, &[(&member, "all")]), SYNC).assignment, "all");
    member
}

pub(crate) fn heartbeat(client: &mut Client, member_id: &StrBytes, generation: i32) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(member_id.clone());
    client.ask(&request.with_generation_id(generation), 4).error_code
}

#[test]
fn two_members_join_are_assigned_and_one_leaves() {
    let stage = stage_with("t", 2, &[]);
    let (mut first, mut second) = (Client::connect(&stage), Client::connect(&stage));
    let a = new_member(&mut first);
    let alone = first.ask(&join(&a), JOIN);
    assert_eq!((alone.error_code, alone.generation_id, &alone.leader), (0, 1, &a));
    assert_eq!(first.ask(&sync(&alone, &[(&a, "both")]), SYNC).assignment, "both");

    let b = new_member(&mut second);
    second.send(&join(&b), JOIN);
    while heartbeat(&mut first, &a, 1) != 27 {}
    let leader = first.ask(&join(&a), JOIN);
    let (_, follower) = second.receive::<JoinGroupRequest>(JOIN);
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
    assert_eq!(leader.members[0].metadata, subscription());
    second.send(&sync(&follower, &[]), SYNC);
    assert_eq!(
        first.ask(&sync(&leader, &[(&a, "one"), (&b, "two")]), SYNC).assignment,
        "one"
    );
    assert_eq!(second.receive::<SyncGroupRequest>(SYNC).1.assignment, "two");

    let described = first
        .ask(&DescribeGroupsRequest::default().with_groups(vec![group()]), 5)
        .groups
        .remove(0);
    assert_eq!((&*described.group_state, described.members.len()), ("Stable", 2));

    let member = MemberIdentity::default().with_member_id(b);
    let left = second.ask(
        &LeaveGroupRequest::default()
            .with_group_id(group())
            .with_members(vec![member]),
        5,
    );
    assert_eq!(left.members[0].error_code, 0);
    assert_eq!(heartbeat(&mut first, &a, 2), 27);
}

#[test]
fn offsets_keep_their_metadata() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    assert_eq!(committed(&mut client), (-1, String::new()));
    for (version, error) in [(8, 22), (9, 69)] {
        let stranger = client.ask(&commit(5, &text("nobody"), 3), version);
        assert_eq!(stranger.topics[0].partitions[0].error_code, error);
    }
    let alone = client.ask(&commit(-1, &StrBytes::new(), 3), 9);
    assert_eq!(alone.topics[0].partitions[0].error_code, 0);
    assert_eq!(committed(&mut client), (3, "AgAAAAA=".to_owned()));
    for version in 1..=7 {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(name("t"))
            .with_partition_indexes(vec![0, 1]);
        let request = OffsetFetchRequest::default()
            .with_group_id(group())
            .with_topics(Some(vec![topic]));
        let partitions = client.ask(&request, version).topics[0].partitions.clone();
        assert_eq!(
            (partitions[0].committed_offset, partitions[1].committed_offset),
            (3, -1)
        );
    }
}

#[test]
fn groups_are_listed_and_deleted_when_empty() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    client.ask(&commit(-1, &StrBytes::new(), 3), 9);
    let listed = |client: &mut Client| client.ask(&ListGroupsRequest::default(), 5).groups;
    assert_eq!(&*listed(&mut client)[0].group_state, "Empty");
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    let member = new_member(&mut client);
    client.ask(&join(&member), JOIN);
    assert_eq!(client.ask(&delete, 2).results[0].error_code, 68);
    let leaves = MemberIdentity::default().with_member_id(member);
    client.ask(
        &LeaveGroupRequest::default()
            .with_group_id(group())
            .with_members(vec![leaves]),
        5,
    );
    assert_eq!(client.ask(&delete, 2).results[0].error_code, 0);
    assert_eq!(client.ask(&delete, 2).results[0].error_code, 69);
    assert!(listed(&mut client).is_empty());
    assert_eq!(committed(&mut client).0, -1);
}

#[test]
fn the_coordinator_is_found() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    for version in 0..=6 {
        let keys = if version < 4 { Vec::new() } else { vec![text("g")] };
        let key = if version < 4 { text("g") } else { StrBytes::new() };
        let request = FindCoordinatorRequest::default()
            .with_key(key)
            .with_coordinator_keys(keys);
        let response = client.ask(&request, version);
        let port = response
            .coordinators
            .first()
            .map_or(response.port, |coordinator| coordinator.port);
        assert_eq!(port, i32::from(stage.addr().port()));
    }
}
