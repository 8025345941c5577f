//! Offsets of partitions: the first, the last, by time; and records deleted up to an offset.

use std::collections::BTreeMap;

use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, DeleteRecordsRequest, ListOffsetsRequest};
use kstreams_wire::{TopicName, TopicPartition};

use super::{Admin, Outcomes, verdict, wire_name};
use crate::cluster::{Cluster, NodeId};
use crate::consume::Isolation;
use crate::error::Result;

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// That of the oldest record.
    Earliest,
    /// The one behind the newest record that the isolation level lets see.
    Latest,
    /// That of the first record with this timestamp or a later one.
    Timestamp(i64),
}

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; `None` if no record is as late as the timestamp asked for.
    pub offset: Option<i64>,
    /// The timestamp of its record, if it was found by time.
    pub timestamp: Option<i64>,
    /// The leader epoch of its record, if the broker knows it.
    pub leader_epoch: Option<i32>,
}

/// The items of a call, sorted to the brokers that lead them; and those for which there is none.
type Sorted<T> = (BTreeMap<NodeId, Vec<TopicPartition>>, Vec<(TopicPartition, Result<T>)>);

impl Admin {
    /// Offsets of partitions.
    pub fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
    ) -> Result<Outcomes<TopicPartition, ListedOffset>> {
        let wanted: BTreeMap<TopicPartition, OffsetSpec> = wanted.iter().cloned().collect();
        let items = wanted.keys().cloned().collect();
        let round = self.round("offset of");
        self.run("listing offsets", async move {
            let wanted = &wanted;
            let attempt = |cluster: Cluster, items: Vec<TopicPartition>| async move {
                let (by_node, mut outcomes) = by_leader(&cluster, items).await;
                for (node, items) in by_node {
                    match cluster.send(node, list_request(&items, wanted, isolation)).await {
                        Ok(answer) => outcomes.extend(listed(&answer)),
                        Err(error) => outcomes.extend(items.into_iter().map(|item| (item, Err(error.clone())))),
                    }
                }
                Ok(outcomes)
            };
            Ok(round.run(items, attempt).await)
        })
    }

    /// Deletes the records before the given offsets; `None` stands for everything there is. The outcome is the first
    /// offset that is left.
    pub fn delete_records(&self, before: &[(TopicPartition, Option<i64>)]) -> Result<Outcomes<TopicPartition, i64>> {
        let before: BTreeMap<TopicPartition, i64> = before
            .iter()
            .map(|(item, offset)| (item.clone(), offset.unwrap_or(-1)))
            .collect();
        let items = before.keys().cloned().collect();
        let round = self.round("deleting records of");
        let wait = self.wait_ms();
        self.run("deleting records", async move {
            let before = &before;
            let attempt = |cluster: Cluster, items: Vec<TopicPartition>| async move {
                let (by_node, mut outcomes) = by_leader(&cluster, items).await;
                for (node, items) in by_node {
                    match cluster.send(node, delete_request(&items, before, wait)).await {
                        Ok(answer) => outcomes.extend(deleted(&answer)),
                        Err(error) => outcomes.extend(items.into_iter().map(|item| (item, Err(error.clone())))),
                    }
                }
                Ok(outcomes)
            };
            Ok(round.run(items, attempt).await)
        })
    }
}

async fn by_leader<T>(cluster: &Cluster, items: Vec<TopicPartition>) -> Sorted<T> {
    let (mut by_node, mut lost) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for item in items {
        match cluster.leader(&item).await {
            Ok(node) => by_node.entry(node).or_default().push(item),
            Err(error) => lost.push((item, Err(error))),
        }
    }
    (by_node, lost)
}

fn list_request(
    items: &[TopicPartition],
    wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    isolation: Isolation,
) -> ListOffsetsRequest {
    let row = |item: &TopicPartition| {
        let timestamp = match wanted.get(item) {
            Some(OffsetSpec::Timestamp(timestamp)) => *timestamp,
            Some(OffsetSpec::Earliest) => -2,
            Some(OffsetSpec::Latest) | None => -1,
        };
        ListOffsetsPartition::default()
            .with_partition_index(item.partition)
            .with_timestamp(timestamp)
    };
    let topic = |(topic, rows)| {
        ListOffsetsTopic::default()
            .with_name(wire_name(&topic))
            .with_partitions(rows)
    };
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(match isolation {
            Isolation::ReadUncommitted => 0,
            Isolation::ReadCommitted => 1,
        })
        .with_topics(by_topic(items, row).into_iter().map(topic).collect())
}

fn listed(
    answer: &kafka_protocol::messages::ListOffsetsResponse,
) -> impl Iterator<Item = (TopicPartition, Result<ListedOffset>)> {
    answer.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|row| {
            let item = TopicPartition::new(TopicName::new(&topic.name.0), row.partition_index);
            let offset = verdict(&format!("offset of {item}"), row.error_code, None).map(|()| ListedOffset {
                offset: Some(row.offset).filter(|offset| *offset >= 0),
                timestamp: Some(row.timestamp).filter(|timestamp| *timestamp >= 0),
                leader_epoch: Some(row.leader_epoch).filter(|epoch| *epoch >= 0),
            });
            (item, offset)
        })
    })
}

fn delete_request(items: &[TopicPartition], before: &BTreeMap<TopicPartition, i64>, wait: i32) -> DeleteRecordsRequest {
    let row = |item: &TopicPartition| {
        let offset = before.get(item).copied().unwrap_or_default();
        DeleteRecordsPartition::default()
            .with_partition_index(item.partition)
            .with_offset(offset)
    };
    let topic = |(topic, rows)| {
        DeleteRecordsTopic::default()
            .with_name(wire_name(&topic))
            .with_partitions(rows)
    };
    let topics = by_topic(items, row).into_iter().map(topic).collect();
    DeleteRecordsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(wait)
}

fn deleted(
    answer: &kafka_protocol::messages::DeleteRecordsResponse,
) -> impl Iterator<Item = (TopicPartition, Result<i64>)> {
    answer.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|row| {
            let item = TopicPartition::new(TopicName::new(&topic.name.0), row.partition_index);
            let result = verdict(&format!("deleting records of {item}"), row.error_code, None);
            (item, result.map(|()| row.low_watermark))
        })
    })
}

fn by_topic<R>(items: &[TopicPartition], row: impl Fn(&TopicPartition) -> R) -> BTreeMap<TopicName, Vec<R>> {
    let mut topics: BTreeMap<TopicName, Vec<R>> = BTreeMap::new();
    for item in items {
        topics.entry(item.topic.clone()).or_default().push(row(item));
    }
    topics
}
