//! How the coordinators of transactions and groups are asked.

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kstreams_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kstreams_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId, InitProducerIdRequest, ProducerId,
    Request, StrBytes, TopicName as Name, TransactionalId, TxnOffsetCommitRequest,
};
use kstreams_wire::{TopicName, TopicPartition};

use super::super::queue::Identity;
use super::machine::{Answer, Ask, Machine, Outcome, Protocol, Remedy, is_fencing, remedy};
use crate::cluster::{Cluster, NodeId};
use crate::error::{Error, Result};
use crate::group::{Committed, GroupMetadata};
use crate::network::sleep;

/// Which requests the first protocol makes: later versions mean the second one.
const END_VERSION_ONE_MAX: i16 = 4;
const OFFSETS_VERSION_ONE_MAX: i16 = 4;
/// Later versions are for brokers among themselves.
const ADD_PARTITIONS_VERSION_MAX: i16 = 3;
/// The markers of the transaction before are about to be written: that takes less time than a failure.
const CONCURRENT_PAUSE: Duration = Duration::from_millis(20);
/// The name of the feature whose level says which protocol is spoken.
const FEATURE: &str = "transaction.version";

/// What the questions of one conversation are about.
pub(super) struct Errand {
    pub(super) cluster: Cluster,
    pub(super) id: String,
    pub(super) timeout: Duration,
    pub(super) group: Option<GroupMetadata>,
    pub(super) offsets: BTreeMap<TopicPartition, Committed>,
}

impl Errand {
    pub(super) async fn ask(&self, ask: Ask, machine: &mut Machine) -> Result<Answer> {
        match ask {
            Ask::Begin(known) => self.begin(known, machine).await,
            Ask::AddGroup(identity) => self.add_group(identity).await,
            Ask::CommitOffsets(identity) => self.commit_offsets(identity, machine.protocol()).await,
            Ask::End(identity, outcome) => self.end(identity, outcome, machine.protocol()).await,
        }
    }

    /// Forgets who was asked in vain.
    pub(super) fn forget_coordinator(&self, ask: Ask) {
        match (ask, &self.group) {
            (Ask::CommitOffsets(_), Some(group)) => self.cluster.forget_coordinator(&group.group_id),
            _ => self.cluster.forget_transaction_coordinator(&self.id),
        }
    }

    async fn begin(&self, known: Option<Identity>, machine: &mut Machine) -> Result<Answer> {
        let node = self.cluster.transaction_coordinator(&self.id).await?;
        let connection = self.cluster.connection(node).await?;
        machine.agree(Protocol::of_feature(connection.feature(FEATURE)));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.transactional_id()))
            .with_transaction_timeout_ms(i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX))
            .with_producer_id(ProducerId(known.map_or(-1, |known| known.producer_id)))
            .with_producer_epoch(known.map_or(-1, |known| known.epoch));
        let answer = self.cluster.send(node, request).await?;
        Ok(Answer {
            code: ErrorCode::from(answer.error_code),
            identity: Some(Identity {
                producer_id: answer.producer_id.0,
                epoch: answer.producer_epoch,
            }),
        })
    }

    async fn add_group(&self, identity: Identity) -> Result<Answer> {
        let node = self.cluster.transaction_coordinator(&self.id).await?;
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(identity.producer_id))
            .with_producer_epoch(identity.epoch)
            .with_group_id(self.group_id());
        let answer = self.cluster.send(node, request).await?;
        Ok(said(answer.error_code))
    }

    async fn commit_offsets(&self, identity: Identity, protocol: Protocol) -> Result<Answer> {
        let Some(group) = &self.group else {
            return Ok(said(0));
        };
        let mut topics: BTreeMap<&TopicName, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
        for (partition, committed) in &self.offsets {
            let offset = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(partition.partition)
                .with_committed_offset(committed.offset)
                .with_committed_leader_epoch(committed.leader_epoch.unwrap_or(-1))
                .with_committed_metadata(Some(text(&committed.metadata)));
            topics.entry(&partition.topic).or_default().push(offset);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            TxnOffsetCommitRequestTopic::default()
                .with_name(Name::from(topic))
                .with_partitions(partitions)
        });
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_group_id(self.group_id())
            .with_producer_id(ProducerId(identity.producer_id))
            .with_producer_epoch(identity.epoch)
            .with_generation_id(group.generation)
            .with_member_id(text(&group.member_id))
            .with_group_instance_id(group.instance_id.as_deref().map(text))
            .with_topics(topics.collect());
        let node = self.cluster.coordinator(&group.group_id).await?;
        let answer = self.send(node, request, protocol, OFFSETS_VERSION_ONE_MAX).await?;
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let refused = partitions.map(|partition| partition.error_code).find(|code| *code != 0);
        Ok(said(refused.unwrap_or(0)))
    }

    async fn end(&self, identity: Identity, outcome: Outcome, protocol: Protocol) -> Result<Answer> {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(identity.producer_id))
            .with_producer_epoch(identity.epoch)
            .with_committed(outcome == Outcome::Commit);
        let node = self.cluster.transaction_coordinator(&self.id).await?;
        let answer = self.send(node, request, protocol, END_VERSION_ONE_MAX).await?;
        let next = Identity {
            producer_id: answer.producer_id.0,
            epoch: answer.producer_epoch,
        };
        Ok(Answer {
            identity: (protocol == Protocol::Two && next.producer_id >= 0).then_some(next),
            ..said(answer.error_code)
        })
    }

    /// Sends a request in a version that the protocol knows.
    async fn send<R: Request>(
        &self,
        node: NodeId,
        request: R,
        protocol: Protocol,
        first_max: i16,
    ) -> Result<R::Response> {
        let connection = self.cluster.connection(node).await?;
        let version = connection.version::<R>()?;
        let version = match protocol {
            Protocol::One => version.min(first_max),
            Protocol::Two => version,
        };
        let limit = self.cluster.config().request_timeout;
        connection.send(&request, version, limit).await
    }

    fn transactional_id(&self) -> TransactionalId {
        TransactionalId(text(&self.id))
    }

    fn group_id(&self) -> GroupId {
        let group = self.group.as_ref().map_or("", |group| group.group_id.as_str());
        GroupId(text(group))
    }
}

