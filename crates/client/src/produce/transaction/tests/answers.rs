//! What each answer of a coordinator means for each question.

use super::*;

/// What a refusal comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    /// The same is asked again, after this.
    Again(Remedy),
    /// An abort mends it.
    Abort,
    /// The group has gone on without the member; an abort mends it.
    NotMember,
    /// Somebody else writes under the id: only beginning anew helps.
    Fenced,
    /// Beginning anew may help, after somebody has looked at it.
    Fatal,
    /// There was nothing to abort: that is done.
    Done,
}

use Meaning::{Abort, Again, Done, Fatal, Fenced, NotMember};

/// A machine with this question to be asked next, in an open transaction unless it is the first question.
fn asking(protocol: Protocol, ask: Ask) -> Machine {
    let mut machine = ready(protocol);
    match ask {
        Ask::Begin(_) => machine.plan_begin(),
        Ask::AddGroup(_) => machine.plan_offsets().unwrap(),
        Ask::CommitOffsets(_) => {
            machine.plan_offsets().unwrap();
            if protocol == Protocol::One {
                machine.answered(ok(None)).unwrap();
            }
        }
        Ask::End(_, outcome) => {
            machine.open().unwrap();
            machine.plan_end(outcome).unwrap();
        }
    }
    assert_eq!(machine.next(), Some(ask));
    machine
}

const BEGIN: Ask = Ask::Begin(None);
const ADD_GROUP: Ask = Ask::AddGroup(FIRST);
const OFFSETS: Ask = Ask::CommitOffsets(FIRST);
const COMMIT: Ask = Ask::End(FIRST, Outcome::Commit);
const ABORT: Ask = Ask::End(FIRST, Outcome::Abort);
const FIRST: Identity = Identity {
    producer_id: 7,
    epoch: 0,
};

fn questions(protocol: Protocol) -> Vec<Ask> {
    match protocol {
        Protocol::One => vec![BEGIN, ADD_GROUP, OFFSETS, COMMIT, ABORT],
        Protocol::Two => vec![BEGIN, OFFSETS, COMMIT, ABORT],
    }
}

/// Gives the answer, and checks that the machine is then where the meaning puts it.
fn check(protocol: Protocol, ask: Ask, code: ErrorCode, expected: Meaning) {
    let mut machine = asking(protocol, ask);
    let answer = machine.answered(refusal(code));
    let what = format!("{protocol:?}, {ask:?}, {code}");
    let meaning = match &answer {
        Ok(Remedy::None) => Done,
        Ok(remedy) => Again(*remedy),
        Err(Error::Abortable { .. }) => Abort,
        Err(Error::NotMember { .. }) => NotMember,
        Err(Error::Fenced { .. }) => Fenced,
        Err(Error::Refused { .. }) => Fatal,
        Err(other) => panic!("{what}: {other}"),
    };
    assert_eq!(meaning, expected, "{what}");
    match meaning {
        Again(_) => assert_eq!(machine.next(), Some(ask), "{what}"),
        Done => assert_ne!(machine.next(), Some(ask), "{what}"),
        Abort | NotMember if ask == BEGIN => {
            assert!(machine.open().is_err(), "{what}");
            machine.plan_end(Outcome::Abort).unwrap();
            assert_eq!(machine.next(), None, "{what}: nothing has begun");
        }
        Abort | NotMember => {
            assert!(machine.open().is_err(), "{what}");
            assert!(machine.plan_end(Outcome::Commit).is_err(), "{what}");
            machine.plan_end(Outcome::Abort).unwrap();
            assert_eq!(machine.next(), Some(ABORT), "{what}");
        }
        Fenced | Fatal => {
            assert!(machine.open().is_err(), "{what}");
            assert!(machine.plan_end(Outcome::Commit).is_err(), "{what}");
            assert!(machine.plan_end(Outcome::Abort).is_err(), "{what}");
        }
    }
    machine.plan_begin();
    machine.answered(ok(Some(at(5)))).unwrap();
    machine.open().unwrap();
}

fn for_all(codes: &[ErrorCode], expected: Meaning) {
    for protocol in [Protocol::One, Protocol::Two] {
        for ask in questions(protocol) {
            for code in codes {
                check(protocol, ask, *code, expected);
            }
        }
    }
}

#[test]
fn what_may_pass_is_waited_for() {
    let codes = [
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::CONCURRENT_TRANSACTIONS,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ];
    for_all(&codes, Again(Remedy::Wait));
}

#[test]
fn a_coordinator_that_moved_is_looked_for() {
    let codes = [
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::REQUEST_TIMED_OUT,
    ];
    for_all(&codes, Again(Remedy::FindCoordinator));
}

#[test]
fn whoever_was_replaced_is_told_so() {
    let codes = [
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        ErrorCode::TRANSACTION_COORDINATOR_FENCED,
    ];
    for_all(&codes, Fenced);
}

#[test]
fn what_only_concerns_the_transaction_is_mended_by_an_abort() {
    let codes = [
        ErrorCode::TRANSACTION_ABORTABLE,
        ErrorCode::UNKNOWN_PRODUCER_ID,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ];
    for_all(&codes, Abort);
}

#[test]
fn a_member_that_is_none_any_more_commits_nothing() {
    let codes = [
        ErrorCode::ILLEGAL_GENERATION,
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::FENCED_INSTANCE_ID,
        ErrorCode::STALE_MEMBER_EPOCH,
    ];
    for protocol in [Protocol::One, Protocol::Two] {
        for code in codes {
            check(protocol, OFFSETS, code, NotMember);
        }
    }
}

#[test]
fn what_nobody_can_mend_is_fatal() {
    let codes = [
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode::UNSUPPORTED_VERSION,
        ErrorCode::INVALID_REQUEST,
        ErrorCode::OFFSET_METADATA_TOO_LARGE,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::INVALID_TRANSACTION_TIMEOUT,
        ErrorCode(9999),
    ];
    for_all(&codes, Fatal);
}

#[test]
fn a_timeout_that_is_too_long_is_called_by_its_setting() {
    let error = asking(Protocol::Two, BEGIN).answered(refusal(ErrorCode::INVALID_TRANSACTION_TIMEOUT));
    let text = error.unwrap_err().to_string();
    assert_eq!(
        text,
        "transaction.timeout.ms of transactional id id: INVALID_TRANSACTION_TIMEOUT"
    );
}

#[test]
fn a_transaction_that_the_coordinator_has_given_up_is_not_committed() {
    for protocol in [Protocol::One, Protocol::Two] {
        check(protocol, OFFSETS, ErrorCode::INVALID_TXN_STATE, Abort);
        check(protocol, COMMIT, ErrorCode::INVALID_TXN_STATE, Abort);
    }
    check(Protocol::One, ABORT, ErrorCode::INVALID_TXN_STATE, Done);
    check(Protocol::Two, ABORT, ErrorCode::INVALID_TXN_STATE, Fatal);
}

#[test]
fn when_time_runs_out_only_an_end_leaves_doubt() {
    for protocol in [Protocol::One, Protocol::Two] {
        for ask in questions(protocol) {
            let mut machine = asking(protocol, ask);
            machine.gave_up(Error::Closed);
            assert_eq!(machine.next(), None);
            assert!(machine.open().is_err());
            assert!(machine.plan_end(Outcome::Commit).is_err(), "{ask:?}");
            let abort = machine.plan_end(Outcome::Abort);
            assert_eq!(abort.is_err(), matches!(ask, Ask::End(..)), "{ask:?}");
            machine.plan_begin();
            assert_eq!(machine.next(), Some(BEGIN));
        }
    }
}
