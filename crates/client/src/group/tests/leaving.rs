//! Ends: closing, not polling, errors that no retry cures.

use super::*;

#[test]
fn fatal_errors_end_the_membership_and_name_group_and_code() {
    for code in [
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
        ErrorCode::FENCED_INSTANCE_ID,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        ErrorCode::INVALID_SESSION_TIMEOUT,
    ] {
        let mut world = World::named("one");
        world.until_join();
        world.answer(join_error(code));
        let error = world.failure();
        assert_eq!(error.code(), Some(code));
        assert!(error.to_string().contains("group g"), "{error}");
        world.wait(Duration::from_secs(1_000));
        assert!(world.try_send().is_none() && world.member.poll_deadline(world.now).is_none());
    }
}

#[test]
fn fenced_static_member_stops() {
    let mut world = World::named("one");
    world.reach(1, &[0]);
    let beat = world.heartbeat(ErrorCode::FENCED_INSTANCE_ID);
    let Request::Heartbeat(request) = beat.request else {
        panic!("no heartbeat")
    };
    assert_eq!(request.group_instance_id.as_deref(), Some("one"));
    assert_eq!(world.failure().code(), Some(ErrorCode::FENCED_INSTANCE_ID));
}

#[test]
fn member_of_another_protocol_is_refused() {
    let mut world = World::dynamic();
    world.until_join();
    let stranger = join(1, "m1", "m1").with_protocol_name(Some(text("range")));
    world.answer(Ok(Response::Join(stranger)));
    assert_eq!(world.failure().code(), Some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
}

#[test]
fn damaged_subscription_of_a_member_fails_the_leader() {
    let mut world = World::dynamic();
    world.until_join();
    let member = JoinGroupResponseMember::default()
        .with_member_id(text("m2"))
        .with_metadata(Bytes::from_static(b"x"));
    world.answer(Ok(Response::Join(join(1, "m1", "m1").with_members(vec![member]))));
    assert!(matches!(world.failure(), crate::Error::Wire(_)));
}

#[test]
fn application_that_does_not_poll_leaves_and_comes_back() {
    let mut world = World::stable();
    for _ in 0..100 {
        world.wait(Duration::from_secs(3));
        world.answer(Ok(Response::Heartbeat(ErrorCode::NONE)));
    }
    world.wait(Duration::from_millis(1));
    assert_eq!(world.event(), GroupEvent::Lost);
    assert!(world.member.is_away());
    let send = world.answer(Ok(Response::Left));
    let Request::Leave(leave) = send.request else {
        panic!("no leave")
    };
    assert_eq!(
        (&*leave.members[0].member_id, send.to),
        ("m1", Destination::Shared(NODE))
    );
    world.wait(Duration::from_secs(100));
    assert!(world.try_send().is_none() && world.member.poll_deadline(world.now).is_none());
    world.wait_polling(Duration::from_secs(1));
    world.until_join();
    assert_eq!(&*world.join_request().member_id, "");
}

#[test]
fn static_member_that_does_not_poll_falls_silent_without_leaving() {
    let mut world = World::named("one");
    world.reach(1, &[0]);
    world.wait(Duration::from_secs(301));
    assert_eq!(world.event(), GroupEvent::Lost);
    assert!(world.try_send().is_none());
}

#[test]
fn unanswered_question_counts_as_not_polling() {
    let mut world = World::dynamic();
    world.expect_joining();
    world.wait(Duration::from_secs(301));
    assert!(world.member.is_away());
    world.expect_quiet();
}

#[test]
fn leaving_says_goodbye_even_while_a_join_is_under_way() {
    let mut world = World::stable();
    world.member.request_rejoin("test");
    world.until_join();
    let join_sent = world.send();
    world.member.leave(Leave::default());
    let send = world.answer(Ok(Response::Left));
    assert!(matches!(send.request, Request::Leave(_)));
    assert_eq!(
        send.to,
        Destination::Shared(NODE),
        "the join still blocks the member's own connection"
    );
    assert!(matches!(world.member.poll_notice(), Some(Notice::Closed)));
    world
        .member
        .handle_response(join_sent.ticket, Ok(Response::Join(join(2, "m1", "m1"))), world.now);
    world.expect_quiet();
    assert!(world.try_send().is_none());
}

#[test]
fn static_member_stays_when_it_closes_unless_told_otherwise() {
    let mut world = World::named("one");
    world.reach(1, &[0]);
    world.member.leave(Leave::IfDynamic);
    assert!(matches!(world.member.poll_notice(), Some(Notice::Closed)));

    let mut world = World::named("one");
    world.reach(1, &[0]);
    world.member.leave(Leave::Always);
    let Request::Leave(leave) = world.answer(Ok(Response::Left)).request else {
        panic!("no leave")
    };
    assert_eq!(leave.members[0].group_instance_id.as_deref(), Some("one"));
    assert!(matches!(world.member.poll_notice(), Some(Notice::Closed)));
}

#[test]
fn closing_does_not_wait_for_a_coordinator_that_cannot_be_found() {
    let mut world = World::stable();
    world.heartbeat(ErrorCode::NOT_COORDINATOR);
    world.member.leave(Leave::default());
    world.wait_polling(Duration::from_millis(100));
    world.answer(Err(Failure::Unreachable));
    assert!(matches!(world.member.poll_notice(), Some(Notice::Closed)));
}

#[test]
fn never_joined_member_leaves_at_once() {
    let mut world = World::dynamic();
    world.expect_joining();
    world.member.leave(Leave::default());
    assert!(matches!(world.member.poll_notice(), Some(Notice::Closed)));
}
