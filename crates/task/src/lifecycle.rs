//! The states of a task.

use crate::error::{Error, Result};

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Made, its stores open as they were found.
    Created,
    /// Reading its changelogs.
    Restoring,
    /// Processing.
    Running,
    /// Its nodes are closed and its buffers empty; its stores are open. The only way to be closed.
    Suspended,
    /// Gone.
    Closed,
}

impl TaskState {
    /// Moves on to `next`, if Kafka's state machine has that step.
    pub(crate) fn step(&mut self, next: TaskState, call: &'static str) -> Result<()> {
        use TaskState::{Closed, Created, Restoring, Running, Suspended};
        let legal = matches!(
            (*self, next),
            (Created | Suspended, Restoring)
                | (Restoring, Running)
                | (Created | Restoring | Running | Suspended, Suspended)
                | (Suspended, Closed)
        );
        if !legal {
            return Err(Error::Lifecycle { call, state: *self });
        }
        *self = next;
        Ok(())
    }
}
