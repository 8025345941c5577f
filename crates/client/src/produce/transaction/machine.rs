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
#[derive(Clone, Debug)]
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
            (Phase::Ready, _) | (Phase::New, Outcome::Abort) => return Ok(()),
            (Phase::New, Outcome::Commit) => return Err(self.misused("init_transactions must come first")),
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
            | ErrorCode::STALE_MEMBER_EPOCH => self.doomed(ask, Error::NotMember { group: id, code }),
            ErrorCode::TRANSACTION_ABORTABLE
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED => self.doomed(ask, Error::Abortable { id, what, code }),
            // The coordinator has aborted it, because it took longer than transaction.timeout.ms: it is not committed.
            ErrorCode::INVALID_TXN_STATE if !matches!(ask, Ask::End(_, Outcome::Abort)) => {
                self.doomed(ask, Error::Abortable { id, what, code })
            }
            ErrorCode::INVALID_TRANSACTION_TIMEOUT => self.fail(Error::Refused {
                what: format!("transaction.timeout.ms of transactional id {id}"),
                code,
            }),
            code => self.fail(Error::Refused {
                what: format!("{what} of transactional id {id}"),
                code,
            }),
        }
    }

    /// An abort makes up for it; where nothing has begun yet, there is nothing to abort.
    fn doomed(&mut self, ask: Ask, error: Error) -> Error {
        self.phase = match ask {
            Ask::Begin(_) => Phase::New,
            _ => Phase::Doomed(error.clone()),
        };
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
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR | ErrorCode::REQUEST_TIMED_OUT => {
            Some(Remedy::FindCoordinator)
        }
        ErrorCode::CONCURRENT_TRANSACTIONS => Some(Remedy::Wait),
        code if code.is_retriable() => Some(Remedy::Wait),
        _ => None,
    }
}
