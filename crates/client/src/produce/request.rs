//! Produce and InitProducerId requests.

use std::time::Duration;

use kstreams_wire::TopicName;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kstreams_wire::messages::{
    InitProducerIdRequest, ProduceRequest, ProducerId, StrBytes, TopicName as Name, TransactionalId,
};

use super::ProducerConfig;
use super::queue::{Identity, Numbered};
use super::transaction::machine::Protocol;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::network::sleep;

/// The newest version that names topics; later ones use ids, which a re-created topic changes.
const PRODUCE_VERSION_MAX: i16 = 12;
/// The newest version in which writing to a partition does not make it part of the transaction.
const PRODUCE_VERSION_ONE_MAX: i16 = 11;

/// The newest version of Produce that means what the producer means.
pub(super) fn produce_version_max(config: &ProducerConfig, protocol: Protocol) -> i16 {
    match (&config.transactional, protocol) {
        (Some(_), Protocol::One) => PRODUCE_VERSION_ONE_MAX,
        _ => PRODUCE_VERSION_MAX,
    }
}

/// A request that carries these batches, of different partitions each.
pub(super) fn produce(
    batches: &[Numbered],
    topics: &[TopicName],
    config: &ProducerConfig,
    timeout: Duration,
) -> ProduceRequest {
    let mut data: Vec<(u32, TopicProduceData)> = Vec::new();
    for batch in batches {
        let place = batch.batch.place;
        let partition = PartitionProduceData::default()
            .with_index(place.partition)
            .with_records(Some(batch.batch.bytes.clone()));
        if let Some((_, topic)) = data.iter_mut().find(|(topic, _)| *topic == place.topic) {
            topic.partition_data.push(partition);
            continue;
        }
        let name = usize::try_from(place.topic).ok().and_then(|index| topics.get(index));
        let name = Name::from(name.expect("a topic is announced before its first batch"));
        data.push((
            place.topic,
            TopicProduceData::default()
                .with_name(name)
                .with_partition_data(vec![partition]),
        ));
    }
    let transactional = config.transactional.as_ref();
    ProduceRequest::default()
        .with_transactional_id(transactional.map(|t| TransactionalId(StrBytes::from_string(t.id.clone()))))
        .with_acks(config.acks.to_wire())
        .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(data.into_iter().map(|(_, topic)| topic).collect())
}

/// Asks until some broker gives a producer id.
pub(super) async fn identity(cluster: &Cluster) -> Result<Identity> {
    let mut backoff = cluster.backoff();
    loop {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(i32::MAX)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let answer = cluster.send_any(request).await?;
        match ErrorCode::from(answer.error_code) {
            ErrorCode::NONE => {
                return Ok(Identity {
                    producer_id: answer.producer_id.0,
                    epoch: answer.producer_epoch,
                });
            }
            code if code.is_retriable() => sleep(backoff.failed()).await,
            code => {
                return Err(Error::Refused {
                    what: "producer id".to_owned(),
                    code,
                });
            }
        }
    }
}
