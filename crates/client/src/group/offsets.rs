//! Committed offsets of a group: written in the name of a member, read by anyone.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName as Name,
};
use kafka_protocol::protocol::StrBytes;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::{TopicName, TopicPartition};

use super::GroupMetadata;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::network::sleep;

/// How far a group has come in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to be read.
    pub offset: i64,
    /// The leader epoch of the last record that was read, if it is known.
    pub leader_epoch: Option<i32>,
    /// Text that comes back as it was given.
    pub metadata: String,
}

impl Committed {
    /// An offset without anything else.
    pub fn at(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: None,
            metadata: String::new(),
        }
    }
}

/// Whether offsets may be read while a transaction is about to change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stability {
    /// Wait until no transaction has offsets pending.
    #[default]
    Required,
    /// Take the last ones that were committed.
    Any,
}

/// Commits in the name of `member`. Tries again, as long as the caller waits, while the coordinator is not ready.
pub async fn commit(
    cluster: &Cluster,
    member: &GroupMetadata,
    offsets: &BTreeMap<TopicPartition, Committed>,
) -> Result<()> {
    let group = member.group_id.as_str();
    let mut left = offsets.clone();
    let mut backoff = cluster.backoff();
    while !left.is_empty() {
        let node = cluster.coordinator(group).await?;
        match cluster.send(node, commit_request(member, &left)).await {
            Ok(answer) => take_committed(&answer, group, &mut left)?.act(cluster, group),
            Err(error) if error.is_retriable() => Remedy::FindCoordinator.act(cluster, group),
            Err(error) => return Err(error),
        }
        if !left.is_empty() {
            sleep(backoff.failed()).await;
        }
    }
    Ok(())
}

/// Reads the offsets that the group committed for `partitions`, or for all when that is `None`. Partitions without an
/// offset are left out.
pub async fn fetch(
    cluster: &Cluster,
    group: &str,
    partitions: Option<&[TopicPartition]>,
    stability: Stability,
) -> Result<BTreeMap<TopicPartition, Committed>> {
    if partitions.is_some_and(<[TopicPartition]>::is_empty) {
        return Ok(BTreeMap::new());
    }
    let by_topic = partitions.map(by_topic);
    let mut backoff = cluster.backoff();
    loop {
        let node = cluster.coordinator(group).await?;
        let build = |version| fetch_request(version, group, by_topic.as_ref(), stability);
        let remedy = match cluster.send_built(node, build).await {
            Ok(answer) => match take_fetched(answer, group)? {
                Ok(offsets) => return Ok(offsets),
                Err(remedy) => remedy,
            },
            Err(error) if error.is_retriable() => Remedy::FindCoordinator,
            Err(error) => return Err(error),
        };
        remedy.act(cluster, group);
        sleep(backoff.failed()).await;
    }
}

/// What to do before trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Wait,
    FindCoordinator,
}

impl Remedy {
    fn of(code: ErrorCode) -> Option<Self> {
        match code {
            ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => Some(Self::FindCoordinator),
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::UNSTABLE_OFFSET_COMMIT
            | ErrorCode::REQUEST_TIMED_OUT
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Some(Self::Wait),
            _ => None,
        }
    }

    fn act(self, cluster: &Cluster, group: &str) {
        if self == Self::FindCoordinator {
            cluster.forget_coordinator(group);
        }
    }
}

/// Takes out of `left` what was committed; what stays may be tried again, after the remedy.
fn take_committed(
    answer: &OffsetCommitResponse,
    group: &str,
    left: &mut BTreeMap<TopicPartition, Committed>,
) -> Result<Remedy> {
    let mut remedy = Remedy::Wait;
    for topic in &answer.topics {
        let name = TopicName::new(&topic.name.0);
        for partition in &topic.partitions {
            let at = TopicPartition {
                topic: name.clone(),
                partition: partition.partition_index,
            };
            let code = ErrorCode(partition.error_code);
            if code.is_ok() {
                left.remove(&at);
            } else if let Some(needed) = Remedy::of(code) {
                remedy = if needed == Remedy::FindCoordinator {
                    needed
                } else {
                    remedy
                };
            } else {
                return Err(commit_error(code, group, &at));
            }
        }
    }
    Ok(remedy)
}

