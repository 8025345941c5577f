//! What failed in a turn of a stream thread: whose it is, on the way to what, and why.

use std::collections::BTreeSet;

use kstreams_topology::TaskId;

use crate::error::{Disposition, Error, cause};
use crate::output::Unsent;

/// What a task was on its way to. Once it is there, it is not failing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hurdle {
    /// The thread's producer is the one of its transactional id.
    Producer,
    /// The task is open, restored and runs.
    Start,
    /// What the task did is committed. Less would not do: what is not committed may be undone and fail again.
    Commit,
}

/// Something that failed. It is noted where it happens; what follows is decided when the turn is over.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whose it is; nobody's if it is the whole thread's.
    pub(crate) tasks: BTreeSet<TaskId>,
    pub(crate) at: Hurdle,
    pub(crate) asks: Disposition,
    pub(crate) error: Error,
}

impl Failure {
    pub(crate) fn of_tasks(tasks: BTreeSet<TaskId>, at: Hurdle, error: Error) -> Self {
        Self {
            tasks,
            at,
            asks: error.disposition(),
            error,
        }
    }

    pub(crate) fn of_task(task: TaskId, at: Hurdle, error: Error) -> Self {
        Self::of_tasks(BTreeSet::from([task]), at, error)
    }

    /// A task could not be driven on. It may have met what was lost to another.
    pub(crate) fn within(task: TaskId, at: Hurdle, source: kstreams_task::Error) -> Self {
        let source = source.into();
        let mut failure = Self::of_task(task, at, Error::Task { task, source });
        failure.tasks.extend(lost_to(&failure.error));
        failure
    }

    /// What was sent could not be delivered or committed: to these tasks, unless it is known to which.
    pub(crate) fn of_output(tasks: BTreeSet<TaskId>, error: Error) -> Self {
        let lost_to: BTreeSet<TaskId> = lost_to(&error).collect();
        let tasks = if lost_to.is_empty() { tasks } else { lost_to };
        Self::of_tasks(tasks, Hurdle::Commit, error)
    }

    pub(crate) fn of_thread(error: Error) -> Self {
        Self::of_tasks(BTreeSet::new(), Hurdle::Start, error)
    }
}

/// The tasks whose records could not be sent, as far as it is known.
fn lost_to(error: &Error) -> impl Iterator<Item = TaskId> {
    let unsent: Option<&Unsent> = match error {
        Error::Unsent(unsent) => Some(unsent),
        error => cause(error),
    };
    unsent.into_iter().flat_map(|unsent| unsent.tasks.iter().copied())
}
