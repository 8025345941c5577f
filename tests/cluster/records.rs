//! Records in and out of topics, as text.

use std::collections::BTreeMap;

use kstreams::{Headers, TopicName, TopicPartition};
use kstreams_client::admin::NewTopic;
use kstreams_client::consume::Isolation;
use kstreams_client::{ProducerConfig, ProducerRecord};
use kstreams_tests::topics::Topics;

use super::World;

impl World {
    /// Creates topics of this run with so many partitions.
    pub(super) fn topics(&self, names: &[&str], partitions: i32) {
        for name in names {
            self.create(NewTopic::new(TopicName::from(self.name(name)), partitions));
        }
    }

    /// Writes records: key, value (`None` deletes) and time. The key decides about the partition.
    pub(super) fn write(&self, topic: &str, records: &[(&str, Option<&str>, i64)]) {
        self.write_to(&TopicName::from(self.name(topic)), records);
    }

    /// Like [`write`](Self::write), to a topic by its full name.
    pub(super) fn write_to(&self, topic: &TopicName, records: &[(&str, Option<&str>, i64)]) {
        let mut producer = self.client().producer(ProducerConfig::default());
        let id = producer.topic(topic);
        for (key, value, timestamp) in records {
            let record = ProducerRecord {
                key: Some(key.as_bytes()),
                value: value.map(str::as_bytes),
                timestamp: *timestamp,
                headers: &Headers::new(),
            };
            producer.append(id, None, record).expect("room");
        }
        producer.flush().expect("a broker");
    }

    /// All records of a topic, by its full name, from the beginning to its end: key and value.
    pub(super) fn read_raw(&self, topic: &str) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.read_isolated(topic, Isolation::ReadUncommitted)
    }

    /// Like [`read_raw`](Self::read_raw), but of transactions the committed ones only, if that is asked for.
    pub(super) fn read_isolated(&self, topic: &str, isolation: Isolation) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let found = Topics::at(&self.bootstrap).read(topic, isolation);
        found.into_iter().map(|record| (record.key, record.value)).collect()
    }

    /// The latest value of each key of a topic of this run.
    pub(super) fn latest(&self, topic: &str) -> BTreeMap<String, String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let records = self.read_raw(&self.name(topic)).into_iter();
        records
            .map(|(key, value)| (text(key), value.map(text).unwrap_or_default()))
            .collect()
    }

    /// Where the partitions of a topic end.
    pub(super) fn ends(&self, topic: &str) -> BTreeMap<TopicPartition, i64> {
        Topics::at(&self.bootstrap).ends(topic, Isolation::ReadUncommitted)
    }
}
