//! From what failed in a turn to what is to be done: a pure decision.

use std::collections::BTreeSet;

use kstreams_topology::TaskId;

use crate::config::Guarantee;
use crate::error::Disposition;
use crate::failure::Failure;

/// What is to be done about the failures of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The thread ends by the failure at this place.
    Stop(usize),
    /// All tasks are given up, and the thread joins the group anew, because of the failure at this place.
    Rejoin(usize),
    /// Tasks go back to the last commit, if any; those that only failed in time just try again.
    Revive(Revival),
}

/// Which tasks go back to the last commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Revival {
    pub(super) tasks: BTreeSet<TaskId>,
    pub(super) writes: Writes,
}

/// What becomes of what was written since the last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Writes {
    /// It stays, and the tasks that are not revived can be committed.
    #[default]
    Kept,
    /// It is given up: the transaction is aborted, or the producer begins anew.
    Undone,
}

/// Decides for the worst: an end of the thread over tasks that moved elsewhere, and that over tasks to be revived, which
/// are merged. `writers` are the tasks with something uncommitted: they share the producer, and under exactly-once the
/// transaction, so that what is lost to one of them is lost to all.
pub(super) fn decide(failures: &[Failure], guarantee: Guarantee, writers: &BTreeSet<TaskId>) -> Plan {
    let first = |asked: Disposition| failures.iter().position(|failure| failure.asks == asked);
    if let Some(at) = first(Disposition::Stop) {
        return Plan::Stop(at);
    }
    if let Some(at) = first(Disposition::Rejoin) {
        return Plan::Rejoin(at);
    }
    let revived = |failure: &&Failure| matches!(failure.asks, Disposition::Revive | Disposition::Undo);
    let mut tasks: BTreeSet<TaskId> = failures
        .iter()
        .filter(revived)
        .flat_map(|failure| failure.tasks.iter().copied())
        .collect();
    let is_transaction = guarantee == Guarantee::ExactlyOnce && !tasks.is_empty();
    let writes = match is_transaction || first(Disposition::Undo).is_some() {
        true => Writes::Undone,
        false => Writes::Kept,
    };
    if writes == Writes::Undone {
        tasks.extend(writers);
    }
    Plan::Revive(Revival { tasks, writes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::failure::Hurdle;

    const WRITERS: [i32; 2] = [0, 1];

    fn tasks(partitions: &[i32]) -> BTreeSet<TaskId> {
        partitions.iter().map(|partition| TaskId::new(0, *partition)).collect()
    }

    fn check(guarantee: Guarantee, failures: &[(Disposition, &[i32])], expected: Plan) {
        let failed: Vec<Failure> = failures
            .iter()
            .map(|(asks, partitions)| Failure {
                tasks: tasks(partitions),
                at: Hurdle::Commit,
                asks: *asks,
                error: Error::Failed,
            })
            .collect();
        let plan = decide(&failed, guarantee, &tasks(&WRITERS));
        assert_eq!(plan, expected, "{guarantee:?}: {failures:?}");
    }

    fn revive(partitions: &[i32], writes: Writes) -> Plan {
        Plan::Revive(Revival {
            tasks: tasks(partitions),
            writes,
        })
    }

    #[test]
    fn the_worst_decides_and_revivals_are_merged() {
        use Disposition::{Later, Rejoin, Retry, Revive, Stop, Undo};
        for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
            check(guarantee, &[], revive(&[], Writes::Kept));
            check(guarantee, &[(Later, &[0])], revive(&[], Writes::Kept));
            check(guarantee, &[(Retry, &[0]), (Later, &[1])], revive(&[], Writes::Kept));
            check(guarantee, &[(Undo, &[2])], revive(&[0, 1, 2], Writes::Undone));
            check(guarantee, &[(Undo, &[])], revive(&[0, 1], Writes::Undone));
            check(
                guarantee,
                &[(Revive, &[2]), (Undo, &[3])],
                revive(&[0, 1, 2, 3], Writes::Undone),
            );
            check(
                guarantee,
                &[(Revive, &[2]), (Rejoin, &[1]), (Rejoin, &[0])],
                Plan::Rejoin(1),
            );
            check(
                guarantee,
                &[(Rejoin, &[]), (Retry, &[1]), (Stop, &[2]), (Stop, &[3])],
                Plan::Stop(2),
            );
        }
    }

    #[test]
    fn a_transaction_is_shared_and_other_writes_are_not() {
        use Disposition::{Retry, Revive};
        check(Guarantee::AtLeastOnce, &[(Revive, &[2])], revive(&[2], Writes::Kept));
        check(
            Guarantee::AtLeastOnce,
            &[(Revive, &[2]), (Retry, &[1]), (Revive, &[3])],
            revive(&[2, 3], Writes::Kept),
        );
        check(
            Guarantee::ExactlyOnce,
            &[(Revive, &[2])],
            revive(&[0, 1, 2], Writes::Undone),
        );
    }
}
