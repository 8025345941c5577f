//! The transactions of a producer, without brokers.

mod answers;
mod model;

use kstreams_wire::code::ErrorCode;

use super::machine::*;
use crate::error::Error;
use crate::produce::queue::Identity;

/// Producer 7 in this epoch.
fn at(epoch: i16) -> Identity {
    Identity { producer_id: 7, epoch }
}

fn ok(identity: Option<Identity>) -> Answer {
    Answer {
        code: ErrorCode::NONE,
        identity,
    }
}

fn refusal(code: ErrorCode) -> Answer {
    Answer { code, identity: None }
}

/// A machine that has its identity, in epoch 0.
fn ready(protocol: Protocol) -> Machine {
    let mut machine = Machine::new("id");
    machine.agree(protocol);
    machine.plan_begin();
    assert_eq!(machine.next(), Some(Ask::Begin(None)));
    machine.answered(ok(Some(at(0)))).expect("it was granted");
    machine
}

#[test]
fn the_second_protocol_asks_less_and_moves_the_epoch() {
    let mut machine = ready(Protocol::Two);
    machine.plan_offsets().expect("it is ready");
    assert_eq!(machine.next(), Some(Ask::CommitOffsets(at(0))));
    machine.answered(ok(None)).expect("they were kept");
    machine.plan_end(Outcome::Commit).expect("it is open");
    assert_eq!(machine.next(), Some(Ask::End(at(0), Outcome::Commit)));
    machine.answered(ok(Some(at(1)))).expect("it was committed");
    assert_eq!(
        (machine.next(), machine.identity(), machine.is_open()),
        (None, Some(at(1)), false)
    );
}

#[test]
fn the_first_protocol_adds_the_group_once_and_begins_anew_after_an_abort() {
    let mut machine = ready(Protocol::One);
    machine.plan_offsets().expect("it is ready");
    assert_eq!(machine.next(), Some(Ask::AddGroup(at(0))));
    machine.answered(ok(None)).expect("it was added");
    machine.answered(ok(None)).expect("they were kept");
    machine.plan_offsets().expect("it is open");
    assert_eq!(machine.next(), Some(Ask::CommitOffsets(at(0))));
    machine.plan_end(Outcome::Abort).expect("it is open");
    machine.answered(ok(None)).expect("it was aborted");
    assert_eq!(machine.next(), Some(Ask::Begin(Some(at(0)))));
    machine.answered(ok(Some(at(1)))).expect("it was granted");
    assert_eq!(machine.identity(), Some(at(1)));
}

#[test]
fn an_end_without_a_transaction_asks_nothing() {
    let mut machine = ready(Protocol::Two);
    machine.plan_end(Outcome::Commit).expect("there is nothing to end");
    assert_eq!(machine.next(), None);
}

#[test]
fn what_may_pass_is_asked_again() {
    let mut machine = ready(Protocol::Two);
    machine.open().expect("it is ready");
    machine.plan_end(Outcome::Commit).expect("it is open");
    let ask = machine.next();
    for (code, expected) in [
        (ErrorCode::CONCURRENT_TRANSACTIONS, Remedy::Wait),
        (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, Remedy::Wait),
        (ErrorCode::NOT_COORDINATOR, Remedy::FindCoordinator),
    ] {
        assert_eq!(machine.answered(refusal(code)).ok(), Some(expected));
        assert_eq!(machine.next(), ask);
    }
}

#[test]
fn a_fenced_producer_is_done_for_until_it_begins_anew() {
    let mut machine = ready(Protocol::Two);
    machine.open().expect("it is ready");
    machine.plan_end(Outcome::Commit).expect("it is open");
    let error = machine.answered(refusal(ErrorCode::PRODUCER_FENCED));
    assert!(matches!(error, Err(Error::Fenced { .. })));
    assert!(matches!(machine.plan_end(Outcome::Abort), Err(Error::Fenced { .. })));
    assert!(matches!(machine.open(), Err(Error::Fenced { .. })));
    machine.plan_begin();
    machine.answered(ok(Some(at(2)))).expect("it was granted");
    machine.open().expect("it is ready");
}

#[test]
fn a_doomed_transaction_can_only_be_aborted() {
    let mut machine = ready(Protocol::Two);
    machine.plan_offsets().expect("it is ready");
    let error = machine.answered(refusal(ErrorCode::ILLEGAL_GENERATION));
    assert!(matches!(error, Err(Error::NotMember { .. })));
    assert!(machine.plan_end(Outcome::Commit).is_err());
    machine.plan_end(Outcome::Abort).expect("an abort is allowed");
    machine.answered(ok(Some(at(1)))).expect("it was aborted");
    machine.open().expect("it is ready");
}

#[test]
fn whether_a_commit_arrived_is_not_known_when_time_runs_out() {
    let mut machine = ready(Protocol::Two);
    machine.open().expect("it is ready");
    machine.plan_end(Outcome::Commit).expect("it is open");
    machine.gave_up(Error::Closed);
    assert!(machine.is_open());
    assert!(matches!(
        machine.plan_end(Outcome::Abort),
        Err(Error::TransactionState { .. })
    ));
    machine.plan_begin();
    assert_eq!(
        machine.next(),
        Some(Ask::Begin(None)),
        "which waits for what is open to end"
    );
}
