//! From a question to an assignment, and all that may come between.

use super::*;

#[test]
fn first_join_asks_the_application_and_takes_the_member_id_round() {
    let mut world = World::dynamic();
    world.until_join();
    let required = JoinGroupResponse::default()
        .with_error_code(ErrorCode::MEMBER_ID_REQUIRED.0)
        .with_member_id(text("m1"));
    let first = world.answer(Ok(Response::Join(required)));
    let Request::Join(first_join) = first.request else {
        panic!("a JoinGroup was expected")
    };
    assert_eq!((&*first_join.member_id, first.to), ("", Destination::Coordinator(NODE)));
    assert!(
        first.timeout > Duration::from_secs(300),
        "the coordinator may wait for the slowest member"
    );
    let second = world.join_request();
    assert_eq!(&*second.member_id, "m1");
    assert_eq!(
        (second.session_timeout_ms, second.rebalance_timeout_ms),
        (45_000, 300_000)
    );
    assert_eq!((&*second.protocol_type, second.protocols.len()), ("consumer", 1));
    assert_eq!(&*second.protocols[0].name, "stream");
    let subscription = Subscription::decode(&second.protocols[0].metadata).unwrap();
    assert_eq!(subscription.topics, [TopicName::new("t")]);
    assert_eq!(
        (subscription.user_data.as_deref(), subscription.generation),
        (Some(&b"user"[..]), None)
    );
    world.expect_quiet();
}

#[test]
fn follower_syncs_empty_handed_and_is_assigned() {
    let mut world = World::dynamic();
    world.until_synced(3);
    let sync = world.answer(synced(&[1, 0]));
    let Request::Sync(sync) = sync.request else {
        panic!("a SyncGroup was expected")
    };
    assert_eq!(
        (sync.generation_id, &*sync.member_id, sync.assignments.len()),
        (3, "m1", 0)
    );
    assert_eq!(world.assigned(3), (vec![0, 1], vec![0, 1], vec![]));
    assert_eq!(
        (world.member.metadata().generation, world.member.metadata().is_member()),
        (3, true)
    );
    world.member.acknowledge(tps(&[0, 1]));
    world.expect_quiet();
    assert!(world.try_send().is_none(), "nothing was revoked: no rejoin");
}

#[test]
fn leader_is_asked_and_its_answer_is_synced() {
    let mut world = World::dynamic();
    world.until_join();
    world.answer(Ok(Response::Join(lead(1, &["t", "u"]))));
    let GroupEvent::Lead { generation: 1, members } = world.event() else {
        panic!("no lead")
    };
    assert_eq!((members.len(), members[0].member_id.as_str()), (1, "m1"));
    assert_eq!(world.member.watched_topics().len(), 2);
    assert!(world.try_send().is_none());
    // Deciding may take its time: heartbeats go on.
    world.heartbeat(ErrorCode::NONE);
    let plan = Assignment {
        partitions: tps(&[0]),
        user_data: None,
    };
    world.member.assign_members(vec![("m1".to_owned(), plan.clone())]);
    let Request::Sync(sync) = world.answer(synced(&[0])).request else {
        panic!("no sync")
    };
    assert_eq!(sync.assignments[0].assignment, plan.encode());
    assert_eq!(world.assigned(1).0, [0]);
}

#[test]
fn member_rejoins_after_it_gave_up_what_was_revoked() {
    let mut world = World::stable();
    world.member.request_rejoin("test");
    world.until_synced(2);
    world.answer(synced(&[1]));
    assert_eq!(world.assigned(2), (vec![1], vec![], vec![0]));
    // Even a rebalance of others waits for the application to let go.
    world.heartbeat(ErrorCode::REBALANCE_IN_PROGRESS);
    world.expect_quiet();
    world.member.acknowledge(tps(&[1]));
    world.until_join();
    let request = world.join_request();
    let subscription = Subscription::decode(&request.protocols[0].metadata).unwrap();
    assert_eq!((subscription.owned, subscription.generation), (tps(&[1]), Some(2)));
    assert_eq!(request.reason.as_deref(), Some("gave up revoked partitions"));
}

#[test]
fn what_was_not_assigned_cannot_be_acknowledged() {
    let mut world = World::dynamic();
    world.until_synced(1);
    world.answer(synced(&[0]));
    world.assigned(1);
    world.member.acknowledge(tps(&[0, 5]));
    world.member.request_rejoin("test");
    world.until_join();
    let subscription = Subscription::decode(&world.join_request().protocols[0].metadata).unwrap();
    assert_eq!(subscription.owned, tps(&[0]));
}

