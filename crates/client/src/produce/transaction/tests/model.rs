//! Against a coordinator that loses questions and answers, moves, and gives up what takes too long: what a producer is
//! told of its transactions is what became of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What happens to one question.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    QuestionLost,
    AnswerLost,
    Busy(ErrorCode),
    /// The producer's patience ends before the question is asked, or after it was answered unheard.
    GaveUp,
    GaveUpUnheard,
    /// The coordinator aborts the transaction first, as if it took too long.
    Expired,
    /// Somebody else begins under the transactional id first.
    Usurped,
}

fn fate() -> impl Strategy<Value = Fate> {
    let busy = prop_oneof![
        Just(ErrorCode::NOT_COORDINATOR),
        Just(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        Just(ErrorCode::CONCURRENT_TRANSACTIONS),
    ];
    prop_oneof![
        8 => Just(Fate::Answered),
        2 => Just(Fate::QuestionLost),
        3 => Just(Fate::AnswerLost),
        2 => busy.prop_map(Fate::Busy),
        1 => Just(Fate::GaveUp),
        1 => Just(Fate::GaveUpUnheard),
        1 => Just(Fate::Expired),
        1 => Just(Fate::Usurped),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Empty,
    Ongoing,
    Complete(Outcome),
}

/// A transaction coordinator as KIP-98, KIP-360 and KIP-890 describe it.
struct Coordinator {
    protocol: Protocol,
    epoch: i16,
    /// Who may ask for the same once more: its epoch was the one before.
    previous: Option<i16>,
    state: State,
    /// How many transactions were committed.
    commits: usize,
}

impl Coordinator {
    fn handle(&mut self, ask: Ask) -> Answer {
        let said = match ask {
            Ask::Begin(None) => Ok(self.begin()),
            Ask::Begin(Some(known)) if known.epoch == self.epoch => Ok(self.begin()),
            Ask::Begin(Some(known)) if self.previous == Some(known.epoch) => Ok(Some(self.epoch)),
            Ask::Begin(Some(_)) => Err(ErrorCode::PRODUCER_FENCED),
            Ask::AddGroup(producer) => self.write(producer).map(|()| None),
            Ask::CommitOffsets(producer) => self.commit_offsets(producer).map(|()| None),
            Ask::End(producer, outcome) => self.end(producer, outcome),
        };
        match said {
            Ok(epoch) => ok(epoch.map(at)),
            Err(code) => refusal(code),
        }
    }

    fn begin(&mut self) -> Option<i16> {
        self.bump();
        self.state = State::Empty;
        Some(self.epoch)
    }

    /// Records, or with the first protocol what makes a partition part of the transaction.
    fn write(&mut self, producer: Identity) -> Result<(), ErrorCode> {
        if producer.epoch != self.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        self.state = State::Ongoing;
        Ok(())
    }

    fn commit_offsets(&mut self, producer: Identity) -> Result<(), ErrorCode> {
        match (self.protocol, self.state) {
            (Protocol::One, State::Empty | State::Complete(_)) => Err(ErrorCode::INVALID_TXN_STATE),
            _ => self.write(producer),
        }
    }

    fn end(&mut self, producer: Identity, outcome: Outcome) -> Result<Option<i16>, ErrorCode> {
        let asks_again = self.protocol == Protocol::Two && self.previous == Some(producer.epoch);
        if producer.epoch != self.epoch && !asks_again {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match (self.state, self.protocol) {
            (State::Complete(ended), Protocol::Two) if asks_again => match ended == outcome {
                true => return Ok(Some(self.epoch)),
                false => return Err(ErrorCode::INVALID_TXN_STATE),
            },
            (State::Complete(ended), Protocol::One) if ended == outcome => return Ok(None),
            (State::Ongoing, _) => {}
            (State::Empty | State::Complete(_), Protocol::Two) if outcome == Outcome::Abort => {}
            _ => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        self.commits += usize::from(outcome == Outcome::Commit);
        self.state = State::Complete(outcome);
        if self.protocol == Protocol::One {
            return Ok(None);
        }
        self.bump();
        Ok(Some(self.epoch))
    }

    fn expire(&mut self) {
        if self.state == State::Ongoing {
            self.bump();
            self.state = State::Complete(Outcome::Abort);
        }
    }

    /// Somebody else begins; whoever was before is nobody's predecessor any more.
    fn usurp(&mut self) {
        self.begin();
        self.bump();
        self.previous = None;
    }

    fn bump(&mut self) {
        self.previous = Some(self.epoch);
        self.epoch += 1;
    }
}

/// A producer, its coordinator, and what is yet to happen between them.
struct World {
    machine: Machine,
    coordinator: Coordinator,
    fates: Vec<Fate>,
}

impl World {
    /// Asks all that the machine wants asked, as the producer does.
    fn converse(&mut self) -> Result<(), Error> {
        let mut answers = 0;
        while let Some(ask) = self.machine.next() {
            let remedy = match self.fates.pop().unwrap_or(Fate::Answered) {
                Fate::QuestionLost => continue,
                Fate::AnswerLost => {
                    self.coordinator.handle(ask);
                    continue;
                }
                Fate::Busy(code) => self.machine.answered(refusal(code))?,
                Fate::GaveUp => return Err(self.machine.gave_up(Error::Closed)),
                Fate::GaveUpUnheard => {
                    self.coordinator.handle(ask);
                    return Err(self.machine.gave_up(Error::Closed));
                }
                Fate::Answered => self.ask(ask)?,
                Fate::Expired => {
                    self.coordinator.expire();
                    self.ask(ask)?
                }
                Fate::Usurped => {
                    self.coordinator.usurp();
                    self.ask(ask)?
                }
            };
            answers += usize::from(remedy == Remedy::None);
            assert!(answers <= 2, "no conversation has more than two questions");
        }
        Ok(())
    }

    fn ask(&mut self, ask: Ask) -> Result<Remedy, Error> {
        let answer = self.coordinator.handle(ask);
        self.machine.answered(answer)
    }

    /// Begins anew until it works.
    fn begin(&mut self) {
        loop {
            self.machine.plan_begin();
            if self.converse().is_ok() {
                break;
            }
        }
        assert_ne!(self.coordinator.state, State::Ongoing);
    }

    /// One transaction, with what its owner does about errors. Tells whether it is said to be committed.
    fn transact(&mut self, wants: Outcome, with_offsets: bool) -> Option<bool> {
        self.machine.open().unwrap();
        let written = self.coordinator.write(self.machine.identity().unwrap());
        if let Err(code) = written {
            let what = "produce".to_owned();
            self.machine.doom(&Error::Refused { what, code });
        }
        let mut done = Ok(());
        if with_offsets {
            done = self.machine.plan_offsets().and_then(|()| self.converse());
        }
        if wants == Outcome::Commit {
            done = done.and_then(|()| self.machine.plan_end(Outcome::Commit));
            done = done.and_then(|()| self.converse());
            if done.is_ok() {
                return Some(true);
            }
        }
        let is_unknown = matches!(done, Err(Error::Closed)) && self.machine.plan_end(Outcome::Abort).is_err();
        let aborted = self.machine.plan_end(Outcome::Abort).and_then(|()| self.converse());
        if aborted.is_err() {
            self.begin();
        }
        // Who was replaced in the middle of a commit cannot know either.
        let is_fenced = matches!(done, Err(Error::Fenced { .. }));
        (!is_unknown && !is_fenced).then_some(false)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_said_of_a_transaction_is_what_became_of_it(
        is_second in any::<bool>(),
        mut fates in vec(fate(), 0..40),
        transactions in vec((any::<bool>(), any::<bool>()), 1..12),
    ) {
        let protocol = if is_second { Protocol::Two } else { Protocol::One };
        // However bad it gets, at some time it is over.
        fates.insert(0, Fate::Answered);
        let mut machine = Machine::new("id");
        machine.agree(protocol);
        let coordinator = Coordinator { protocol, epoch: 0, previous: None, state: State::Empty, commits: 0 };
        let mut world = World { machine, coordinator, fates };
        world.begin();
        for (commit, with_offsets) in transactions {
            let before = world.coordinator.commits;
            let wants = if commit { Outcome::Commit } else { Outcome::Abort };
            let said = world.transact(wants, with_offsets);
            let committed = world.coordinator.commits - before;
            if let Some(said) = said {
                prop_assert_eq!(committed, usize::from(said));
            }
            prop_assert!(committed <= usize::from(commit));
            prop_assert!(!world.machine.is_open(), "the producer goes on");
            prop_assert_ne!(world.coordinator.state, State::Ongoing);
        }
    }
}
