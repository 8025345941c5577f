//! A producer's transactions as a state machine: says what to ask next, and is told what came back. No I/O, no clock.
//!
//! In version 1 of the protocol (KIP-98) partitions and groups are made part of a transaction by requests of their own,
//! and epochs change when a producer begins anew. In version 2 (KIP-890) writing is enough, and every end of a
//! transaction begins another epoch.

use std::collections::VecDeque;

use kstreams_wire::code::ErrorCode;

use super::super::queue::Identity;
use crate::error::{Error, Result};

/// Which version of the protocol the brokers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    One,
    Two,
}

/// How a transaction is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Commit,
    Abort,
}

/// What to ask the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// For an identity: a new one, or the next epoch of this one.
    Begin(Option<Identity>),
    /// To make the group part of the transaction.
    AddGroup(Identity),
    /// To keep offsets for the group until the transaction commits.
    CommitOffsets(Identity),
    /// To end the transaction.
    End(Identity, Outcome),
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: ErrorCode,
    /// Who the producer is from now on, if that was said.
    pub(crate) identity: Option<Identity>,
}

/// What to do before asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nothing: the next question follows.
    None,
    Wait,
    FindCoordinator,
}

/// What a producer's transactions have come to.
#[derive(Debug)]
pub(crate) struct Machine {
    id: String,
    protocol: Protocol,
    identity: Option<Identity>,
    phase: Phase,
    group_added: bool,
    asks: VecDeque<Ask>,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Nobody knows yet who this producer is.
    New,
    Ready,
    Open,
    /// It only can be aborted.
    Doomed(Error),
    /// Whether it ended is not known.
    Unknown,
    /// This producer is done for.
    Failed(Error),
}

