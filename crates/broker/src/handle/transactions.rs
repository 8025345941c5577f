//! Begins, extends and ends transactions, and describes them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::list_transactions_response::TransactionState as ListedTransaction;
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest,
    ListTransactionsResponse, ProducerId, TransactionalId, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use super::committed::{self, Commit};
use super::{Context, group, text};
use crate::coordinate::offsets::Place;
use crate::coordinate::transaction::{Producer, Protocol, Transaction};
use crate::coordinate::transactions::{Asking, Begin};
use crate::log::Outcome;
use crate::node::{Node, wall_clock_ms};
use crate::refusal::Refusal;
use crate::topics::Topics;

/// Gives a producer its id: with a transactional id, the one that belongs to it, in the next epoch.
pub(super) fn init_producer_id(
    node: &Rc<Node>,
    context: &Context,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let response = InitProducerIdResponse::default();
    let begun = match &request.transactional_id {
        None => idempotent(node),
        Some(id) if id.is_empty() => Err(ResponseError::InvalidRequest),
        Some(id) => {
            let begin = Begin {
                timeout: Duration::from_millis(u64::try_from(request.transaction_timeout_ms).unwrap_or(0)),
                known: (*request.producer_id >= 0).then_some(Producer {
                    id: *request.producer_id,
                    epoch: request.producer_epoch,
                }),
            };
            node.begin_transactions(id, begin)
        }
    };
    match begun {
        Ok(producer) => response
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch),
        Err(error) => response
            .with_error_code(fenced(error, context.version, 4))
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

fn idempotent(node: &Rc<Node>) -> Result<Producer, ResponseError> {
    let id = node.identity.borrow_mut().new_producer_id();
    let id = id.map_err(|error| Refusal::storage(error).code)?;
    Ok(Producer { id, epoch: 0 })
}

/// Makes partitions part of a transaction.
pub(super) fn add_partitions(
    node: &Rc<Node>,
    context: &Context,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let asking = asking(
        &request.v3_and_below_transactional_id,
        request.v3_and_below_producer_id,
        request.v3_and_below_producer_epoch,
    );
    let wanted = &request.v3_and_below_topics;
    let topics = node.topics.borrow();
    let places = wanted.iter().flat_map(places_of);
    let missing = |place: &Place| !exists(&topics, place);
    let all_exist = !places.clone().any(|place| missing(&place));
    let added = match all_exist {
        true => {
            let mut transactions = node.transactions.borrow_mut();
            transactions.add_partitions(asking, places.collect(), wall_clock_ms())
        }
        // All or none: what could have been added was not attempted.
        false => Err(ResponseError::OperationNotAttempted),
    };
    let results = wanted.iter().map(|topic| {
        let partitions = places_of(topic).map(|place| {
            let error = match added {
                Err(_) if missing(&place) => ResponseError::UnknownTopicOrPartition.code(),
                Err(error) => fenced(error, context.version, 2),
                Ok(()) => 0,
            };
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(place.1)
                .with_partition_error_code(error)
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

fn places_of(topic: &AddPartitionsToTxnTopic) -> impl Iterator<Item = Place> + Clone {
    topic
        .partitions
        .iter()
        .map(|partition| (topic.name.to_string(), *partition))
}

fn exists(topics: &Topics, (topic, partition): &Place) -> bool {
    let topic = topics.find(topic);
    topic.is_some_and(|topic| (0..topic.partitions()).contains(partition))
}

/// Makes a group's offsets part of a transaction.
pub(super) fn add_offsets(
    node: &Rc<Node>,
    context: &Context,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let asking = asking(&request.transactional_id, request.producer_id, request.producer_epoch);
    let mut transactions = node.transactions.borrow_mut();
    let added = transactions.add_group(asking, &request.group_id, wall_clock_ms());
    let error = added.map_or_else(|error| fenced(error, context.version, 2), |()| 0);
    AddOffsetsToTxnResponse::default().with_error_code(error)
}

/// Keeps offsets that are to be committed with a transaction.
pub(super) fn commit_offsets(
    node: &Rc<Node>,
    context: &Context,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let allowed = may_commit(node, context, &request);
    let topics = node.topics.borrow();
    let mut commits = Vec::new();
    let mut results = Vec::new();
    for topic in request.topics {
        let TxnOffsetCommitRequestTopic { name, partitions, .. } = topic;
        let partitions = partitions.into_iter().map(|partition| {
            let index = partition.partition_index;
            let commit = Commit {
                partition: index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata,
            };
            let checked = allowed.and_then(|()| committed::check(&topics, &name, commit));
            let error = checked.map(|commit| commits.push(commit)).err();
            (index, error)
        });
        results.push((name.clone(), partitions.collect::<Vec<_>>()));
    }
    let asking = asking(&request.transactional_id, request.producer_id, request.producer_epoch);
    let mut transactions = node.transactions.borrow_mut();
    let kept = match commits.is_empty() {
        true => Ok(()),
        false => transactions.add_offsets(asking, &request.group_id, commits),
    };
    let topics = results.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, error)| {
            let error = error.or(kept.err()).map_or(0, |error| error.code());
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error)
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(name)
            .with_partitions(partitions.collect())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

/// Whether it is the producer who commits, and a member of the group as it is now.
fn may_commit(node: &Rc<Node>, context: &Context, request: &TxnOffsetCommitRequest) -> Result<(), ResponseError> {
    let asking = asking(&request.transactional_id, request.producer_id, request.producer_epoch);
    let mut transactions = node.transactions.borrow_mut();
    let transaction = transactions
        .find(asking.id)
        .ok_or(ResponseError::InvalidProducerIdMapping)?;
    // The group's coordinator knows producers by their records only, and so this error by the name of records.
    transaction.check(asking.producer).map_err(|error| match error {
        ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
        other => other,
    })?;
    // Before version 3 nobody says which member it is.
    if context.version >= 3 && (request.generation_id >= 0 || !request.member_id.is_empty()) {
        let instance = request.group_instance_id.as_ref();
        let identity = group::identity(&request.member_id, instance, request.generation_id);
        let mut groups = node.groups.borrow_mut();
        groups
            .check_commit(&request.group_id, &identity)
            .map_err(|error| match error {
                ResponseError::GroupIdNotFound => ResponseError::IllegalGeneration,
                other => other,
            })
            // A member whose group is just rebalancing still owns what it has read.
            .or_else(|error| match error {
                ResponseError::RebalanceInProgress => Ok(()),
                other => Err(other),
            })?;
    }
    // From version 5 on, committing makes the group part of the transaction.
    if context.version >= 5 {
        transactions.add_group(asking, &request.group_id, wall_clock_ms())?;
    }
    Ok(())
}

/// Ends a transaction.
pub(super) fn end(node: &Rc<Node>, context: &Context, request: EndTxnRequest) -> EndTxnResponse {
    let asking = asking(&request.transactional_id, request.producer_id, request.producer_epoch);
    let outcome = match request.committed {
        true => Outcome::Commit,
        false => Outcome::Abort,
    };
    let protocol = match context.version {
        ..5 => Protocol::One,
        5.. => Protocol::Two,
    };
    match node.end_transaction(asking, outcome, protocol) {
        Ok(producer) if protocol == Protocol::Two => EndTxnResponse::default()
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch),
        Ok(_) => EndTxnResponse::default(),
        Err(error) => EndTxnResponse::default().with_error_code(fenced(error, context.version, 2)),
    }
}

/// Who asks, as requests say it.
fn asking(id: &TransactionalId, producer_id: ProducerId, epoch: i16) -> Asking<'_> {
    Asking {
        id,
        producer: Producer {
            id: *producer_id,
            epoch,
        },
    }
}

/// Clients before version `since` know the fencing of producers by an older name.
fn fenced(error: ResponseError, version: i16, since: i16) -> i16 {
    match error {
        ResponseError::ProducerFenced if version < since => ResponseError::InvalidProducerEpoch.code(),
        error => error.code(),
    }
}

/// Tells where transactions stand.
pub(super) fn describe(
    node: &Rc<Node>,
    _: &Context,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let transactions = node.transactions.borrow();
    let states = request.transactional_ids.into_iter().map(|id| {
        let state = match transactions.find(&id) {
            Some(transaction) => described(transaction),
            None => TransactionState::default().with_error_code(ResponseError::TransactionalIdNotFound.code()),
        };
        state.with_transactional_id(id)
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

fn described(transaction: &Transaction) -> TransactionState {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &transaction.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let data = TopicData::default().with_topic(text(topic).into());
        data.with_partitions(partitions)
    });
    let timeout_ms = i32::try_from(transaction.timeout.as_millis()).unwrap_or(i32::MAX);
    TransactionState::default()
        .with_transaction_state(text(transaction.phase.name()))
        .with_transaction_timeout_ms(timeout_ms)
        .with_transaction_start_time_ms(transaction.started_ms)
        .with_producer_id(ProducerId(transaction.producer.id))
        .with_producer_epoch(transaction.producer.epoch)
        .with_topics(topics.collect())
}

/// All transactional ids, or those that the filters let pass.
pub(super) fn list(node: &Rc<Node>, _: &Context, request: ListTransactionsRequest) -> ListTransactionsResponse {
    let now_ms = wall_clock_ms();
    let passes = |transaction: &Transaction| {
        let state = transaction.phase.name();
        let states = &request.state_filters;
        let producers = &request.producer_id_filters;
        let runs_ms = now_ms.saturating_sub(transaction.started_ms);
        let is_long =
            request.duration_filter <= 0 || (transaction.started_ms >= 0 && runs_ms >= request.duration_filter);
        (states.is_empty() || states.iter().any(|wanted| **wanted == *state))
            && (producers.is_empty() || producers.iter().any(|id| **id == transaction.producer.id))
            && is_long
    };
    let transactions = node.transactions.borrow();
    let states = transactions.iter().filter(|(_, transaction)| passes(transaction));
    let states = states.map(|(id, transaction)| {
        ListedTransaction::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(ProducerId(transaction.producer.id))
            .with_transaction_state(text(transaction.phase.name()))
    });
    ListTransactionsResponse::default().with_transaction_states(states.collect())
}

/// Tells who writes to partitions, and where open transactions begin.
pub(super) fn describe_producers(
    node: &Rc<Node>,
    _: &Context,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = node.topics.borrow();
    let coordinator_epoch = node.identity.borrow().epoch;
    let described = request.topics.into_iter().map(|wanted| {
        let topic = topics.find(&wanted.name);
        let partitions = wanted.partition_indexes.into_iter().map(|partition| {
            let response = PartitionResponse::default().with_partition_index(partition);
            let Some(log) = topic.and_then(|topic| topic.log(partition)) else {
                return response.with_error_code(ResponseError::UnknownTopicOrPartition.code());
            };
            let producers = log.active_producers().map(|producer| {
                ProducerState::default()
                    .with_producer_id(ProducerId(producer.producer_id))
                    .with_producer_epoch(i32::from(producer.epoch))
                    .with_last_sequence(producer.last_sequence.unwrap_or(-1))
                    .with_last_timestamp(producer.seen_ms)
                    .with_coordinator_epoch(coordinator_epoch)
                    .with_current_txn_start_offset(producer.transaction_start.unwrap_or(-1))
            });
            response.with_active_producers(producers.collect())
        });
        let partitions = partitions.collect();
        TopicResponse::default()
            .with_name(wanted.name)
            .with_partitions(partitions)
    });
    DescribeProducersResponse::default().with_topics(described.collect())
}
