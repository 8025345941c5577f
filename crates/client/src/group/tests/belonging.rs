//! Heartbeats, losses, moves of the coordinator, changes of topics.

use super::*;

#[test]
fn heartbeats_follow_their_interval_and_only_one_is_under_way() {
    let mut world = World::stable();
    world.wait_polling(Duration::from_millis(2_999));
    assert!(world.try_send().is_none());
    assert_eq!(
        world.member.poll_deadline(world.now),
        Some(world.now + Duration::from_millis(1))
    );
    world.wait_polling(Duration::from_millis(1));
    let send = world.send();
    let Request::Heartbeat(request) = &send.request else {
        panic!("no heartbeat")
    };
    assert_eq!((request.generation_id, &*request.member_id), (1, "m1"));
    world.wait_polling(Duration::from_secs(10));
    assert!(world.try_send().is_none());
}

#[test]
fn rebalance_keeps_what_is_owned_and_asks_for_a_fresh_subscription() {
    let mut world = World::stable();
    world.heartbeat(ErrorCode::REBALANCE_IN_PROGRESS);
    world.expect_joining();
    // The application takes its time; the member lives on.
    world.heartbeat(ErrorCode::REBALANCE_IN_PROGRESS);
    world.expect_quiet();
    world.member.subscribe(vec!["t".into()], Bytes::new());
    let send = world.send();
    let Request::Join(request) = &send.request else {
        panic!("no join")
    };
    let subscription = Subscription::decode(&request.protocols[0].metadata).unwrap();
    assert_eq!((subscription.owned, subscription.generation), (tps(&[0, 1]), Some(1)));
    world.wait_polling(Duration::from_secs(100));
    assert!(world.try_send().is_none(), "a waiting join is sign of life enough");
    let joined = Ok(Response::Join(join(2, "m1", "x")));
    world.member.handle_response(send.ticket, joined, world.now);
    world.answer(synced(&[1, 2]));
    assert_eq!(world.assigned(2), (vec![1, 2], vec![2], vec![0]));
}

#[test]
fn unknown_member_loses_everything_and_begins_anew() {
    let mut world = World::stable();
    world.heartbeat(ErrorCode::UNKNOWN_MEMBER_ID);
    world.expect_lost_and_joining();
    world.member.subscribe(vec!["t".into()], Bytes::new());
    let request = world.join_request();
    assert_eq!(&*request.member_id, "");
    let subscription = Subscription::decode(&request.protocols[0].metadata).unwrap();
    assert_eq!((subscription.owned, subscription.generation), (vec![], None));
}

#[test]
fn illegal_generation_loses_everything_but_the_member_id() {
    let mut world = World::stable();
    world.heartbeat(ErrorCode::ILLEGAL_GENERATION);
    world.expect_lost_and_joining();
    world.member.subscribe(vec!["t".into()], Bytes::new());
    assert_eq!(&*world.join_request().member_id, "m1");
}

#[test]
fn after_a_loss_everything_assigned_is_new() {
    let mut world = World::stable();
    world.heartbeat(ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.event(), GroupEvent::Lost);
    world.until_synced(2);
    world.answer(synced(&[0]));
    assert_eq!(world.assigned(2), (vec![0], vec![0], vec![]));
}

#[test]
fn coordinator_that_moves_is_found_again_without_losing_anything() {
    let mut world = World::stable();
    world.heartbeat(ErrorCode::NOT_COORDINATOR);
    world.expect_quiet();
    world.wait_polling(Duration::from_millis(100));
    assert_eq!(
        world.answer(Ok(Response::Coordinator(8))).request,
        Request::FindCoordinator
    );
    world.wait_polling(Duration::from_secs(3));
    let send = world.answer(Ok(Response::Heartbeat(ErrorCode::NONE)));
    assert_eq!(send.to, Destination::Coordinator(8));
    assert!(world.member.metadata().is_member());
}

