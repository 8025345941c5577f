//! Topics as our own client sees them: created, read to their end, and whether a transaction stands open in them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kstreams_client::admin::{NewTopic, OffsetSpec};
use kstreams_client::consume::Isolation;
use kstreams_client::{Client, ClientConfig, ConsumerConfig, ConsumerEvent, Start};
use kstreams_wire::{TopicName, TopicPartition};

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(120);

/// The topics of a broker.
pub struct Topics {
    client: Client,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its partition.
    pub partition: i32,
    /// Where it stands there.
    pub offset: i64,
    /// Its key; empty if it has none.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// A client of the broker at this address.
pub fn client(bootstrap: &str) -> Client {
    let properties = BTreeMap::from([
        ("bootstrap.servers".to_owned(), bootstrap.to_owned()),
        ("client.id".to_owned(), "test".to_owned()),
    ]);
    Client::start(ClientConfig::from_properties(&properties).expect("a good configuration")).expect("a client")
}

impl Topics {
    /// Those of the broker at this address.
    pub fn at(bootstrap: &str) -> Self {
        Self {
            client: client(bootstrap),
        }
    }

    /// Creates a topic and waits until it can be read.
    pub fn create(&self, topic: NewTopic) {
        let name = topic.name.clone();
        let created = self.client.admin().create_topics(&[topic]).expect("a broker");
        assert!(created.values().all(Result::is_ok), "{created:?}");
        let deadline = Instant::now() + PATIENCE;
        while self.known_ends(&name, Isolation::ReadCommitted).is_none() {
            assert!(Instant::now() < deadline, "{name} cannot be read");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All records of a topic, from the beginning to its end; of transactions the committed ones only, if that is asked for.
    pub fn read(&self, topic: &str, isolation: Isolation) -> Vec<Found> {
        let ends = self.ends(topic, isolation);
        let mut consumer = self.client.consumer(ConsumerConfig {
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
                let ConsumerEvent::Fetched { records, partition, .. } = event else {
                    continue;
                };
                for mut batch in records {
                    while let Some(record) = batch.next().expect("a good batch") {
                        found.push(Found {
                            partition: partition.partition,
                            offset: record.offset,
                            key: record.key.unwrap_or_default().to_vec(),
                            value: record.value.map(<[u8]>::to_vec),
                        });
                    }
                }
            }
        }
        found
    }

    /// Where the partitions of a topic end for a reader of this isolation level.
    pub fn ends(&self, topic: &str, isolation: Isolation) -> BTreeMap<TopicPartition, i64> {
        let ends = self.known_ends(&TopicName::from(topic), isolation);
        ends.unwrap_or_else(|| panic!("{topic} cannot be read"))
    }

    /// `None` while the brokers do not know all partitions yet.
    fn known_ends(&self, topic: &TopicName, isolation: Isolation) -> Option<BTreeMap<TopicPartition, i64>> {
        let admin = self.client.admin();
        let mut described = admin.describe_topics(std::slice::from_ref(topic)).expect("a broker");
        let count = described.remove(topic)?.ok()?.partitions.len() as i32;
        let wanted: Vec<_> = (0..count)
            .map(|at| (TopicPartition::new(topic.clone(), at), OffsetSpec::Latest))
            .collect();
        let listed = admin.list_offsets(&wanted, isolation).expect("a broker");
        listed
            .into_iter()
            .map(|(partition, end)| Some((partition, end.ok()?.offset.unwrap_or(0))))
            .collect()
    }

    /// How many records and markers stand in the topic, as far as this isolation level shows them.
    pub fn length(&self, topic: &str, isolation: Isolation) -> i64 {
        self.ends(topic, isolation).values().sum()
    }

    /// Whether there are records in the topic of which nobody knows yet whether they are committed.
    pub fn is_open(&self, topic: &str) -> bool {
        // In this order: what is written in between counts as open, never the other way round.
        self.length(topic, Isolation::ReadCommitted) < self.length(topic, Isolation::ReadUncommitted)
    }
}
