//! A WordCount application in a cluster of the tests: its topics, its instances, what it counted.

use std::collections::BTreeMap;
use std::path::Path;

use kstreams::prelude::*;
use kstreams::{Headers, TopicName, TopicPartition};
use kstreams_client::admin::{NewTopic, OffsetSpec};
use kstreams_client::consume::Isolation;
use kstreams_client::group::Stability;
use kstreams_client::{ProducerConfig, ProducerRecord};

use super::{PATIENCE, World, eventually};

/// WordCount with an input of this many partitions, on topics of its own.
pub(super) struct WordCount<'a> {
    world: &'a World,
    partitions: i32,
}

impl<'a> WordCount<'a> {
    pub(super) fn new(world: &'a World, partitions: i32) -> Self {
        world.create(NewTopic::new(TopicName::from(world.name("lines")), partitions));
        world.create(NewTopic::new(TopicName::from(world.name("counts")), partitions));
        Self { world, partitions }
    }

    fn application_id(&self) -> String {
        self.world.name("app")
    }

    fn topology(&self) -> Topology {
        let builder = StreamsBuilder::new();
        builder
            .stream::<Option<String>, String>(self.world.name("lines").as_str())
            .flat_map_values(|_, line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .group_by(|_, word| word.clone())
            .count()
            .materialized("counts-store")
            .to_stream()
            .to(self.world.name("counts").as_str());
        builder.build().expect("a good topology")
    }

    /// An instance with its own state directory, started.
    pub(super) fn start(&self, state: &Path, threads: usize) -> KafkaStreams {
        let config = StreamsConfig::new(&self.application_id(), &self.world.bootstrap)
            .set("state.dir", state.display())
            .set("num.stream.threads", threads)
            .set("commit.interval.ms", 100)
            .set("session.timeout.ms", 6000)
            .set("heartbeat.interval.ms", 500)
            .set("repartition.purge.interval.ms", 1000);
        let mut streams = KafkaStreams::new(self.topology(), config).expect("a good configuration");
        streams.start().expect("a start");
        streams
    }

    /// Writes lines of these words, spread over the partitions.
    pub(super) fn write(&self, words: &[&str], times: usize) {
        let mut producer = self.world.client().producer(ProducerConfig::default());
        let topic = producer.topic(&TopicName::from(self.world.name("lines")));
        let line = words.join(" ");
        for n in 0..times {
            let record = ProducerRecord {
                key: None,
                value: Some(line.as_bytes()),
                timestamp: 1_000 + n as i64,
                headers: &Headers::new(),
            };
            let partition = n as i32 % self.partitions;
            producer.append(topic, Some(partition), record).expect("room");
        }
        producer.flush().expect("a broker");
    }

    /// The latest count of each word.
    pub(super) fn counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        self.read("counts", |key, value| {
            counts.insert(key, value);
        });
        counts
    }

    /// How many counts were written in all.
    pub(super) fn updates(&self) -> usize {
        let mut updates = 0;
        self.read("counts", |_, _| updates += 1);
        updates
    }

    fn read(&self, topic: &str, mut each: impl FnMut(String, i64)) {
        for (key, value) in self.world.read_raw(&self.world.name(topic)) {
            let value = value.and_then(|value| value.try_into().ok());
            each(
                String::from_utf8_lossy(&key).into_owned(),
                value.map_or(-1, i64::from_be_bytes),
            );
        }
    }

    fn partitions_of(&self, topic: &str) -> Vec<TopicPartition> {
        (0..self.partitions)
            .map(|n| TopicPartition::new(TopicName::from(topic), n))
            .collect()
    }

    fn ends(&self, partitions: &[TopicPartition]) -> BTreeMap<TopicPartition, i64> {
        self.offsets(partitions, OffsetSpec::Latest)
    }

    fn offsets(&self, partitions: &[TopicPartition], which: OffsetSpec) -> BTreeMap<TopicPartition, i64> {
        let wanted: Vec<_> = partitions.iter().map(|p| (p.clone(), which)).collect();
        let listed = self
            .world
            .client()
            .admin()
            .list_offsets(&wanted, Isolation::ReadUncommitted);
        let listed = listed.expect("a broker");
        listed
            .into_iter()
            .map(|(p, end)| (p, end.ok().and_then(|end| end.offset).unwrap_or(0)))
            .collect()
    }

    /// Takes the changelog away, as somebody might by mistake.
    pub(super) fn delete_changelog(&self) {
        let topic = TopicName::from(format!("{}-counts-store-changelog", self.application_id()));
        self.world.delete(&topic);
    }

    /// Whether consumed records of the repartition topic are deleted.
    pub(super) fn is_purged(&self) -> bool {
        let partitions = self.partitions_of(&format!("{}-counts-store-repartition", self.application_id()));
        self.offsets(&partitions, OffsetSpec::Earliest) == self.ends(&partitions)
    }

    /// Waits until everything written has been read, counted and committed.
    pub(super) fn settle(&self) {
        let repartition = format!("{}-counts-store-repartition", self.application_id());
        let admin = self.world.client().admin();
        let consumed = |topic: &str| {
            let partitions = self.partitions_of(topic);
            let ends = self.ends(&partitions);
            let committed = admin.committed_offsets(&self.application_id(), Some(&partitions), Stability::default());
            let committed = committed.expect("a broker");
            ends.iter()
                .all(|(p, end)| committed.get(p).map_or(0, |c| c.offset) >= *end)
        };
        eventually(|| consumed(&self.world.name("lines")) && consumed(&repartition));
    }
}

/// The sum of a metric over threads and tasks.
pub(super) fn metric(streams: &KafkaStreams, group: &str, name: &str) -> u64 {
    let metrics = streams.metrics();
    let sum: f64 = metrics
        .iter()
        .filter(|m| m.group == group && m.name == name)
        .map(|m| m.value)
        .sum();
    sum as u64
}

/// Waits until the instance runs.
pub(super) fn runs(streams: &KafkaStreams) {
    assert!(streams.wait_for(State::Running, PATIENCE), "it is {}", streams.state());
}