#[test]
fn session_without_an_answer_makes_the_member_look_for_its_coordinator() {
    let mut world = World::stable();
    world.wait_polling(Duration::from_secs(3));
    let heartbeat = world.send();
    world
        .member
        .handle_response(heartbeat.ticket, Err(Failure::Unreachable), world.now);
    assert_eq!(world.member.coordinator(), None);
    world.expect_quiet();
    assert!(
        world.member.metadata().is_member(),
        "only the coordinator ends a membership"
    );

    let mut world = World::stable();
    world.wait_polling(Duration::from_secs(3));
    let _unanswered = world.send();
    world.wait_polling(Duration::from_secs(42));
    // The heartbeat went out at 3 s, the last answer came at 0 s: at 45 s the session is over.
    assert_eq!(world.member.coordinator(), None);
}

#[test]
fn refused_commit_of_the_present_generation_loses_the_membership() {
    let mut world = World::stable();
    world.member.handle_commit_refusal(0, ErrorCode::ILLEGAL_GENERATION);
    world.expect_quiet();
    world.member.handle_commit_refusal(1, ErrorCode::UNKNOWN_MEMBER_ID);
    world.expect_lost_and_joining();

    let mut world = World::stable();
    world.member.handle_commit_refusal(1, ErrorCode::REBALANCE_IN_PROGRESS);
    world.expect_joining();
    assert!(world.member.metadata().is_member());
}

fn counts(list: &[(&str, i32)]) -> BTreeMap<TopicName, i32> {
    list.iter()
        .map(|(topic, count)| (TopicName::new(topic), *count))
        .collect()
}

/// A leader that saw `before` when it was asked and `after` when it had decided to assign `t-0`.
fn leader(before: &[(&str, i32)], after: &[(&str, i32)]) -> World {
    let mut world = World::dynamic();
    world.until_join();
    world.answer(Ok(Response::Join(lead(1, &["t", "u", "v"]))));
    world.event();
    world.member.handle_topics(counts(before));
    world.member.handle_topics(counts(after));
    world.member.assign_members(vec![(
        "m1".to_owned(),
        Assignment {
            partitions: tps(&[0]),
            user_data: None,
        },
    )]);
    world.answer(synced(&[0]));
    world.assigned(1);
    world.member.acknowledge(tps(&[0]));
    world
}

#[test]
fn leader_notices_that_a_topic_grew_or_appeared() {
    let mut world = leader(&[("t", 2)], &[("t", 2)]);
    world.member.handle_topics(counts(&[("t", 2), ("other", 1)]));
    world.expect_quiet();
    world.member.handle_topics(counts(&[("t", 2), ("u", 1)]));
    world.expect_joining();
}

#[test]
fn topics_that_the_leader_created_are_no_news() {
    let mut world = leader(&[("u", 1)], &[("t", 2), ("u", 1)]);
    world.expect_quiet();
    world.member.handle_topics(counts(&[("t", 2), ("u", 1)]));
    world.expect_quiet();
}

#[test]
fn topics_that_appear_or_grow_while_the_leader_decides_are_noticed() {
    leader(&[("t", 2)], &[("t", 3)]).expect_joining();
    leader(&[("t", 2)], &[("t", 2), ("v", 1)]).expect_joining();
}

#[test]
fn answer_given_before_a_loss_was_known_does_not_count() {
    let mut world = World::stable();
    world.member.request_rejoin("test");
    world.expect_joining();
    world.heartbeat(ErrorCode::UNKNOWN_MEMBER_ID);
    world.expect_lost_and_joining();
    world.member.subscribe(vec!["t".into()], Bytes::from_static(b"stale"));
    assert!(world.try_send().is_none());
    world.member.subscribe(vec!["t".into()], Bytes::from_static(b"fresh"));
    let subscription = Subscription::decode(&world.join_request().protocols[0].metadata).unwrap();
    assert_eq!(subscription.user_data.as_deref(), Some(&b"fresh"[..]));
}
