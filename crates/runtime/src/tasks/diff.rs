//! What an assignment changes, as data.

use std::collections::{BTreeMap, BTreeSet};

use kstreams_topology::TaskId;
use kstreams_wire::TopicPartition;

/// The tasks to be closed and those to be taken on; all others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diff {
    pub(crate) close: BTreeSet<TaskId>,
    pub(crate) open: BTreeMap<TaskId, Vec<TopicPartition>>,
}

/// What there is to do, given the tasks that are owned and those that are assigned.
pub(crate) fn diff(owned: &BTreeSet<TaskId>, assigned: BTreeMap<TaskId, Vec<TopicPartition>>) -> Diff {
    Diff {
        close: owned
            .iter()
            .filter(|task| !assigned.contains_key(task))
            .copied()
            .collect(),
        open: assigned.into_iter().filter(|(task, _)| !owned.contains(task)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_in_neither_list() {
        let id = |partition| TaskId::new(0, partition);
        let inputs = |partition| vec![TopicPartition::new("t", partition)];
        let owned = BTreeSet::from([id(0), id(1)]);
        let assigned = BTreeMap::from([(id(1), inputs(1)), (id(2), inputs(2))]);
        let expected = Diff {
            close: BTreeSet::from([id(0)]),
            open: BTreeMap::from([(id(2), inputs(2))]),
        };
        assert_eq!(diff(&owned, assigned), expected);
    }
}
