//! Takes batches from producers.

use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId,
};

use super::{Context, text};
use crate::log::Appended;
use crate::node::{Node, wall_clock_ms};
use crate::refusal::Refusal;
use crate::topics::Topic;

/// Appends what came for each partition. With acks 0 the client wants no answer.
pub(super) fn produce(node: &Rc<Node>, context: &Context, request: ProduceRequest) -> Option<ProduceResponse> {
    let now_ms = wall_clock_ms();
    let acks = request.acks;
    let topics = node.topics.borrow();
    let responses = request.topic_data.into_iter().map(|data| {
        let by_id = context.version >= 13;
        let topic = if by_id {
            topics.find_id(data.topic_id)
        } else {
            topics.find(&data.name)
        };
        let missing = if by_id {
            ResponseError::UnknownTopicId
        } else {
            ResponseError::UnknownTopicOrPartition
        };
        let partitions = data.partition_data.into_iter().map(|partition| match topic {
            _ if !(-1..=1).contains(&acks) => refused(partition.index, ResponseError::InvalidRequiredAcks.into()),
            Some(topic) => append(topic, partition, now_ms),
            None => refused(partition.index, missing.into()),
        });
        TopicProduceResponse::default()
            .with_partition_responses(partitions.collect())
            .with_name(data.name)
            .with_topic_id(data.topic_id)
    });
    let response = ProduceResponse::default().with_responses(responses.collect());
    (acks != 0).then_some(response)
}

fn append(topic: &Topic, data: PartitionProduceData, now_ms: i64) -> PartitionProduceResponse {
    let Some(mut log) = topic.log(data.index) else {
        return refused(data.index, ResponseError::UnknownTopicOrPartition.into());
    };
    match log.append(data.records.unwrap_or_default(), now_ms) {
        Ok(Appended {
            base_offset,
            append_time,
        }) => PartitionProduceResponse::default()
            .with_index(data.index)
            .with_base_offset(base_offset)
            .with_log_append_time_ms(append_time.unwrap_or(-1))
            .with_log_start_offset(log.start()),
        Err(refusal) => refused(data.index, refusal),
    }
}

fn refused(partition: i32, refusal: Refusal) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(partition)
        .with_error_code(refusal.code.code())
        .with_error_message(Some(text(refusal.message)))
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
}

/// Gives an idempotent producer its id.
pub(super) fn init_producer_id(node: &Rc<Node>, _: &Context, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let response = InitProducerIdResponse::default();
    let refused = |error: ResponseError| {
        let response = InitProducerIdResponse::default().with_error_code(error.code());
        response.with_producer_id(ProducerId(-1)).with_producer_epoch(-1)
    };
    if request.transactional_id.is_some() {
        return refused(ResponseError::UnsupportedVersion);
    }
    match node.identity.borrow_mut().new_producer_id() {
        Ok(id) => response.with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(error) => refused(Refusal::storage(error).code),
    }
}
