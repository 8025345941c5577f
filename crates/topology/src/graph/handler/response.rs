//! What handlers answer.

use super::DeadLetter;

/// What becomes of a record that could not be read or processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The record is dropped and counted. What was forwarded before the failure stays.
    Resume,
    /// The task fails.
    Fail,
}

/// What a handler decides about a record that could not be read or processed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Response {
    /// What becomes of the record.
    pub outcome: Outcome,
    /// Records to be sent before that.
    pub dead_letters: Vec<DeadLetter>,
}

impl Response {
    /// The record is dropped, and processing goes on behind it.
    pub const fn resume() -> Self {
        Self::new(Outcome::Resume)
    }

    /// The task fails.
    pub const fn fail() -> Self {
        Self::new(Outcome::Fail)
    }

    const fn new(outcome: Outcome) -> Self {
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ProductionResponse {
    /// What becomes of the record.
    pub outcome: ProductionOutcome,
    /// Records to be sent before that; none when it is tried again.
    pub dead_letters: Vec<DeadLetter>,
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

    const fn new(outcome: ProductionOutcome) -> Self {
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
