//! Where a sink writes, and how.

use std::sync::Arc;

use kstreams_store::RecordContext;
use kstreams_topology::graph::{Partitioner, Partitions, SinkTopic};

/// The topic that a stream is written to. A topic's name alone will do for most.
pub struct Produced<K, V> {
    pub(crate) topic: SinkTopic<K, V>,
    pub(crate) label: Option<String>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
}

impl<K, V> Produced<K, V> {
    /// Writes to one topic.
    pub fn topic(name: impl Into<String>) -> Self {
        Self::of(SinkTopic::Static(name.into().into()))
    }

    /// Writes each record to the topic that the closure names. The topics have to exist.
    pub fn topic_by(choose: impl Fn(&K, &V, &RecordContext) -> String + Send + Sync + 'static) -> Self {
        Self::of(SinkTopic::Dynamic(Arc::new(choose)))
    }

    fn of(topic: SinkTopic<K, V>) -> Self {
        Self {
            topic,
            label: None,
            partitioner: None,
        }
    }

    /// How the topology's description calls the closure of [`topic_by`](Self::topic_by).
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Chooses partitions by topic, key, value and number of partitions. By default the key's hash decides.
    pub fn partitioner(mut self, choose: impl Fn(&str, &K, &V, i32) -> Partitions + Send + Sync + 'static) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }
}

impl<K, V> From<&str> for Produced<K, V> {
    fn from(topic: &str) -> Self {
        Self::topic(topic)
    }
}

impl<K, V> From<String> for Produced<K, V> {
    fn from(topic: String) -> Self {
        Self::topic(topic)
    }
}