fn commit_error(code: ErrorCode, group: &str, at: &TopicPartition) -> Error {
    let group = group.to_owned();
    match code {
        ErrorCode::REBALANCE_IN_PROGRESS => Error::RebalanceInProgress { group },
        // A broker that has lost the group knows none of its members.
        ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::FENCED_INSTANCE_ID => Error::NotMember { group, code },
        code => Error::Refused {
            what: format!("offset of {at} for group {group}"),
            code,
        },
    }
}

fn take_fetched(
    answer: OffsetFetchResponse,
    group: &str,
) -> Result<Result<BTreeMap<TopicPartition, Committed>, Remedy>> {
    let mut code = ErrorCode(answer.error_code);
    let mut rows = Vec::new();
    for topic in answer.topics {
        let name = TopicName::new(&topic.name.0);
        for p in topic.partitions {
            let row = (
                p.partition_index,
                p.error_code,
                p.committed_offset,
                p.committed_leader_epoch,
                p.metadata,
            );
            rows.push((name.clone(), row));
        }
    }
    for answer in answer.groups {
        code = if code.is_ok() {
            ErrorCode(answer.error_code)
        } else {
            code
        };
        for topic in answer.topics {
            let name = TopicName::new(&topic.name.0);
            for p in topic.partitions {
                let row = (
                    p.partition_index,
                    p.error_code,
                    p.committed_offset,
                    p.committed_leader_epoch,
                    p.metadata,
                );
                rows.push((name.clone(), row));
            }
        }
    }
    if !code.is_ok() {
        let refused = || Error::Refused {
            what: format!("offsets of group {group}"),
            code,
        };
        return Remedy::of(code).map(Err).ok_or_else(refused);
    }
    let mut offsets = BTreeMap::new();
    for (topic, (partition, code, offset, epoch, metadata)) in rows {
        let at = TopicPartition { topic, partition };
        let code = ErrorCode(code);
        if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
            continue;
        }
        if !code.is_ok() {
            let refused = || Error::Refused {
                what: format!("offset of {at} for group {group}"),
                code,
            };
            return Remedy::of(code).map(Err).ok_or_else(refused);
        }
        if offset >= 0 {
            let metadata = metadata.map(|text| text.to_string()).unwrap_or_default();
            offsets.insert(
                at,
                Committed {
                    offset,
                    leader_epoch: Some(epoch).filter(|epoch| *epoch >= 0),
                    metadata,
                },
            );
        }
    }
    Ok(Ok(offsets))
}

fn commit_request(member: &GroupMetadata, offsets: &BTreeMap<TopicPartition, Committed>) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for (at, committed) in offsets {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(at.partition)
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch.unwrap_or(-1))
            .with_committed_metadata(Some(text(&committed.metadata)));
        match topics.last_mut().filter(|last| *last.name.0 == *at.topic.as_str()) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(
                OffsetCommitRequestTopic::default()
                    .with_name(name(&at.topic))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&member.group_id)))
        .with_generation_id_or_member_epoch(member.generation)
        .with_member_id(text(&member.member_id))
        .with_group_instance_id(member.instance_id.as_deref().map(text))
        .with_topics(topics)
}

fn fetch_request(
    version: i16,
    group: &str,
    topics: Option<&BTreeMap<TopicName, Vec<i32>>>,
    stability: Stability,
) -> OffsetFetchRequest {
    let group = GroupId(text(group));
    let stable = stability == Stability::Required && version >= 7;
    if version < 8 {
        let topics = topics.map(|topics| {
            let row = |(topic, partitions): (&TopicName, &Vec<i32>)| {
                OffsetFetchRequestTopic::default()
                    .with_name(name(topic))
                    .with_partition_indexes(partitions.clone())
            };
            topics.iter().map(row).collect()
        });
        return OffsetFetchRequest::default()
            .with_group_id(group)
            .with_topics(topics)
            .with_require_stable(stable);
    }
    let topics = topics.map(|topics| {
        let row = |(topic, partitions): (&TopicName, &Vec<i32>)| {
            OffsetFetchRequestTopics::default()
                .with_name(name(topic))
                .with_partition_indexes(partitions.clone())
        };
        topics.iter().map(row).collect()
    });
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(group)
        .with_topics(topics);
    OffsetFetchRequest::default()
        .with_groups(vec![group])
        .with_require_stable(stable)
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<TopicName, Vec<i32>> {
    let mut topics: BTreeMap<TopicName, Vec<i32>> = BTreeMap::new();
    for at in partitions {
        topics.entry(at.topic.clone()).or_default().push(at.partition);
    }
    topics
}

fn name(topic: &TopicName) -> Name {
    Name(text(topic.as_str()))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
