//! What the leader knows when it assigns: the tasks there are and the members there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use kstreams_topology::TaskId;

/// The id that the group's coordinator gave to a member: one stream thread.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(Arc<str>);

impl MemberId {
    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for MemberId {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of one instance of the application: the stream threads of one process share a state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProcessId(pub [u8; 16]);

/// What a task asks of who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskDemand {
    /// It has no stores that a changelog would restore.
    Stateless,
    /// It has; they are balanced first, and go where their state is.
    Stateful,
}

/// One member of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The process that the stream thread belongs to.
    pub process: ProcessId,
    /// The tasks that the thread runs now.
    pub running: BTreeSet<TaskId>,
    /// The tasks with state in the process's directory, and how far it goes (the sum of the changelog offsets).
    pub state: BTreeMap<TaskId, i64>,
}

/// Everything the decision depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The tasks to be run.
    pub tasks: BTreeMap<TaskId, TaskDemand>,
    /// The members to run them.
    pub members: BTreeMap<MemberId, Member>,
}
