//! The promises of a classic group, without sockets or a clock.

use super::*;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

fn join(member_id: &str, new_member_id: &str) -> Join {
    Join {
        member_id: member_id.to_owned(),
        instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from_static(b"topics"))],
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        new_member_id: new_member_id.to_owned(),
        newcomer: Newcomer::JoinsAtOnce,
        leader_may_skip: true,
    }
}

fn static_join(instance_id: &str, new_member_id: &str) -> Join {
    Join {
        instance_id: Some(instance_id.to_owned()),
        ..join("", new_member_id)
    }
}

fn identity(member_id: &str, generation: i32) -> Identity {
    Identity {
        member_id: member_id.to_owned(),
        instance_id: None,
        generation,
    }
}

fn sync(member_id: &str, generation: i32, assignments: &[(&str, &'static [u8])]) -> Sync {
    let assignments = assignments
        .iter()
        .map(|(id, bytes)| ((*id).to_owned(), Bytes::from_static(bytes)));
    Sync {
        identity: identity(member_id, generation),
        protocol_type: None,
        protocol: None,
        assignments: assignments.collect(),
    }
}

fn answers(group: &mut Group) -> BTreeMap<Ticket, Answer> {
    std::iter::from_fn(|| group.poll_answer()).collect()
}

fn joined(answer: Option<&Answer>) -> &Joined {
    match answer {
        Some(Answer::Join(Ok(joined))) => joined,
        other => panic!("not joined: {other:?}"),
    }
}

fn refused(answer: Option<&Answer>) -> (ResponseError, &str) {
    match answer {
        Some(Answer::Join(Err(refused))) => (refused.error, &refused.member_id),
        other => panic!("not refused: {other:?}"),
    }
}

fn assignment(answer: Option<&Answer>) -> &[u8] {
    match answer {
        Some(Answer::Sync(Ok(synced))) => &synced.assignment,
        other => panic!("not synced: {other:?}"),
    }
}

/// A stable group of members `a` (the leader) and `b`, in its second generation.
fn two_members(now: Instant) -> Group {
    let mut group = Group::new(Duration::ZERO);
    group.handle_join(now, join("", "a"), 1);
    group.handle_join(now, join("", "b"), 2);
    group.handle_join(now, join("a", ""), 3);
    let told = answers(&mut group);
    assert_eq!(joined(told.get(&3)).generation, 2);
    assert_eq!(joined(told.get(&3)).members.len(), 2);
    assert!(joined(told.get(&2)).members.is_empty());
    group.handle_sync(now, sync("b", 2, &[]), 4);
    assert!(answers(&mut group).is_empty());
    group.handle_sync(now, sync("a", 2, &[("a", b"1"), ("b", b"2")]), 5);
    let told = answers(&mut group);
    assert_eq!(assignment(told.get(&4)), b"2");
    assert_eq!(assignment(told.get(&5)), b"1");
    assert_eq!(group.phase(), Phase::Stable);
    group
}

#[test]
fn two_members_share_a_generation() {
    two_members(Instant::now());
}

#[test]
fn a_newcomer_is_told_its_id_first() {
    let now = Instant::now();
    let mut group = Group::new(Duration::ZERO);
    let first = Join {
        newcomer: Newcomer::ComesBack,
        ..join("", "a")
    };
    group.handle_join(now, first, 1);
    assert_eq!(
        refused(answers(&mut group).get(&1)),
        (ResponseError::MemberIdRequired, "a")
    );
    group.handle_join(now, join("a", ""), 2);
    assert_eq!(joined(answers(&mut group).get(&2)).member_id, "a");
    group.handle_join(now, join("stranger", ""), 3);
    assert_eq!(refused(answers(&mut group).get(&3)).0, ResponseError::UnknownMemberId);
}

#[test]
fn a_newcomer_calls_the_others_to_join() {
    let now = Instant::now();
    let mut group = two_members(now);
    group.handle_join(now, join("", "c"), 6);
    assert_eq!(
        group.handle_heartbeat(now, &identity("a", 2)),
        Err(ResponseError::RebalanceInProgress)
    );
    group.handle_join(now, join("b", ""), 7);
    assert!(answers(&mut group).is_empty());
    group.handle_join(now, join("a", ""), 8);
    let told = answers(&mut group);
    assert_eq!(told.len(), 3);
    assert_eq!(joined(told.get(&8)).members.len(), 3);
    assert_eq!(
        group.handle_heartbeat(now, &identity("a", 2)),
        Err(ResponseError::IllegalGeneration)
    );
    assert_eq!(group.handle_heartbeat(now, &identity("a", 3)), Ok(()));
}

#[test]
fn a_silent_member_is_out_after_its_session() {
    let now = Instant::now();
    let mut group = two_members(now);
    let later = now + SESSION / 2;
    group.handle_heartbeat(later, &identity("a", 2)).unwrap();
    let due = group.poll_timeout().unwrap();
    assert_eq!(due, now + SESSION);
    group.handle_timeout(due);
    assert_eq!(group.members().count(), 1);
    assert!(matches!(group.phase(), Phase::Joining { .. }));
    assert_eq!(
        group.handle_heartbeat(due, &identity("b", 2)),
        Err(ResponseError::UnknownMemberId)
    );
}

#[test]
fn a_member_that_does_not_rejoin_is_out_at_the_deadline() {
    let now = Instant::now();
    let mut group = two_members(now);
    group.handle_leave(now, "b", None).unwrap();
    group.handle_join(now, join("", "c"), 6);
    let mut beat = now;
    while beat < now + REBALANCE {
        assert_eq!(
            group.handle_heartbeat(beat, &identity("a", 2)),
            Err(ResponseError::RebalanceInProgress)
        );
        beat += SESSION / 2;
    }
    group.handle_timeout(now + REBALANCE);
    let told = answers(&mut group);
    assert_eq!(joined(told.get(&6)).leader, "c");
    assert_eq!(group.members().count(), 1);
}

#[test]
fn a_generation_whose_leader_never_assigns_is_begun_again() {
    let now = Instant::now();
    let mut group = Group::new(Duration::ZERO);
    group.handle_join(now, join("", "a"), 1);
    answers(&mut group);
    group
        .handle_heartbeat(now + REBALANCE - SESSION, &identity("a", 1))
        .unwrap();
    group.handle_timeout(now + REBALANCE);
    assert_eq!(group.phase(), Phase::Empty);
}

#[test]
fn a_follower_that_repeats_its_join_gets_the_same_generation() {
    let now = Instant::now();
    let mut group = two_members(now);
    group.handle_join(now, join("b", ""), 6);
    assert_eq!(joined(answers(&mut group).get(&6)).generation, 2);
    assert_eq!(group.phase(), Phase::Stable);
    let mut changed = join("b", "");
    changed.protocols[0].1 = Bytes::from_static(b"other topics");
    group.handle_join(now, changed, 7);
    assert!(matches!(group.phase(), Phase::Joining { .. }));
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let now = Instant::now();
    let mut group = Group::new(Duration::ZERO);
    group.handle_join(now, static_join("one", "a"), 1);
    group.handle_sync(now, sync("a", 1, &[("a", b"all")]), 2);
    answers(&mut group);
    group.handle_join(now, static_join("one", "a2"), 3);
    let told = answers(&mut group);
    assert_eq!(
        (joined(told.get(&3)).generation, joined(told.get(&3)).skip_assignment),
        (1, true)
    );
    group.handle_sync(now, sync("a2", 1, &[]), 4);
    assert_eq!(assignment(answers(&mut group).get(&4)), b"all");
    let fenced = Identity {
        instance_id: Some("one".to_owned()),
        ..identity("a", 1)
    };
    assert_eq!(
        group.handle_heartbeat(now, &fenced),
        Err(ResponseError::FencedInstanceId)
    );
}

#[test]
fn the_first_generation_waits_for_more_members() {
    let now = Instant::now();
    let delay = Duration::from_secs(3);
    let mut group = Group::new(delay);
    group.handle_join(now, join("", "a"), 1);
    group.handle_join(now + delay / 2, join("", "b"), 2);
    assert!(answers(&mut group).is_empty());
    assert_eq!(group.poll_timeout(), Some(now + delay / 2 + delay));
    group.handle_timeout(now + delay / 2 + delay);
    assert_eq!(answers(&mut group).len(), 2);
}

#[test]
fn members_without_a_common_protocol_are_refused() {
    let now = Instant::now();
    let mut group = two_members(now);
    let mut other = join("", "c");
    other.protocols[0].0 = "sticky".to_owned();
    group.handle_join(now, other, 6);
    assert_eq!(
        refused(answers(&mut group).get(&6)).0,
        ResponseError::InconsistentGroupProtocol
    );
}

#[test]
fn only_members_of_this_generation_commit() {
    let now = Instant::now();
    let mut group = two_members(now);
    assert_eq!(group.handle_commit(now, &identity("a", 2)), Ok(()));
    assert_eq!(
        group.handle_commit(now, &identity("a", 1)),
        Err(ResponseError::IllegalGeneration)
    );
    assert_eq!(
        group.handle_commit(now, &identity("", -1)),
        Err(ResponseError::UnknownMemberId)
    );
    group.handle_leave(now, "a", None).unwrap();
    assert_eq!(group.handle_commit(now, &identity("b", 2)), Ok(()));
    group.handle_leave(now, "b", None).unwrap();
    assert_eq!(group.phase(), Phase::Empty);
    assert_eq!(group.handle_commit(now, &identity("", -1)), Ok(()));
}

#[test]
fn a_generation_outlives_the_broker() {
    let now = Instant::now();
    let mut group = two_members(now);
    let snapshot = group.take_snapshot().unwrap();
    assert!(group.take_snapshot().is_none(), "nothing has changed since");
    let later = now + REBALANCE;
    let mut group = Group::from_bytes(snapshot.into(), Duration::ZERO, later).unwrap();
    assert_eq!(group.handle_heartbeat(later, &identity("a", 2)), Ok(()));
    assert_eq!(group.handle_commit(later, &identity("b", 2)), Ok(()));
    group.handle_sync(later, sync("b", 2, &[]), 1);
    assert_eq!(assignment(answers(&mut group).get(&1)), b"2");
    group.handle_timeout(later + SESSION);
    assert_eq!(group.phase(), Phase::Empty);
    assert!(Group::from_bytes(Bytes::from_static(b"torn"), Duration::ZERO, later).is_none());
}
