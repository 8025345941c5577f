//! The states of a stream thread and the moves between them.

use std::fmt;

use crate::state::Move;

/// Where a stream thread is in its life. The number is the value of the metric `thread-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ThreadState {
    /// Built, not started.
    Created,
    /// Started, no assignment yet.
    Starting,
    /// Tasks were given up.
    PartitionsRevoked,
    /// Tasks were taken on; some may be restoring.
    PartitionsAssigned,
    /// Every task is processing.
    Running,
    /// It was told to stop.
    PendingShutdown,
    /// It has stopped.
    Dead,
}

impl ThreadState {
    /// All states, in order.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 7] = [
        Self::Created,
        Self::Starting,
        Self::PartitionsRevoked,
        Self::PartitionsAssigned,
        Self::Running,
        Self::PendingShutdown,
        Self::Dead,
    ];

    /// Whether a thread in this state may go to `to`.
    pub(crate) fn moves_to(self, to: Self) -> Move {
        use ThreadState::*;
        match (self, to) {
            (Created, Starting | PendingShutdown)
            | (Starting, PartitionsRevoked | PartitionsAssigned | PendingShutdown)
            | (PartitionsRevoked, PartitionsRevoked | PartitionsAssigned | PendingShutdown)
            | (PartitionsAssigned, PartitionsRevoked | PartitionsAssigned | Running | PendingShutdown)
            | (Running, PartitionsRevoked | PartitionsAssigned | Running | PendingShutdown)
            | (PendingShutdown, Dead) => Move::Allowed,
            (PendingShutdown | Dead, _) => Move::Refused,
            _ => Move::Illegal,
        }
    }

    /// Whether the thread neither stops nor has stopped.
    pub(crate) fn is_alive(self) -> bool {
        !matches!(self, Self::PendingShutdown | Self::Dead)
    }
}

impl fmt::Display for ThreadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "CREATED",
            Self::Starting => "STARTING",
            Self::PartitionsRevoked => "PARTITIONS_REVOKED",
            Self::PartitionsAssigned => "PARTITIONS_ASSIGNED",
            Self::Running => "RUNNING",
            Self::PendingShutdown => "PENDING_SHUTDOWN",
            Self::Dead => "DEAD",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [(&str, &str); 7] = [
        ("CREATED", "iaiiiai"),
        ("STARTING", "iiaaiai"),
        ("PARTITIONS_REVOKED", "iiaaiai"),
        ("PARTITIONS_ASSIGNED", "iiaaaai"),
        ("RUNNING", "iiaaaai"),
        ("PENDING_SHUTDOWN", "rrrrrra"),
        ("DEAD", "rrrrrrr"),
    ];

    #[test]
    fn moves_are_those_of_the_table() {
        for (from, (name, row)) in ThreadState::ALL.into_iter().zip(TABLE) {
            assert_eq!(from.to_string(), name);
            let actual: String = ThreadState::ALL
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
