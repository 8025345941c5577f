//! Keeps the offsets that groups commit, and gives them back.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::ResponseError;
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
use kafka_protocol::protocol::StrBytes;
use kstreams_wire::membership::Subscription;

use super::{Context, group, text};
use crate::coordinate::group::Phase;
use crate::coordinate::offsets::{Committed, Offsets, Place};
use crate::coordinate::transactions::Transactions;
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
            let commit = Commit {
                partition: index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata,
            };
            let checked = allowed.and_then(|()| check(&topics, &topic.name, commit));
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

/// An offset that somebody wants to commit, in a transaction or not.
pub(super) struct Commit {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) metadata: Option<StrBytes>,
}

/// Whether there is such a partition, and the rest is as it may be.
pub(super) fn check(topics: &Topics, topic: &str, commit: Commit) -> Result<(Place, Committed), ResponseError> {
    let exists = topics
        .find(topic)
        .is_some_and(|topic| (0..topic.partitions()).contains(&commit.partition));
    if !exists {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let metadata = commit.metadata.as_deref().unwrap_or_default();
    if metadata.len() > METADATA_BYTES_MAX {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    let committed = Committed {
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: metadata.to_owned(),
    };
    Ok(((topic.to_owned(), commit.partition), committed))
}

/// Gives back what groups have committed. Whoever wants stable offsets waits for transactions that may change them.
pub(super) fn fetch(node: &Rc<Node>, context: &Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let (offsets, transactions) = (node.offsets.borrow(), node.transactions.borrow());
    let shelf = Shelf {
        offsets: &offsets,
        open: request.require_stable.then_some(&*transactions),
    };
    if context.version >= 8 {
        let groups = request.groups.iter().map(|group| fetch_group(shelf, group));
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
    let topics = fetch_group(shelf, &group).topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_committed_offset(partition.committed_offset)
                .with_committed_leader_epoch(partition.committed_leader_epoch)
                .with_metadata(partition.metadata)
                .with_error_code(partition.error_code)
        });
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

/// Committed offsets, and the transactions that may still change them.
#[derive(Clone, Copy)]
struct Shelf<'a> {
    offsets: &'a Offsets,
    open: Option<&'a Transactions>,
}

fn fetch_group(shelf: Shelf<'_>, wanted: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let group = &*wanted.group_id;
    let Shelf { offsets, open } = shelf;
    let fetched = |place: &Place, committed| {
        let unstable = open.is_some_and(|open| open.holds_offset(group, place));
        fetched(
            place.1,
            if unstable {
                Err(ResponseError::UnstableOffsetCommit)
            } else {
                Ok(committed)
            },
        )
    };
    let mut topics: BTreeMap<String, Vec<OffsetFetchResponsePartitions>> = BTreeMap::new();
    match &wanted.topics {
        None => {
            for (place, committed) in offsets.of_group(group) {
                let of_topic = topics.entry(place.0.clone()).or_default();
                of_topic.push(fetched(place, Some(committed)));
            }
        }
        Some(wanted) => {
            for topic in wanted {
                let partitions = topic.partition_indexes.iter().map(|partition| {
                    let place = (topic.name.to_string(), *partition);
                    fetched(&place, offsets.find(group, &place))
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

fn fetched(partition: i32, committed: Result<Option<&Committed>, ResponseError>) -> OffsetFetchResponsePartitions {
    let response = OffsetFetchResponsePartitions::default().with_partition_index(partition);
    match committed {
        Ok(Some(committed)) => response
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(text(committed.metadata.clone()))),
        other => response
            .with_error_code(other.err().map_or(0, |error| error.code()))
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
