//! Transactions: what is open is not read, what was aborted never is, and whoever was replaced writes nothing.

use std::thread;
use std::time::{Duration, Instant};

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_wire::batch::ProducerStamp;
use kstreams_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kstreams_wire::messages::fetch_response::PartitionData;
use kstreams_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kstreams_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kstreams_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, BrokerId, DescribeTransactionsRequest, EndTxnRequest,
    FindCoordinatorRequest, InitProducerIdRequest, ListOffsetsRequest, ListTransactionsRequest, ProducerId,
    TransactionalId, TxnOffsetCommitRequest,
};

use crate::client::*;
use crate::groups::{committed, group};

const CONCURRENT_TRANSACTIONS: i16 = 51;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const PRODUCER_FENCED: i16 = 90;
const TRANSACTION_ABORTABLE: i16 = 120;
const UNSTABLE_OFFSET: i16 = 88;

/// A transactional producer: which epoch it is in, and which sequence comes next.
#[derive(Debug)]
pub(crate) struct Producer {
    client: Client,
    id: TransactionalId,
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: i16,
    sequence: i32,
}

impl Producer {
    fn begin(stage: &Stage, id: &str) -> Self {
        Self::begin_with(Client::connect(stage), id, 60_000)
    }

    pub(crate) fn begin_with(mut client: Client, id: &str, timeout_ms: i32) -> Self {
        let id = TransactionalId(text(id));
        let find = FindCoordinatorRequest::default()
            .with_key_type(1)
            .with_coordinator_keys(vec![id.0.clone()]);
        while client.ask(&find, 4).coordinators[0].error_code != 0 {
            thread::sleep(Duration::from_millis(20));
        }
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(id.clone()))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let begun = settled(|| {
            let response = client.ask(&init, 4);
            (response.error_code, response)
        });
        assert_eq!(begun.error_code, 0);
        Self {
            client,
            id,
            producer_id: begun.producer_id,
            epoch: begun.producer_epoch,
            sequence: 0,
        }
    }

    /// A producer that was given its id before.
    pub(crate) fn resume(client: Client, id: &str, producer_id: ProducerId, epoch: i16) -> Self {
        Self {
            client,
            id: TransactionalId(text(id)),
            producer_id,
            epoch,
            sequence: 0,
        }
    }

    fn add_partition(&mut self, topic: &str) -> i16 {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(name(topic))
            .with_partitions(vec![0]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone())
            .with_v3_and_below_producer_id(self.producer_id)
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![topic]);
        settled(|| {
            let response = self.client.ask(&request, 3);
            let error = response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
            (error, error)
        })
    }

    /// Version 12 makes the partition part of the transaction by itself, 11 does not.
    pub(crate) fn produce(&mut self, values: &[&str], version: i16) -> i16 {
        let stamp = ProducerStamp {
            producer_id: *self.producer_id,
            epoch: self.epoch,
            base_sequence: self.sequence,
            transactional: true,
        };
        let request = produce_request("t", 0, batch_of(values, stamp)).with_transactional_id(Some(self.id.clone()));
        let error = settled(|| {
            let response = self.client.ask(&request, version);
            let error = response.responses[0].partition_responses[0].error_code;
            (error, error)
        });
        if error == 0 {
            self.sequence += i32::try_from(values.len()).unwrap();
        }
        error
    }

    pub(crate) fn end(&mut self, commit: bool, version: i16) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(self.producer_id)
            .with_producer_epoch(self.epoch)
            .with_committed(commit);
        let response = settled(|| {
            let response = self.client.ask(&request, version);
            (response.error_code, response)
        });
        if version >= 5 && response.error_code == 0 {
            (self.producer_id, self.epoch, self.sequence) = (response.producer_id, response.producer_epoch, 0);
        }
        response.error_code
    }

    pub(crate) fn commit_offset(&mut self, offset: i64, version: i16) -> i16 {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_committed_offset(offset)
            .with_committed_leader_epoch(0)
            .with_committed_metadata(Some(text("m")));
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.id.clone())
            .with_group_id(group())
            .with_producer_id(self.producer_id)
            .with_producer_epoch(self.epoch)
            .with_generation_id(-1)
            .with_topics(vec![topic]);
        settled(|| {
            let response = self.client.ask(&request, version);
            let error = response.topics[0].partitions[0].error_code;
            (error, error)
        })
    }

    fn add_group(&mut self) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(self.producer_id)
            .with_producer_epoch(self.epoch)
            .with_group_id(group());
        settled(|| {
            let error = self.client.ask(&request, 3).error_code;
            (error, error)
        })
    }
}

/// Asks until the coordinator is there and has done what was asked of it before.
fn settled<T>(mut ask: impl FnMut() -> (i16, T)) -> T {
    loop {
        match ask() {
            (CONCURRENT_TRANSACTIONS | 14..=16, _) => thread::sleep(Duration::from_millis(20)),
            (_, response) => return response,
        }
    }
}

