//! Records in and out of topics, as text.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kstreams::{Headers, TopicName, TopicPartition};
use kstreams_client::admin::{NewTopic, OffsetSpec};
use kstreams_client::consume::Isolation;
use kstreams_client::{ConsumerConfig, ConsumerEvent, ProducerConfig, ProducerRecord, Start};

use super::{PATIENCE, World};

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
        let ends = self.isolated_ends(topic, isolation);
        let mut consumer = self.client().consumer(ConsumerConfig {
            isolation,
            ..ConsumerConfig::default()
        });
        let starts: Vec<_> = ends.keys().map(|p| (p.clone(), Start::Beginning)).collect();
        consumer.assign(&starts);
        let mut found = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while ends
            .iter()
            .any(|(p, end)| *end > 0 && consumer.position(p).is_none_or(|at| at < *end))
        {
            assert!(Instant::now() < deadline, "{topic} cannot be read");
            for event in consumer.poll(Duration::from_millis(100)) {
                let ConsumerEvent::Fetched { records, .. } = event else {
                    continue;
                };
                for mut batch in records {
                    while let Some(record) = batch.next().expect("a good batch") {
                        let key = record.key.unwrap_or_default().to_vec();
                        found.push((key, record.value.map(<[u8]>::to_vec)));
                    }
                }
            }
        }
        found
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
        self.isolated_ends(topic, Isolation::ReadUncommitted)
    }

    fn isolated_ends(&self, topic: &str, isolation: Isolation) -> BTreeMap<TopicPartition, i64> {
        let admin = self.client().admin();
        let name = TopicName::from(topic);
        let described = admin.describe_topics(std::slice::from_ref(&name)).expect("a broker");
        let count = described
            .get(&name)
            .and_then(|found| found.as_ref().ok())
            .map_or(0, |found| found.partitions.len() as i32);
        let wanted: Vec<_> = (0..count)
            .map(|at| (TopicPartition::new(name.clone(), at), OffsetSpec::Latest))
            .collect();
        let listed = admin.list_offsets(&wanted, isolation).expect("a broker");
        listed
            .into_iter()
            .map(|(partition, end)| (partition, end.expect("an end").offset.unwrap_or(0)))
            .collect()
    }
}
