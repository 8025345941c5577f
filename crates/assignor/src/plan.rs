//! The decision: which member runs which tasks.

use std::collections::{BTreeMap, BTreeSet};

use kstreams_topology::TaskId;

use crate::input::MemberId;

/// The active tasks of each member. Every member has an entry, also the one without work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Tasks by member.
    pub active: BTreeMap<MemberId, BTreeSet<TaskId>>,
}

impl Plan {
    /// How many tasks this member runs.
    pub fn load(&self, member: &MemberId) -> usize {
        self.active.get(member).map_or(0, BTreeSet::len)
    }

    /// Who runs this task.
    pub fn owner(&self, task: TaskId) -> Option<&MemberId> {
        self.active
            .iter()
            .find(|(_, tasks)| tasks.contains(&task))
            .map(|(member, _)| member)
    }
}
