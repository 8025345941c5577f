//! What handlers answer.

use super::DeadLetter;

/// What a handler decides: an outcome, and records to be sent before it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision<O> {
    /// What becomes of the record.
    pub outcome: O,
    /// Records to be sent before that; none when it is tried again.
    pub dead_letters: Vec<DeadLetter>,
}

impl<O> Decision<O> {
    const fn new(outcome: O) -> Self {
        Self {
            outcome,
            dead_letters: Vec::new(),
        }
    }

    /// Sends this record, too.
    pub fn with_dead_letter(mut self, dead_letter: DeadLetter) -> Self {
        self.dead_letters.push(dead_letter);
        self
    }
}

/// What becomes of a record that could not be read or processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The record is dropped and counted. What was forwarded before the failure stays.
    Resume,
    /// The task fails.
    Fail,
}

/// What a handler decides about a record that could not be read or processed.
pub type Response = Decision<Outcome>;

impl Response {
    /// The record is dropped, and processing goes on behind it.
    pub const fn resume() -> Self {
        Self::new(Outcome::Resume)
    }

    /// The task fails.
    pub const fn fail() -> Self {
        Self::new(Outcome::Fail)
    }
}

/// What becomes of a record that could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProductionOutcome {
    /// The record is dropped and counted.
    Resume,
    /// The task fails.
    Fail,
    /// It is tried again, which is a failure where that cannot help: [`ProductionFailure::retriable`] says so.
    ///
    /// [`ProductionFailure::retriable`]: super::ProductionFailure::retriable
    Retry,
}

/// What a handler decides about a record that could not be sent.
pub type ProductionResponse = Decision<ProductionOutcome>;

impl ProductionResponse {
    /// The record is dropped, and processing goes on.
    pub const fn resume() -> Self {
        Self::new(ProductionOutcome::Resume)
    }

    /// The task fails.
    pub const fn fail() -> Self {
        Self::new(ProductionOutcome::Fail)
    }

    /// The record is tried again.
    pub const fn retry() -> Self {
        Self::new(ProductionOutcome::Retry)
    }
}

impl From<Response> for ProductionResponse {
    fn from(response: Response) -> Self {
        Self {
            outcome: match response.outcome {
                Outcome::Resume => ProductionOutcome::Resume,
                Outcome::Fail => ProductionOutcome::Fail,
            },
            dead_letters: response.dead_letters,
        }
    }
}
