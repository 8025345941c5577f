//! The names of tasks.

use std::fmt;
use std::str::FromStr;

/// One task: a subtopology and a partition, printed as `0_3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The subtopology's number.
    pub subtopology: u32,
    /// The partition of the input topics.
    pub partition: i32,
}

impl TaskId {
    /// Partition `partition` of subtopology `subtopology`.
    pub const fn new(subtopology: u32, partition: i32) -> Self {
        Self { subtopology, partition }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.subtopology, self.partition)
    }
}

/// Text that is no task id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no task id: expected subtopology_partition, like 0_3")]
pub struct InvalidTaskId(String);

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, InvalidTaskId> {
        let invalid = || InvalidTaskId(text.to_owned());
        let (subtopology, partition) = text.split_once('_').ok_or_else(invalid)?;
        let partition: u32 = partition.parse().map_err(|_| invalid())?;
        Ok(Self {
            subtopology: subtopology.parse().map_err(|_| invalid())?,
            partition: i32::try_from(partition).map_err(|_| invalid())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_javas_form() {
        assert_eq!(TaskId::new(1, 12).to_string(), "1_12");
        assert_eq!("1_12".parse(), Ok(TaskId::new(1, 12)));
        assert!("1".parse::<TaskId>().is_err());
        assert!("1_-2".parse::<TaskId>().is_err());
        assert!(TaskId::new(2, 0) > TaskId::new(1, 7));
    }
}