/// Makes partitions part of the transaction, as the first protocol wants it before anything is written to them.
pub(in super::super) async fn add_partitions(
    cluster: Cluster,
    (id, identity): (String, Identity),
    partitions: Vec<TopicPartition>,
) -> Result<()> {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for partition in &partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        AddPartitionsToTxnTopic::default()
            .with_name(Name::from(topic))
            .with_partitions(partitions)
    });
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(text(&id)))
        .with_v3_and_below_producer_id(ProducerId(identity.producer_id))
        .with_v3_and_below_producer_epoch(identity.epoch)
        .with_v3_and_below_topics(topics.collect());
    let mut backoff = cluster.backoff();
    loop {
        let mut pause = None;
        let again = match ask_to_add(&cluster, &id, &request).await {
            Ok(None) => return Ok(()),
            Ok(Some(code)) => {
                pause = (code == ErrorCode::CONCURRENT_TRANSACTIONS).then_some(CONCURRENT_PAUSE);
                match remedy(code) {
                    Some(again) => again,
                    None => return Err(refused(id, code)),
                }
            }
            Err(error) if error.is_retriable() => Remedy::FindCoordinator,
            Err(error) => return Err(error),
        };
        if again == Remedy::FindCoordinator {
            cluster.forget_transaction_coordinator(&id);
        }
        sleep(pause.unwrap_or_else(|| backoff.failed())).await;
    }
}

/// The first refusal, if there is one: partitions are added all or none.
async fn ask_to_add(cluster: &Cluster, id: &str, request: &AddPartitionsToTxnRequest) -> Result<Option<ErrorCode>> {
    let node = cluster.transaction_coordinator(id).await?;
    let connection = cluster.connection(node).await?;
    let version = connection.version::<AddPartitionsToTxnRequest>()?;
    let version = version.min(ADD_PARTITIONS_VERSION_MAX);
    let limit = cluster.config().request_timeout;
    let answer = connection.send(request, version, limit).await?;
    let topics = answer.results_by_topic_v3_and_below.iter();
    let codes = topics
        .flat_map(|topic| &topic.results_by_partition)
        .map(|partition| ErrorCode::from(partition.partition_error_code));
    let not_attempted = |code: &ErrorCode| *code == ErrorCode::OPERATION_NOT_ATTEMPTED;
    let (echoes, causes): (Vec<_>, Vec<_>) = codes.filter(|code| !code.is_ok()).partition(not_attempted);
    Ok(causes.first().or(echoes.first()).copied())
}

fn refused(id: String, code: ErrorCode) -> Error {
    if is_fencing(code) {
        return Error::Fenced { id, code };
    }
    Error::Abortable {
        id,
        what: "adding partitions".to_owned(),
        code,
    }
}

fn said(code: i16) -> Answer {
    Answer {
        code: ErrorCode::from(code),
        identity: None,
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
