//! Fetch and ListOffsets requests, from what a consumer wants to know.

use kstreams_wire::TopicPartition;
use kstreams_wire::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kstreams_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kstreams_wire::messages::{FetchRequest, ListOffsetsRequest, TopicName as Name};

use super::positions::Edge;
use super::session::Ask;
use super::{ConsumerConfig, Isolation};

/// The newest version that names topics; later ones use ids, which a re-created topic changes.
pub(super) const FETCH_VERSION_MAX: i16 = 12;
/// The first version that says which leader is asked.
const FETCH_VERSION_EPOCH: i16 = 9;
/// The first version that says what was read last.
const FETCH_VERSION_LAST_EPOCH: i16 = 12;
/// The first version with sessions.
const FETCH_VERSION_SESSION: i16 = 7;

/// A fetch of what a session asks for.
pub(super) fn fetch(ask: &Ask, config: &ConsumerConfig, limits: Limits, version: i16) -> FetchRequest {
    let topics = by_topic(
        &ask.fetch,
        |(partition, _)| partition,
        |(partition, point)| {
            let wanted = FetchPartition::default();
            let wanted = match version {
                ..FETCH_VERSION_EPOCH => wanted,
                _ => wanted.with_current_leader_epoch(point.leader_epoch),
            };
            let wanted = match version {
                ..FETCH_VERSION_LAST_EPOCH => wanted,
                _ => wanted.with_last_fetched_epoch(point.last_epoch.unwrap_or(-1)),
            };
            wanted
                .with_partition(partition.partition)
                .with_fetch_offset(point.offset)
                .with_partition_max_bytes(config.partition_bytes_max)
        },
    );
    let topics = topics
        .into_iter()
        .map(|(topic, list)| FetchTopic::default().with_topic(topic).with_partitions(list));
    let request = FetchRequest::default()
        .with_max_wait_ms(limits.wait_ms)
        .with_min_bytes(config.fetch_bytes_min)
        .with_max_bytes(limits.bytes_max)
        .with_isolation_level(isolation_level(config))
        .with_topics(topics.collect());
    if version < FETCH_VERSION_SESSION {
        return request;
    }
    let forget = by_topic(&ask.forget, |partition| partition, |partition| partition.partition);
    let forget = forget
        .into_iter()
        .map(|(topic, list)| ForgottenTopic::default().with_topic(topic).with_partitions(list));
    request
        .with_session_id(ask.id)
        .with_session_epoch(ask.epoch)
        .with_forgotten_topics_data(forget.collect())
}

/// How long a fetch may wait for records, and how much it may bring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) wait_ms: i32,
    pub(super) bytes_max: i32,
}

/// A look-up of the ends of logs.
pub(super) fn list_offsets(
    edges: &[(TopicPartition, Edge)],
    config: &ConsumerConfig,
    version: i16,
) -> ListOffsetsRequest {
    const LATEST: i64 = -1;
    const EARLIEST: i64 = -2;
    let topics = by_topic(
        edges,
        |(partition, _)| partition,
        |(partition, edge)| {
            let timestamp = if *edge == Edge::Latest { LATEST } else { EARLIEST };
            ListOffsetsPartition::default()
                .with_partition_index(partition.partition)
                .with_timestamp(timestamp)
        },
    );
    let topics = topics
        .into_iter()
        .map(|(name, list)| ListOffsetsTopic::default().with_name(name).with_partitions(list));
    let request = ListOffsetsRequest::default().with_topics(topics.collect());
    if version >= 2 {
        request.with_isolation_level(isolation_level(config))
    } else {
        request
    }
}

fn isolation_level(config: &ConsumerConfig) -> i8 {
    match config.isolation {
        Isolation::ReadUncommitted => 0,
        Isolation::ReadCommitted => 1,
    }
}

/// Groups neighbours of the same topic.
fn by_topic<T, P>(
    list: &[T],
    partition_of: impl Fn(&T) -> &TopicPartition,
    make: impl Fn(&T) -> P,
) -> Vec<(Name, Vec<P>)> {
    let mut topics: Vec<(Name, Vec<P>)> = Vec::new();
    for chunk in list.chunk_by(|a, b| partition_of(a).topic == partition_of(b).topic) {
        if let Some(first) = chunk.first() {
            topics.push((
                Name::from(&partition_of(first).topic),
                chunk.iter().map(&make).collect(),
            ));
        }
    }
    topics
}
