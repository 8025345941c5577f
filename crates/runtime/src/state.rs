//! The states of an application instance and the moves between them.

use std::fmt;

/// Where an instance is in its life. The order is Kafka's: the number is the value of the metric `client-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Built, not started.
    Created,
    /// Threads are taking on or giving up tasks, or restoring their state.
    Rebalancing,
    /// Every task is processing.
    Running,
    /// `close` was called; threads are stopping.
    PendingShutdown,
    /// Everything is closed.
    NotRunning,
    /// An error is stopping the instance.
    PendingError,
    /// Stopped by an error.
    Error,
}

/// What is to be said about a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It is done.
    Allowed,
    /// It is quietly not done: something more final is under way.
    Refused,
    /// Only our own bug asks for it.
    Illegal,
}

impl State {
    /// All states, in order.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Rebalancing,
        Self::Running,
        Self::PendingShutdown,
        Self::NotRunning,
        Self::PendingError,
        Self::Error,
    ];

    /// Whether an instance in this state may go to `to`.
    pub fn moves_to(self, to: Self) -> Move {
        use State::*;
        match (self, to) {
            (Created, Rebalancing | PendingShutdown)
            | (Rebalancing, Running | PendingShutdown | PendingError)
            | (Running, Rebalancing | Running | PendingShutdown | PendingError)
            | (PendingShutdown, NotRunning)
            | (PendingError, Error) => Move::Allowed,
            (PendingShutdown | PendingError, _)
            | (Rebalancing, Rebalancing)
            | (NotRunning, PendingShutdown | NotRunning)
            | (Error, PendingShutdown | PendingError | Error) => Move::Refused,
            _ => Move::Illegal,
        }
    }

    /// Whether threads run, or are about to.
    pub fn is_running_or_rebalancing(self) -> bool {
        matches!(self, Self::Running | Self::Rebalancing)
    }

    /// Whether nothing will happen any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::NotRunning | Self::Error)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "CREATED",
            Self::Rebalancing => "REBALANCING",
            Self::Running => "RUNNING",
            Self::PendingShutdown => "PENDING_SHUTDOWN",
            Self::NotRunning => "NOT_RUNNING",
            Self::PendingError => "PENDING_ERROR",
            Self::Error => "ERROR",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per state, one letter per state to go to: allowed, refused, illegal.
    const TABLE: [(&str, &str); 7] = [
        ("CREATED", "iaiaiii"),
        ("REBALANCING", "iraaiai"),
        ("RUNNING", "iaaaiai"),
        ("PENDING_SHUTDOWN", "rrrrarr"),
        ("NOT_RUNNING", "iiirrii"),
        ("PENDING_ERROR", "rrrrrra"),
        ("ERROR", "iiirirr"),
    ];

    #[test]
    fn moves_are_those_of_the_table() {
        for (from, (name, row)) in State::ALL.into_iter().zip(TABLE) {
            assert_eq!(from.to_string(), name);
            let actual: String = State::ALL
                .into_iter()
                .map(|to| match from.moves_to(to) {
                    Move::Allowed => 'a',
                    Move::Refused => 'r',
                    Move::Illegal => 'i',
                })
                .collect();
            assert_eq!(actual, row, "from {from}");
        }
    }
}
