//! Topics that a test reads, and the list into which the task sends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use kstreams_store::{Output, OutputError, OutputRecord, TopicId};
use kstreams_topology::{Nullable, Serde};
use kstreams_wire::{Headers, TopicName, TopicPartition};

/// A topic that a test reads.
pub struct OutputTopic<K: Nullable, V: Nullable> {
    pub(crate) name: String,
    pub(crate) key: Arc<dyn Serde<K::Inner>>,
    pub(crate) value: Arc<dyn Serde<V::Inner>>,
}

/// A record as the task sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducedRecord {
    /// Its topic.
    pub topic: TopicName,
    /// Its partition, if the task chose one: changelogs and partitioners do.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its time in milliseconds; `None` leaves it to the producer's clock.
    pub timestamp: Option<i64>,
    /// Its headers.
    pub headers: Headers,
}

/// Collects what the task sends.
#[derive(Default)]
pub(crate) struct Outbox {
    topics: Vec<TopicName>,
    ids: HashMap<TopicName, TopicId>,
    pub(crate) sent: Vec<ProducedRecord>,
    /// How many records were sent to each partition of each topic: the next one's offset.
    counts: Vec<BTreeMap<i32, i64>>,
    /// How many partitions every topic has.
    partitions: i32,
}

impl Outbox {
    pub(crate) fn new(partitions: i32) -> Self {
        Self {
            partitions,
            ..Self::default()
        }
    }

    /// The offset of the last record sent to a partition.
    pub(crate) fn last_offset(&self, partition: &TopicPartition) -> Option<i64> {
        let TopicId(at) = *self.ids.get(&partition.topic)?;
        let counts = self.counts.get(at as usize)?;
        counts.get(&partition.partition).map(|count| count - 1)
    }
}

impl Output for Outbox {
    fn topic(&mut self, name: &TopicName) -> TopicId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = TopicId(u32::try_from(self.topics.len()).expect("a test has less than four billion topics"));
        self.topics.push(name.clone());
        self.counts.push(BTreeMap::new());
        self.ids.insert(name.clone(), id);
        id
    }

    fn partitions(&mut self, _: TopicId) -> Result<i32, OutputError> {
        Ok(self.partitions)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        let at = record.topic.0 as usize;
        let topic = self.topics.get(at).expect("ids come from this outbox").clone();
        if let Some(timestamp) = record.timestamp.filter(|timestamp| *timestamp < 0) {
            let source = format!("invalid timestamp {timestamp}: it must not be negative").into();
            return Err(OutputError { topic, source });
        }
        if let Some(counts) = self.counts.get_mut(at) {
            *counts.entry(record.partition.unwrap_or(0)).or_default() += 1;
        }
        self.sent.push(ProducedRecord {
            topic,
            partition: record.partition,
            key: record.key.map(Bytes::copy_from_slice),
            value: record.value.map(Bytes::copy_from_slice),
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        });
        Ok(())
    }
}
