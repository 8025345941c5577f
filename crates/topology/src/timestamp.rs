//! Which timestamp a record gets when it enters the topology.

use std::fmt;
use std::sync::Arc;

use crate::record::Record;

/// Chooses the timestamp of the records of one source. A negative choice drops the record and counts it.
#[derive(Default)]
pub enum TimestampExtractor<K, V> {
    /// The record's own; a negative one fails the task. The default.
    #[default]
    FailOnInvalid,
    /// The record's own; a record with a negative one is dropped, with a warning.
    LogAndSkip,
    /// The record's own, or the partition's time so far if that is negative.
    UsePartitionTime,
    /// The wall clock when the record is looked at.
    WallClock,
    /// The closure's choice: it sees the record with its own timestamp, and the partition's time so far (−1 before the
    /// first record).
    Custom(CustomTimestamp<K, V>),
}

/// A closure that reads the timestamp out of a record.
pub type CustomTimestamp<K, V> = Arc<dyn Fn(&Record<K, V>, i64) -> i64 + Send + Sync>;

impl<K, V> TimestampExtractor<K, V> {
    /// The closure's choice.
    pub fn custom(extract: impl Fn(&Record<K, V>, i64) -> i64 + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(extract))
    }
}

impl<K, V> Clone for TimestampExtractor<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::FailOnInvalid => Self::FailOnInvalid,
            Self::LogAndSkip => Self::LogAndSkip,
            Self::UsePartitionTime => Self::UsePartitionTime,
            Self::WallClock => Self::WallClock,
            Self::Custom(extract) => Self::Custom(extract.clone()),
        }
    }
}

impl<K, V> fmt::Debug for TimestampExtractor<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FailOnInvalid => "FailOnInvalid",
            Self::LogAndSkip => "LogAndSkip",
            Self::UsePartitionTime => "UsePartitionTime",
            Self::WallClock => "WallClock",
            Self::Custom(_) => "Custom",
        })
    }
}
