//! Takes batches from producers.

use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kstreams_wire::batch::BatchHeader;

use super::{Context, text};
use crate::coordinate::transaction::Producer;
use crate::coordinate::transactions::{Asking, Transactions};
use crate::log::Appended;
use crate::node::{Node, wall_clock_ms};
use crate::refusal::Refusal;
use crate::topics::Topic;
use crate::trouble::Troubles;

/// Appends what came for each partition. With acks 0 the client wants no answer.
pub(super) fn produce(node: &Rc<Node>, context: &Context, request: ProduceRequest) -> Option<ProduceResponse> {
    let now_ms = wall_clock_ms();
    let acks = request.acks;
    let topics = node.topics.borrow();
    let mut writer = Writer {
        transactional_id: request.transactional_id.as_ref().map(|id| id.as_str()),
        transactions: &mut node.transactions.borrow_mut(),
        troubles: &mut node.troubles.borrow_mut(),
        version: context.version,
        acks,
        now_ms,
    };
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
            Some(topic) => append(topic, partition, &mut writer),
            None => refused(partition.index, missing.into()),
        });
        TopicProduceResponse::default()
            .with_partition_responses(partitions.collect())
            .with_name(data.name)
            .with_topic_id(data.topic_id)
    });
    let responses = responses.collect();
    let response = ProduceResponse::default()
        .with_responses(responses)
        .with_throttle_time_ms(writer.troubles.throttle_ms());
    (acks != 0).then_some(response)
}

/// From this version on, writing to a partition makes it part of the transaction (KIP-890).
const ADDING_VERSION: i16 = 12;

/// From this version on, clients know of errors that an abort puts right.
const ABORTABLE_VERSION: i16 = 11;

/// Who writes.
struct Writer<'a> {
    transactional_id: Option<&'a str>,
    transactions: &'a mut Transactions,
    troubles: &'a mut Troubles,
    version: i16,
    acks: i16,
    now_ms: i64,
}

impl Writer<'_> {
    /// Whether a batch may be written: one of a transaction, only while the partition is part of it.
    fn check(&mut self, topic: &str, data: &PartitionProduceData) -> Result<(), Refusal> {
        let records = data.records.as_deref().unwrap_or_default();
        // What is no batch at all is refused by the log.
        let header = BatchHeader::parse(records).ok();
        let Some(header) = header.filter(|header| header.attributes.is_transactional()) else {
            return Ok(());
        };
        let id = self.transactional_id.ok_or_else(|| {
            let message = "a batch of a transaction in a request without a transactional id";
            Refusal::new(ResponseError::InvalidRecord, message)
        })?;
        let asking = Asking {
            id,
            producer: Producer {
                id: header.producer_id,
                epoch: header.producer_epoch,
            },
        };
        let place = (topic.to_owned(), data.index);
        let checked = if self.version >= ADDING_VERSION {
            self.transactions.add_partitions(asking, vec![place], self.now_ms)
        } else {
            self.transactions.check_partition(asking, &place)
        };
        checked.map_err(|error| match error {
            // Partitions know producers by their records, and so this error by the name of records.
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch.into(),
            ResponseError::InvalidTxnState if self.version >= ABORTABLE_VERSION => {
                let message = "the partition is not part of the transaction";
                Refusal::new(ResponseError::TransactionAbortable, message)
            }
            error => error.into(),
        })
    }
}

fn append(topic: &Topic, data: PartitionProduceData, writer: &mut Writer<'_>) -> PartitionProduceResponse {
    let Some(mut log) = topic.log(data.index) else {
        return refused(data.index, ResponseError::UnknownTopicOrPartition.into());
    };
    if let Err(refusal) = writer.check(&topic.name, &data) {
        return refused(data.index, refusal);
    }
    let trouble = writer.troubles.refuse(&topic.name);
    if let Some(code) = trouble.filter(|code| *code != ResponseError::NotEnoughReplicasAfterAppend) {
        return refused(data.index, code.into());
    }
    if writer.acks == -1 && !log.has_enough_replicas() {
        return refused(data.index, ResponseError::NotEnoughReplicas.into());
    }
    // Kafka says where a record without a key cannot be.
    let place = |refusal: Refusal| match refusal.code {
        ResponseError::InvalidRecord => refusal.in_partition(&topic.name, data.index),
        _ => refusal,
    };
    let appended = log.append(data.records.unwrap_or_default(), writer.now_ms);
    if let (Ok(_), Some(code)) = (&appended, trouble) {
        return refused(data.index, code.into());
    }
    match appended {
        Ok(Appended {
            base_offset,
            append_time,
        }) => PartitionProduceResponse::default()
            .with_index(data.index)
            .with_base_offset(base_offset)
            .with_log_append_time_ms(append_time.unwrap_or(-1))
            .with_log_start_offset(log.start()),
        Err(refusal) => refused(data.index, place(refusal)),
    }
}

fn refused(partition: i32, refusal: Refusal) -> PartitionProduceResponse {
    // What says no more than the code is left to the client, as Kafka does.
    let message = Some(refusal.message).filter(|message| *message != refusal.code.to_string());
    let blamed = refusal.blamed.into_iter().map(|(at, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(at)
            .with_batch_index_error_message(Some(text(message)))
    });
    PartitionProduceResponse::default()
        .with_index(partition)
        .with_error_code(refusal.code.code())
        .with_record_errors(blamed.collect())
        .with_error_message(message.map(text))
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
}
