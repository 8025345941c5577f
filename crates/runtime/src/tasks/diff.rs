//! What an assignment changes, as data.

use std::collections::{BTreeMap, BTreeSet};

use kstreams_topology::TaskId;
use kstreams_wire::TopicPartition;

/// Tasks and the partitions that they read.
pub(crate) type Inputs = BTreeMap<TaskId, Vec<TopicPartition>>;

/// The tasks to be closed, those to be taken on, and what others are to read besides; all others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diff {
    pub(crate) close: BTreeSet<TaskId>,
    pub(crate) open: Inputs,
    pub(crate) grow: Inputs,
}

/// What there is to do, given the tasks that are owned and those that are assigned. A task that loses an input, because a
/// topic that a pattern matched is gone, is closed and taken on anew.
pub(crate) fn diff(owned: &Inputs, assigned: Inputs) -> Diff {
    let mut diff = Diff::default();
    diff.close
        .extend(owned.keys().filter(|task| !assigned.contains_key(task)));
    for (task, inputs) in assigned {
        let Some(read) = owned.get(&task) else {
            diff.open.insert(task, inputs);
            continue;
        };
        if read.iter().any(|input| !inputs.contains(input)) {
            diff.close.insert(task);
            diff.open.insert(task, inputs);
            continue;
        }
        let new: Vec<_> = inputs.into_iter().filter(|input| !read.contains(input)).collect();
        if !new.is_empty() {
            diff.grow.insert(task, new);
        }
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_in_neither_list() {
        let owned = BTreeMap::from([(id(0), inputs(&["t"])), (id(1), inputs(&["t"]))]);
        let assigned = BTreeMap::from([(id(1), inputs(&["t"])), (id(2), inputs(&["t"]))]);
        let expected = Diff {
            close: BTreeSet::from([id(0)]),
            open: BTreeMap::from([(id(2), inputs(&["t"]))]),
            ..Diff::default()
        };
        assert_eq!(diff(&owned, assigned), expected);
    }

    #[test]
    fn a_task_grows_in_place_and_shrinks_anew() {
        let owned = BTreeMap::from([(id(0), inputs(&["a"])), (id(1), inputs(&["a", "b"]))]);
        let assigned = BTreeMap::from([(id(0), inputs(&["a", "b"])), (id(1), inputs(&["a"]))]);
        let expected = Diff {
            close: BTreeSet::from([id(1)]),
            open: BTreeMap::from([(id(1), inputs(&["a"]))]),
            grow: BTreeMap::from([(id(0), inputs(&["b"]))]),
        };
        assert_eq!(diff(&owned, assigned), expected);
    }

    fn id(partition: i32) -> TaskId {
        TaskId::new(0, partition)
    }

    fn inputs(topics: &[&str]) -> Vec<TopicPartition> {
        topics.iter().map(|topic| TopicPartition::new(*topic, 0)).collect()
    }
}
