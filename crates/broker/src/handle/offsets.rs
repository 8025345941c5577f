//! Answers where a partition's records begin, end, and are at a time; and deletes the first of them.

use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
};

use super::Context;
use super::fetch::{check_epoch, isolation};
use crate::log::{Found, Isolation, PartitionLog};
use crate::node::Node;
use crate::refusal::Refusal;
use crate::topics::Topic;

/// Offsets by time, or by one of Kafka's names for a special time.
pub(super) fn list_offsets(node: &Rc<Node>, context: &Context, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = node.topics.borrow();
    let isolation = isolation(request.isolation_level);
    let results = request.topics.into_iter().map(|wanted| {
        let topic = topics.find(&wanted.name);
        let partitions = wanted.partitions.iter().map(|partition| {
            let response = ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
            match list_one(topic, partition, isolation) {
                Ok(found) => {
                    // Versions before 4 have no place for it.
                    let epoch = found.filter(|_| context.version >= 4).map_or(-1, |found| found.epoch);
                    let response = response.with_offset(found.map_or(-1, |found| found.offset));
                    response
                        .with_timestamp(found.map_or(-1, |found| found.timestamp))
                        .with_leader_epoch(epoch)
                }
                Err(refusal) => response
                    .with_error_code(refusal.code.code())
                    .with_offset(-1)
                    .with_timestamp(-1),
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default()
            .with_name(wanted.name)
            .with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(results.collect())
}

fn list_one(
    topic: Option<&Topic>,
    wanted: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Option<Found>, Refusal> {
    let log = topic.and_then(|topic| topic.log(wanted.partition_index));
    let log = log.ok_or(ResponseError::UnknownTopicOrPartition)?;
    check_epoch(wanted.current_leader_epoch, log.epoch())?;
    let special = |offset: i64, epoch: i32| {
        Some(Found {
            offset,
            timestamp: -1,
            epoch,
        })
    };
    match wanted.timestamp {
        // Latest; earliest, and the earliest that is not in remote storage, which does not exist here.
        -1 => Ok(special(log.end_for(isolation), log.epoch())),
        -2 | -4 => Ok(special(log.start(), log.epoch_of(log.start()))),
        -3 => log.latest_in_time().map_err(Refusal::storage),
        // The latest in remote storage: none.
        -5 => Ok(None),
        time if time >= 0 => log.at_time(time).map_err(Refusal::storage),
        time => Err(Refusal::new(
            ResponseError::UnsupportedVersion,
            format!("no special time {time}"),
        )),
    }
}

/// Where leader epochs end: consumers find out whether what they have read was lost.
pub(super) fn leader_epochs(
    node: &Rc<Node>,
    _: &Context,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = node.topics.borrow();
    let results = request.topics.into_iter().map(|wanted| {
        let topic = topics.find(&wanted.topic);
        let partitions = wanted
            .partitions
            .iter()
            .map(|partition| end_of_epoch(topic, partition))
            .collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(wanted.topic)
            .with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(results.collect())
}

fn end_of_epoch(topic: Option<&Topic>, wanted: &OffsetForLeaderPartition) -> EpochEndOffset {
    let response = EpochEndOffset::default()
        .with_partition(wanted.partition)
        .with_leader_epoch(-1)
        .with_end_offset(-1);
    let Some(log) = topic.and_then(|topic| topic.log(wanted.partition)) else {
        return response.with_error_code(ResponseError::UnknownTopicOrPartition.code());
    };
    if let Err(error) = check_epoch(wanted.current_leader_epoch, log.epoch()) {
        return response.with_error_code(error.code());
    }
    match log.end_of_epoch(wanted.leader_epoch) {
        Some((epoch, end)) => response.with_leader_epoch(epoch).with_end_offset(end),
        None => response,
    }
}

/// Deletes the first records of partitions.
pub(super) fn delete_records(node: &Rc<Node>, _: &Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = node.topics.borrow();
    let results = request.topics.into_iter().map(|wanted| {
        let topic = topics.find(&wanted.name);
        let partitions = wanted
            .partitions
            .iter()
            .map(|partition| delete_one(topic, partition))
            .collect();
        DeleteRecordsTopicResult::default()
            .with_name(wanted.name)
            .with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(results.collect())
}

fn delete_one(topic: Option<&Topic>, wanted: &DeleteRecordsPartition) -> DeleteRecordsPartitionResult {
    let response = DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
    let log = topic.and_then(|topic| topic.log(wanted.partition_index));
    let delete = |mut log: std::cell::RefMut<'_, PartitionLog>| log.delete_before(wanted.offset);
    match log
        .ok_or_else(|| ResponseError::UnknownTopicOrPartition.into())
        .and_then(delete)
    {
        Ok(start) => response.with_low_watermark(start),
        Err(refusal) => response.with_low_watermark(-1).with_error_code(refusal.code.code()),
    }
}