#[test]
fn unknown_member_at_join_drops_the_id_and_asks_again_only_if_something_was_owned() {
    let mut world = World::dynamic();
    world.until_join();
    world.answer(join_error(ErrorCode::UNKNOWN_MEMBER_ID));
    world.expect_quiet();
    world.wait(Duration::from_secs(1));
    assert_eq!(&*world.join_request().member_id, "");

    let mut world = World::stable();
    world.member.request_rejoin("test");
    world.until_join();
    world.answer(join_error(ErrorCode::UNKNOWN_MEMBER_ID));
    world.expect_lost_and_joining();
}

#[test]
fn sync_errors_ask_again_and_say_when_the_generation_is_lost() {
    for (code, lost) in [
        (ErrorCode::REBALANCE_IN_PROGRESS, false),
        (ErrorCode::NOT_COORDINATOR, false),
        (ErrorCode::UNKNOWN_MEMBER_ID, true),
        (ErrorCode::ILLEGAL_GENERATION, true),
    ] {
        let mut world = World::dynamic();
        world.until_synced(1);
        world.answer(sync_error(code));
        if lost {
            assert_eq!(world.event(), GroupEvent::Lost, "{code}");
        }
        world.expect_joining();
        world.expect_quiet();
    }
}

#[test]
fn lost_answer_of_a_sync_finds_the_coordinator_and_joins_again() {
    let mut world = World::dynamic();
    world.until_synced(1);
    world.answer(Err(Failure::Unreachable));
    assert_eq!(world.member.coordinator(), None);
    world.expect_joining();
    world.member.subscribe(vec!["t".into()], Bytes::new());
    assert!(world.try_send().is_none(), "after a pause");
    world.wait(Duration::from_millis(100));
    world.answer(Ok(Response::Coordinator(8)));
    assert_eq!(world.send().to, Destination::Coordinator(8));
}

#[test]
fn pauses_grow_up_to_their_maximum_while_nobody_coordinates() {
    let mut world = World::dynamic();
    world.expect_joining();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        world.answer(Err(Failure::Refused(ErrorCode::COORDINATOR_NOT_AVAILABLE)));
        assert!(world.try_send().is_none());
        let until = world.member.poll_deadline(world.now).unwrap();
        pauses.push((until - world.now).as_millis());
        world.now = until;
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn loading_coordinator_is_asked_again_after_a_pause() {
    let mut world = World::dynamic();
    world.until_join();
    world.answer(join_error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    assert!(world.try_send().is_none());
    world.wait(Duration::from_millis(100));
    assert!(matches!(world.send().request, Request::Join(_)));
    assert_eq!(world.member.coordinator(), Some(NODE));
}

#[test]
fn rejoin_asked_for_during_a_rebalance_happens_after_it() {
    let mut world = World::dynamic();
    world.until_synced(1);
    world.member.request_rejoin("endpoint is missing");
    world.answer(synced(&[0]));
    world.assigned(1);
    world.expect_quiet();
    world.member.acknowledge(tps(&[0]));
    world.expect_joining();
}

#[test]
fn returning_static_leader_keeps_the_assignment() {
    let mut world = World::named("one");
    world.until_join();
    world.answer(Ok(Response::Join(lead(4, &["t"]).with_skip_assignment(true))));
    let Request::Sync(sync) = world.answer(synced(&[0, 1])).request else {
        panic!("no sync")
    };
    assert_eq!(
        (sync.assignments.len(), sync.group_instance_id.as_deref()),
        (0, Some("one"))
    );
    assert_eq!(world.assigned(4).0, [0, 1]);
    assert_eq!(world.member.watched_topics().len(), 1, "it still leads");
}

#[test]
fn answers_out_of_order_change_nothing() {
    let mut world = World::dynamic();
    world.member.assign_members(vec![]);
    world.member.acknowledge(tps(&[0]));
    world.until_synced(1);
    world.member.subscribe(vec!["x".into()], Bytes::new());
    world.member.assign_members(vec![]);
    world.answer(synced(&[0]));
    assert_eq!(world.assigned(1).0, [0]);
    world.member.acknowledge(tps(&[0]));
    world.member.acknowledge(tps(&[]));
    world.member.request_rejoin("test");
    world.until_join();
    let request = world.join_request();
    let subscription = Subscription::decode(&request.protocols[0].metadata).unwrap();
    assert_eq!(
        (subscription.topics, subscription.owned),
        (vec![TopicName::new("t")], tps(&[0]))
    );
}

#[test]
fn unassigned_member_may_get_no_bytes_at_all() {
    let mut world = World::dynamic();
    world.until_synced(1);
    world.answer(Ok(Response::Sync(SyncGroupResponse::default())));
    assert_eq!(world.assigned(1), (vec![], vec![], vec![]));
}