impl Machine {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            protocol: Protocol::One,
            identity: None,
            phase: Phase::New,
            group_added: false,
            asks: VecDeque::new(),
        }
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The brokers were asked which version they speak.
    pub(crate) fn agree(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::New | Phase::Ready)
    }

    /// Something is written: the transaction is open from now on.
    pub(crate) fn open(&mut self) -> Result<()> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Ready => {
                self.phase = Phase::Open;
                self.group_added = false;
                Ok(())
            }
            Phase::New => Err(self.misused("init_transactions must come first")),
            Phase::Unknown => Err(self.misused("the end of its transaction is not known")),
            Phase::Doomed(error) | Phase::Failed(error) => Err(error.clone()),
        }
    }

    /// Begins as another producer, whatever was before.
    pub(crate) fn plan_begin(&mut self) {
        self.phase = Phase::New;
        self.identity = None;
        self.asks = VecDeque::from([Ask::Begin(None)]);
    }

    /// Keeps offsets until the transaction commits.
    pub(crate) fn plan_offsets(&mut self) -> Result<()> {
        self.open()?;
        let identity = self.known()?;
        self.asks.clear();
        if self.protocol == Protocol::One && !self.group_added {
            self.asks.push_back(Ask::AddGroup(identity));
        }
        self.asks.push_back(Ask::CommitOffsets(identity));
        Ok(())
    }

    /// Ends the transaction; nothing to ask if none is open.
    pub(crate) fn plan_end(&mut self, outcome: Outcome) -> Result<()> {
        self.asks.clear();
        match (&self.phase, outcome) {
            (Phase::New | Phase::Ready, _) => return Ok(()),
            (Phase::Open, _) | (Phase::Doomed(_), Outcome::Abort) => {}
            (Phase::Unknown, _) => return Err(self.misused("the end of its transaction is not known")),
            (Phase::Doomed(error) | Phase::Failed(error), _) => return Err(error.clone()),
        }
        let identity = self.known()?;
        self.asks.push_back(Ask::End(identity, outcome));
        // Records that are still on their way must not get into the next transaction: it has another epoch.
        if outcome == Outcome::Abort && self.protocol == Protocol::One {
            self.asks.push_back(Ask::Begin(Some(identity)));
        }
        Ok(())
    }

    /// What to ask now; nothing when all is done.
    pub(crate) fn next(&self) -> Option<Ask> {
        self.asks.front().copied()
    }

    /// What came back for [`Machine::next`].
    pub(crate) fn answered(&mut self, answer: Answer) -> Result<Remedy> {
        let Some(ask) = self.next() else {
            return Ok(Remedy::None);
        };
        if answer.code.is_ok() || self.had_nothing_to_abort(ask, answer.code) {
            self.done(ask, answer.identity);
            return Ok(Remedy::None);
        }
        match remedy(answer.code) {
            Some(remedy) => Ok(remedy),
            None => Err(self.refused(ask, answer.code)),
        }
    }

    /// Time ran out, or the coordinator cannot be asked at all.
    pub(crate) fn gave_up(&mut self, error: Error) -> Error {
        let ask = self.asks.front().copied();
        self.asks.clear();
        match ask {
            // The broker may have done what was asked.
            Some(Ask::End(..)) => self.phase = Phase::Unknown,
            Some(Ask::AddGroup(_) | Ask::CommitOffsets(_)) => self.phase = Phase::Doomed(error.clone()),
            Some(Ask::Begin(_)) => self.phase = Phase::New,
            None => {}
        }
        error
    }

    /// Records of the transaction were lost.
    pub(crate) fn doom(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Open) {
            self.phase = Phase::Doomed(error.clone());
        }
    }

    /// The coordinator of the first protocol knows no transaction until something is added to it.
    fn had_nothing_to_abort(&self, ask: Ask, code: ErrorCode) -> bool {
        let aborts = matches!(ask, Ask::End(_, Outcome::Abort));
        aborts && self.protocol == Protocol::One && code == ErrorCode::INVALID_TXN_STATE
    }

    fn done(&mut self, ask: Ask, identity: Option<Identity>) {
        self.asks.pop_front();
        self.identity = identity.or(self.identity);
        match ask {
            Ask::AddGroup(_) => self.group_added = true,
            Ask::CommitOffsets(_) => {}
            Ask::Begin(_) | Ask::End(..) => self.phase = Phase::Ready,
        }
    }

    fn refused(&mut self, ask: Ask, code: ErrorCode) -> Error {
        self.asks.clear();
        let (id, what) = (self.id.clone(), name(ask).to_owned());
        match code {
            code if is_fencing(code) => self.fail(Error::Fenced { id, code }),
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::FENCED_INSTANCE_ID
            | ErrorCode::STALE_MEMBER_EPOCH => self.doomed(Error::NotMember { group: id, code }),
            ErrorCode::TRANSACTION_ABORTABLE
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED => self.doomed(Error::Abortable { id, what, code }),
            code => self.fail(Error::Refused {
                what: format!("{what} of transactional id {id}"),
                code,
            }),
        }
    }

    fn doomed(&mut self, error: Error) -> Error {
        self.phase = Phase::Doomed(error.clone());
        error
    }

    fn fail(&mut self, error: Error) -> Error {
        self.phase = Phase::Failed(error.clone());
        error
    }

    fn known(&self) -> Result<Identity> {
        self.identity
            .ok_or_else(|| self.misused("init_transactions must come first"))
    }

    fn misused(&self, what: &'static str) -> Error {
        Error::TransactionState {
            id: self.id.clone(),
            what,
        }
    }
}

/// What is asked, for people.
pub(crate) fn name(ask: Ask) -> &'static str {
    match ask {
        Ask::Begin(_) => "producer id",
        Ask::AddGroup(_) => "adding the group",
        Ask::CommitOffsets(_) => "offsets",
        Ask::End(_, Outcome::Commit) => "commit",
        Ask::End(_, Outcome::Abort) => "abort",
    }
}

/// Whether somebody else writes under the transactional id by now.
pub(super) fn is_fencing(code: ErrorCode) -> bool {
    [
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        ErrorCode::TRANSACTION_COORDINATOR_FENCED,
    ]
    .contains(&code)
}

/// What helps, if asking again may.
pub(crate) fn remedy(code: ErrorCode) -> Option<Remedy> {
    match code {
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => Some(Remedy::FindCoordinator),
        ErrorCode::CONCURRENT_TRANSACTIONS => Some(Remedy::Wait),
        code if code.is_retriable() => Some(Remedy::Wait),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