pub(crate) fn read_committed(client: &mut Client, offset: i64) -> PartitionData {
    only(client.ask(&fetch_request("t", offset, 0).with_isolation_level(1), 12))
}

/// Asks until the markers of the transaction's end are written, which takes Kafka a while.
fn read_when_stable(client: &mut Client, stable_end: i64) -> PartitionData {
    loop {
        let fetched = read_committed(client, 0);
        if fetched.last_stable_offset >= stable_end {
            return fetched;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn latest(client: &mut Client, isolation: i8) -> i64 {
    let partition = ListOffsetsPartition::default()
        .with_timestamp(-1)
        .with_current_leader_epoch(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation)
        .with_topics(vec![topic]);
    client.ask(&request, 7).topics[0].partitions[0].offset
}

#[test]
fn what_is_open_is_not_read_and_what_is_committed_is() {
    let stage = stage_with("t", 1, &[]);
    let mut reader = Client::connect(&stage);
    let mut producer = Producer::begin(&stage, "reads");
    reader.produce("t", &["plain"]);
    assert_eq!(producer.produce(&["a", "b"], 12), 0);
    reader.produce("t", &["behind"]);
    let fetched = read_committed(&mut reader, 0);
    assert_eq!((fetched.high_watermark, fetched.last_stable_offset), (4, 1));
    assert_eq!(values(&fetched), ["plain"]);
    assert_eq!(values(&reader.fetch("t", 0)), ["plain", "a", "b", "behind"]);
    assert_eq!((latest(&mut reader, 0), latest(&mut reader, 1)), (4, 1));
    assert_eq!(producer.end(true, 5), 0);
    let fetched = read_when_stable(&mut reader, 5);
    assert_eq!(fetched.aborted_transactions, Some(vec![]));
    assert_eq!(values(&fetched)[..4], ["plain", "a", "b", "behind"]);
    assert_eq!(latest(&mut reader, 1), 5, "the marker takes an offset");
}

#[test]
fn readers_are_told_what_was_aborted() {
    let stage = stage_with("t", 1, &[]);
    let mut reader = Client::connect(&stage);
    let mut producer = Producer::begin(&stage, "aborts");
    assert_eq!(producer.add_partition("t"), 0);
    assert_eq!(producer.produce(&["a"], 11), 0);
    assert_eq!(producer.end(false, 4), 0);
    let fetched = read_when_stable(&mut reader, 2);
    let aborted = fetched.aborted_transactions.unwrap();
    assert_eq!(aborted.len(), 1);
    assert_eq!(
        (aborted[0].producer_id, aborted[0].first_offset),
        (producer.producer_id, 0)
    );
    assert_eq!(producer.add_partition("t"), 0);
    assert_eq!(producer.produce(&["b"], 11), 0, "sequences go on in the same epoch");
    assert_eq!(producer.end(true, 4), 0);
    let fetched = read_when_stable(&mut reader, 4);
    assert_eq!(fetched.aborted_transactions.map(|aborted| aborted.len()), Some(1));
    let later = read_committed(&mut reader, 2);
    assert_eq!(later.aborted_transactions, Some(vec![]));
}

#[test]
fn the_first_protocol_wants_partitions_to_be_added() {
    let stage = stage_with("t", 1, &[]);
    let mut producer = Producer::begin(&stage, "adds");
    assert_eq!(producer.produce(&["a"], 10), INVALID_TXN_STATE);
    assert_eq!(producer.produce(&["a"], 11), TRANSACTION_ABORTABLE);
    assert_eq!(producer.add_partition("missing"), 3);
    assert_eq!(producer.add_partition("t"), 0);
    assert_eq!(producer.produce(&["a"], 11), 0);
    assert_eq!(producer.end(true, 4), 0);
    read_when_stable(&mut Client::connect(&stage), 2);
    assert_eq!(producer.produce(&["b"], 11), TRANSACTION_ABORTABLE);
}

#[test]
fn whoever_was_replaced_writes_nothing() {
    let stage = stage_with("t", 1, &[]);
    let mut reader = Client::connect(&stage);
    let mut zombie = Producer::begin(&stage, "fences");
    assert_eq!(zombie.produce(&["zombie"], 12), 0);
    let mut producer = Producer::begin(&stage, "fences");
    assert_eq!(producer.producer_id, zombie.producer_id);
    assert!(producer.epoch > zombie.epoch);
    assert_eq!(zombie.produce(&["late"], 12), INVALID_PRODUCER_EPOCH);
    assert_eq!(zombie.add_partition("t"), PRODUCER_FENCED);
    assert_eq!(zombie.end(true, 5), PRODUCER_FENCED);
    assert_eq!(producer.produce(&["new"], 12), 0);
    assert_eq!(producer.end(true, 5), 0);
    let fetched = read_when_stable(&mut reader, 4);
    let aborted = fetched.aborted_transactions.unwrap();
    assert_eq!(
        aborted.iter().map(|aborted| aborted.first_offset).collect::<Vec<_>>(),
        [0]
    );
}

#[test]
fn an_end_may_be_asked_for_twice() {
    let stage = stage_with("t", 1, &[]);
    let mut producer = Producer::begin(&stage, "twice");
    assert_eq!(producer.produce(&["a"], 12), 0);
    let before = producer.epoch;
    assert_eq!(producer.end(true, 5), 0);
    let after = producer.epoch;
    assert_eq!(after, before + 1);
    producer.epoch = before;
    assert_eq!(producer.end(true, 5), 0, "as if the first answer was lost");
    assert_eq!(producer.epoch, after);
    assert_eq!(producer.end(true, 5), INVALID_TXN_STATE, "nothing was written since");
}

#[test]
fn offsets_are_committed_with_the_transaction() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    let mut producer = Producer::begin(&stage, "offsets");
    assert_eq!(producer.add_group(), 0);
    assert_eq!(producer.commit_offset(7, 3), 0);
    assert_eq!(unstable(&mut client), UNSTABLE_OFFSET);
    assert_eq!(producer.end(false, 4), 0);
    until_stable(&mut client);
    assert_eq!(committed(&mut client).0, -1);
    assert_eq!(
        producer.commit_offset(9, 5),
        0,
        "the group becomes part of it by itself"
    );
    assert_eq!(producer.end(true, 5), 0);
    until_stable(&mut client);
    assert_eq!(committed(&mut client), (9, "m".to_owned()));
}

fn until_stable(client: &mut Client) {
    while unstable(client) != 0 {
        thread::sleep(Duration::from_millis(20));
    }
}

fn unstable(client: &mut Client) -> i16 {
    crate::groups::committed_partition(client).error_code
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    let config = BrokerConfig {
        transaction_check_interval: Duration::from_millis(10),
        ..BrokerConfig::default()
    };
    let broker = Broker::start(config).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    let mut reader = Client::connect_to(broker.addr());
    let mut producer = Producer::begin_with(Client::connect_to(broker.addr()), "slow", 50);
    assert_eq!(producer.produce(&["a"], 12), 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while read_committed(&mut reader, 0).last_stable_offset < 2 {
        assert!(Instant::now() < deadline, "it is not aborted");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(producer.end(true, 5), PRODUCER_FENCED);
    assert_eq!(states(&mut reader, "slow"), ["CompleteAbort"]);
}

#[test]
fn transactions_are_described() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    let mut producer = Producer::begin(&stage, "seen");
    assert_eq!(states(&mut client, "seen"), ["Empty"]);
    assert_eq!(producer.produce(&["a"], 12), 0);
    assert_eq!(states(&mut client, "seen"), ["Ongoing"]);
    let filter = ListTransactionsRequest::default().with_producer_id_filters(vec![producer.producer_id]);
    let listed = client.ask(&filter, 0).transaction_states;
    assert_eq!(listed.len(), 1);
    assert_eq!(&*listed[0].transactional_id.0, "seen");
    assert_eq!(producer.end(true, 5), 0);
}

fn states(client: &mut Client, id: &str) -> Vec<String> {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(text(id))]);
    let states = client.ask(&request, 0).transaction_states;
    states.iter().map(|state| state.transaction_state.to_string()).collect()
}

#[test]
fn an_open_transaction_survives_the_broker() {
    let data = tempfile::tempdir().unwrap();
    let config = || BrokerConfig {
        data: Some(data.path().to_owned()),
        ..BrokerConfig::default()
    };
    let broker = Broker::start(config()).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    let mut producer = Producer::begin_with(Client::connect_to(broker.addr()), "lasts", 60_000);
    assert_eq!(producer.produce(&["dropped"], 12), 0);
    assert_eq!(producer.end(false, 5), 0);
    assert_eq!(producer.produce(&["a"], 12), 0);
    assert_eq!(producer.commit_offset(3, 5), 0);
    broker.stop().unwrap();

    let broker = Broker::start(config()).unwrap();
    let mut reader = Client::connect_to(broker.addr());
    assert_eq!(read_committed(&mut reader, 0).last_stable_offset, 2);
    producer.client = Client::connect_to(broker.addr());
    assert_eq!(producer.produce(&["b"], 12), 0);
    assert_eq!(producer.end(true, 5), 0);
    let fetched = read_committed(&mut reader, 0);
    assert_eq!(fetched.last_stable_offset, 5);
    assert_eq!(fetched.aborted_transactions.map(|aborted| aborted.len()), Some(1));
    assert_eq!(committed(&mut reader).0, 3);
}
