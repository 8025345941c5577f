//! What a source reads, and how.

use kstreams_topology::TimestampExtractor;
use kstreams_topology::blueprint::{ResetPolicy, Topics};

/// The topics that a stream or table reads. A topic's name alone will do for most.
#[derive(Clone, Debug)]
pub struct Consumed<K, V> {
    pub(crate) topics: Topics,
    pub(crate) extractor: Option<TimestampExtractor<K, V>>,
    pub(crate) reset: Option<ResetPolicy>,
}

impl<K, V> Consumed<K, V> {
    /// Reads one topic.
    pub fn topic(name: impl Into<String>) -> Self {
        Self::topics([name])
    }

    /// Reads several topics as one stream.
    pub fn topics<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        let mut topics: Vec<String> = Vec::new();
        for name in names {
            let name = name.into();
            if !topics.contains(&name) {
                topics.push(name);
            }
        }
        Self::of(Topics::Names(topics))
    }

    /// Reads every topic whose whole name matches this regular expression.
    pub fn pattern(regex: impl Into<String>) -> Self {
        Self::of(Topics::Pattern(regex.into()))
    }

    fn of(topics: Topics) -> Self {
        Self {
            topics,
            extractor: None,
            reset: None,
        }
    }

    /// Which timestamps the records get. By default the application's setting, or their own.
    pub fn timestamps(mut self, extractor: TimestampExtractor<K, V>) -> Self {
        self.extractor = Some(extractor);
        self
    }

    /// Where to begin in a topic without a committed offset. By default the application's setting.
    pub fn offset_reset(mut self, reset: ResetPolicy) -> Self {
        self.reset = Some(reset);
        self
    }
}

impl<K, V> From<&str> for Consumed<K, V> {
    fn from(topic: &str) -> Self {
        Self::topic(topic)
    }
}

impl<K, V> From<String> for Consumed<K, V> {
    fn from(topic: String) -> Self {
        Self::topic(topic)
    }
}

impl<K, V, const N: usize> From<[&str; N]> for Consumed<K, V> {
    fn from(topics: [&str; N]) -> Self {
        Self::topics(topics)
    }
}

impl<K, V> From<Vec<String>> for Consumed<K, V> {
    fn from(topics: Vec<String>) -> Self {
        Self::topics(topics)
    }
}
