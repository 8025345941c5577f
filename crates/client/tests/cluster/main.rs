//! The client against the embedded broker: what it promises while all is well, and while it is not.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect is to fail there"
)]

mod consume;
mod faults;
mod isolation;
mod lost;
mod produce;
mod proxy;
mod transactions;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, UNIX_EPOCH};

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::{
    Client, ClientConfig, Consumer, ConsumerConfig, ConsumerEvent, Producer, ProducerConfig, ProducerRecord,
    ProducerTopic, Result, Start,
};
use kstreams_wire::{Headers, TopicName, TopicPartition};

/// Nothing here takes long; a test that does is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

fn broker() -> Broker {
    Broker::start(BrokerConfig::default()).unwrap()
}

fn properties(bootstrap: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let fast = [
        ("bootstrap.servers", bootstrap),
        ("retry.backoff.ms", "10"),
        ("reconnect.backoff.ms", "10"),
    ];
    fast.iter()
        .chain(more)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn client(bootstrap: &str) -> Client {
    Client::start(ClientConfig::from_properties(&properties(bootstrap, &[])).unwrap()).unwrap()
}

fn producer(client: &Client, more: &[(&str, &str)]) -> Producer {
    client.producer(ProducerConfig::from_properties(&properties("x:1", more)).unwrap())
}

fn consumer(client: &Client, more: &[(&str, &str)]) -> Consumer {
    client.consumer(ConsumerConfig::from_properties(&properties("x:1", more)).unwrap())
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic), partition)
}

/// Appends numbers as values, each to the partition of its remainder.
fn produce(producer: &mut Producer, topic: ProducerTopic, numbers: std::ops::Range<u32>) -> Result<()> {
    let partitions = producer.partitions(topic)?;
    let headers = Headers::new();
    // Records from long ago would fall to retention.
    let timestamp = UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    for number in numbers {
        let value = number.to_string();
        let record = ProducerRecord {
            key: None,
            value: Some(value.as_bytes()),
            timestamp,
            headers: &headers,
        };
        producer.append(topic, Some(number as i32 % partitions), record)?;
    }
    Ok(())
}

/// What a consumer got: the values by partition, and everything that was not records.
#[derive(Debug, Default)]
struct Got {
    values: BTreeMap<TopicPartition, Vec<(i64, String)>>,
    others: Vec<ConsumerEvent>,
}

impl Got {
    fn count(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    fn of(&self, partition: &TopicPartition) -> Vec<&str> {
        self.values
            .get(partition)
            .into_iter()
            .flatten()
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn poll(&mut self, consumer: &mut Consumer, timeout: Duration) {
        for event in consumer.poll(timeout) {
            let ConsumerEvent::Fetched { partition, records, .. } = event else {
                self.others.push(event);
                continue;
            };
            let values = self.values.entry(partition).or_default();
            for mut batch in records {
                while let Some(record) = batch.next().unwrap() {
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    values.push((record.offset, value));
                }
            }
        }
    }
}

/// Polls until `done`.
fn poll_until(consumer: &mut Consumer, mut done: impl FnMut(&Got) -> bool) -> Got {
    let mut got = Got::default();
    let start = Instant::now();
    while !done(&got) {
        assert!(
            start.elapsed() < PATIENCE,
            "still waiting; {} values, {:?}",
            got.count(),
            got.others
        );
        got.poll(consumer, Duration::from_millis(100));
    }
    got
}

/// Everything in a topic, read from the beginning, which has to be `count` records.
fn read_all(client: &Client, topic: &str, partitions: i32, count: usize) -> Got {
    let mut consumer = consumer(client, &[]);
    let all: Vec<_> = (0..partitions)
        .map(|number| (partition(topic, number), Start::Beginning))
        .collect();
    consumer.assign(&all);
    let at_end = |consumer: &Consumer| all.iter().all(|(partition, _)| consumer.lag(partition) == Some(0));
    let mut got = Got::default();
    let start = Instant::now();
    while got.count() < count || !at_end(&consumer) {
        assert!(
            start.elapsed() < PATIENCE,
            "still waiting; {} values, {:?}",
            got.count(),
            got.others
        );
        got.poll(&mut consumer, Duration::from_millis(50));
    }
    got
}

/// Asserts that each partition holds its numbers below `end`, once each and in order.
fn assert_complete(got: &Got, topic: &str, partitions: u32, end: u32) {
    for number in 0..partitions {
        let expected: Vec<_> = (number..end)
            .step_by(partitions as usize)
            .map(|value| value.to_string())
            .collect();
        assert_eq!(got.of(&partition(topic, number as i32)), expected, "partition {number}");
    }
}
