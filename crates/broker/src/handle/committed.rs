//! Keeps the offsets that groups commit, and gives them back.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};
use kstreams_wire::membership::Subscription;

use super::{Context, group, text};
use crate::coordinate::group::Phase;
use crate::coordinate::offsets::{Committed, Offsets, Place};
use crate::node::Node;
use crate::topics::Topics;

/// The longest text that goes with an offset (`offset.metadata.max.bytes`).
const METADATA_BYTES_MAX: usize = 4096;

/// Commits offsets, if whoever commits may.
pub(super) fn commit(node: &Rc<Node>, context: &Context, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let generation = request.generation_id_or_member_epoch;
    let identity = group::identity(&request.member_id, request.group_instance_id.as_ref(), generation);
    let allowed = node.groups.borrow_mut().check_commit(&request.group_id, &identity);
    let allowed = match allowed {
        // Before version 9 an unknown group is one whose generation is over.
        Err(ResponseError::GroupIdNotFound) if context.version < 9 => Err(ResponseError::IllegalGeneration),
        other => other,
    };
    let topics = node.topics.borrow();
    let mut commits = Vec::new();
    let mut results = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for partition in topic.partitions {
            let index = partition.partition_index;
            let checked = allowed.and_then(|()| check(&topics, &topic.name, partition));
            let error = checked.map_or_else(
                |error| error.code(),
                |commit| {
                    commits.push(commit);
                    0
                },
            );
            partitions.push(
                OffsetCommitResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(error),
            );
        }
        results.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    if let Err(error) = node.offsets.borrow_mut().commit(&request.group_id, commits) {
        tracing::error!(%error, "could not write committed offsets");
        let failed = ResponseError::KafkaStorageError.code();
        let partitions = results.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions
            .filter(|partition| partition.error_code == 0)
            .for_each(|partition| partition.error_code = failed);
    }
    OffsetCommitResponse::default().with_topics(results)
}

fn check(
    topics: &Topics,
    topic: &str,
    commit: OffsetCommitRequestPartition,
) -> Result<(Place, Committed), ResponseError> {
    let exists = topics
        .find(topic)
        .is_some_and(|topic| (0..topic.partitions()).contains(&commit.partition_index));
    if !exists {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let metadata = commit.committed_metadata.as_deref().unwrap_or_default();
    if metadata.len() > METADATA_BYTES_MAX {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    let committed = Committed {
        offset: commit.committed_offset,
        leader_epoch: commit.committed_leader_epoch,
        metadata: metadata.to_owned(),
    };
    Ok(((topic.to_owned(), commit.partition_index), committed))
}

/// Gives back what groups have committed. There are no transactions, so every offset is stable.
pub(super) fn fetch(node: &Rc<Node>, context: &Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let offsets = node.offsets.borrow();
    if context.version >= 8 {
        let groups = request.groups.iter().map(|group| fetch_group(&offsets, group));
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let wanted = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| {
            let wanted = OffsetFetchRequestTopics::default().with_name(topic.name);
            wanted.with_partition_indexes(topic.partition_indexes)
        });
        topics.collect()
    });
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(request.group_id)
        .with_topics(wanted);
    let topics = fetch_group(&offsets, &group).topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_committed_offset(partition.committed_offset)
                .with_committed_leader_epoch(partition.committed_leader_epoch)
                .with_metadata(partition.metadata)
        });
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn fetch_group(offsets: &Offsets, wanted: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let group = &*wanted.group_id;
    let mut topics: BTreeMap<String, Vec<OffsetFetchResponsePartitions>> = BTreeMap::new();
    match &wanted.topics {
        None => {
            for ((topic, partition), committed) in offsets.of_group(group) {
                topics
                    .entry(topic.clone())
                    .or_default()
                    .push(fetched(*partition, Some(committed)));
            }
        }
        Some(wanted) => {
            for topic in wanted {
                let partitions = topic.partition_indexes.iter().map(|partition| {
                    let place = (topic.name.to_string(), *partition);
                    fetched(*partition, offsets.find(group, &place))
                });
                topics.entry(topic.name.to_string()).or_default().extend(partitions);
            }
        }
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetFetchResponseTopics::default()
            .with_name(text(name).into())
            .with_partitions(partitions)
    });
    OffsetFetchResponseGroup::default()
        .with_group_id(wanted.group_id.clone())
        .with_topics(topics.collect())
}

fn fetched(partition: i32, committed: Option<&Committed>) -> OffsetFetchResponsePartitions {
    let response = OffsetFetchResponsePartitions::default().with_partition_index(partition);
    match committed {
        Some(committed) => response
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata.clone()))),
        None => response
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(text(""))),
    }
}

/// Forgets committed offsets, except of topics that a living member reads.
pub(super) fn delete(node: &Rc<Node>, _: &Context, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let id = &*request.group_id;
    let subscribed = match subscribed(node, id) {
        Ok(subscribed) => subscribed,
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
    };
    let mut gone = Vec::new();
    let topics = request.topics.into_iter().map(|topic| {
        let in_use = subscribed.iter().any(|name| **name == **topic.name);
        let error = if in_use {
            ResponseError::GroupSubscribedToTopic.code()
        } else {
            0
        };
        let partitions = topic.partitions.iter().map(|partition| {
            if !in_use {
                gone.push((topic.name.to_string(), partition.partition_index));
            }
            let result = OffsetDeleteResponsePartition::default().with_partition_index(partition.partition_index);
            result.with_error_code(error)
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    let response = OffsetDeleteResponse::default().with_topics(topics.collect());
    match node.offsets.borrow_mut().forget(id, gone) {
        Ok(()) => response,
        Err(error) => {
            tracing::error!(%error, "could not write committed offsets");
            OffsetDeleteResponse::default().with_error_code(ResponseError::KafkaStorageError.code())
        }
    }
}

/// The topics that members of a group read.
fn subscribed(node: &Node, id: &str) -> Result<Vec<String>, ResponseError> {
    let groups = node.groups.borrow();
    let Some(group) = groups.find(id) else {
        let known = node.offsets.borrow().has_group(id);
        return if known {
            Ok(Vec::new())
        } else {
            Err(ResponseError::GroupIdNotFound)
        };
    };
    if group.phase() == Phase::Empty {
        return Ok(Vec::new());
    }
    // What members of other kinds of groups read cannot be known.
    if group.protocol_type() != "consumer" {
        return Err(ResponseError::NonEmptyGroup);
    }
    let protocol = group.protocol().unwrap_or_default();
    let metadata = group.members().filter_map(|member| member.metadata(protocol));
    let subscriptions = metadata.filter_map(|metadata| Subscription::decode(metadata).ok());
    Ok(subscriptions
        .flat_map(|subscription| subscription.topics)
        .map(|topic| topic.to_string())
        .collect())
}
