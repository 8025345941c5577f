//! What topics hold, read from their beginning to their end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kstreams::{TopicName, TopicPartition};
use kstreams_client::admin::OffsetSpec;
use kstreams_client::consume::Isolation;
use kstreams_client::{Client, ConsumerConfig, ConsumerEvent, Start};
use kstreams_wire::batch::{BatchHeader, RawRecord};

use super::model::{PARTITIONS, Values};

/// How long reading a topic may take.
const READ_MAX: Duration = Duration::from_secs(120);

/// The partitions of a topic.
pub fn partitions(topic: &str, count: i32) -> Vec<TopicPartition> {
    let name = TopicName::from(topic);
    (0..count)
        .map(|number| TopicPartition::new(name.clone(), number))
        .collect()
}

/// Hands every record of these partitions to `take`, up to where they end now, as far as the isolation lets see.
pub fn read(
    client: &Client,
    partitions: &[TopicPartition],
    isolation: Isolation,
    mut take: impl FnMut(&TopicPartition, &RawRecord<'_>),
) {
    read_batches(client, partitions, isolation, |partition, _, record| {
        take(partition, record)
    });
}

/// Like [`read`], with the header of each record's batch.
pub fn read_batches(
    client: &Client,
    partitions: &[TopicPartition],
    isolation: Isolation,
    mut take: impl FnMut(&TopicPartition, &BatchHeader, &RawRecord<'_>),
) {
    let ends = ends(client, partitions, isolation);
    let mut consumer = client.consumer(ConsumerConfig {
        isolation,
        ..ConsumerConfig::default()
    });
    let starts: Vec<_> = ends
        .keys()
        .map(|partition| (partition.clone(), Start::Beginning))
        .collect();
    consumer.assign(&starts);
    let deadline = Instant::now() + READ_MAX;
    while ends
        .iter()
        .any(|(partition, end)| *end > 0 && consumer.position(partition).is_none_or(|at| at < *end))
    {
        assert!(Instant::now() < deadline, "{partitions:?} cannot be read to their ends");
        for event in consumer.poll(Duration::from_millis(100)) {
            let ConsumerEvent::Fetched { partition, records, .. } = event else {
                continue;
            };
            for mut batch in records {
                let header = *batch.header();
                while let Some(record) = batch.next().expect("a good batch") {
                    take(&partition, &header, &record);
                }
            }
        }
    }
}

/// Where these partitions end, as far as the isolation lets see.
pub fn ends(client: &Client, partitions: &[TopicPartition], isolation: Isolation) -> BTreeMap<TopicPartition, i64> {
    let wanted: Vec<_> = partitions
        .iter()
        .map(|partition| (partition.clone(), OffsetSpec::Latest))
        .collect();
    let listed = client.admin().list_offsets(&wanted, isolation).expect("a broker");
    listed
        .into_iter()
        .map(|(partition, end)| (partition, end.expect("an end").offset.unwrap_or(0)))
        .collect()
}

/// The values of each key of a topic.
pub fn values(client: &Client, topic: &str, count: i32, isolation: Isolation) -> Values {
    let mut values = Values::new();
    read(client, &partitions(topic, count), isolation, |_, record| {
        values.entry(text(record.key)).or_default().push(text(record.value));
    });
    values
}

/// Where the numbers of an input partition are not in order: a line for each partition of the topic.
pub fn disorder(client: &Client, topic: &str) -> Vec<String> {
    let mut latest: BTreeMap<i32, u64> = BTreeMap::new();
    let mut found = BTreeMap::new();
    read(
        client,
        &partitions(topic, PARTITIONS),
        Isolation::ReadUncommitted,
        |at, record| {
            let number = text(record.value).parse().unwrap_or_default();
            let latest = latest.entry(at.partition).or_insert(number);
            if number < *latest {
                let line = format!("{at}: {number} came behind {latest}, at offset {}", record.offset);
                found.entry(at.partition).or_insert(line);
            }
            *latest = number;
        },
    );
    found.into_values().collect()
}

/// Bytes as text.
pub(super) fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}
