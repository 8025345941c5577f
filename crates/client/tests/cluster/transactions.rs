//! A transactional producer: all or nothing, and one at a time, in both versions of the protocol.

use std::collections::BTreeMap;

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::group::Stability;
use kstreams_client::{Client, Committed, Error, GroupMetadata, Producer};
use kstreams_wire::TopicName;
use kstreams_wire::code::ErrorCode;

use crate::{client, consumer, partition, poll_until, produce, producer};

/// A broker that offers this version of the protocol, with a topic of two partitions.
fn stage(version: i16) -> (Broker, Client) {
    let config = BrokerConfig {
        transaction_version: version,
        ..BrokerConfig::default()
    };
    let broker = Broker::start(config).unwrap();
    broker.create_topic("t", 2, &[]).unwrap();
    let client = client(&broker.addr().to_string());
    (broker, client)
}

fn transactional(client: &Client, id: &str) -> Producer {
    let mut producer = producer(client, &[("transactional.id", id), ("linger.ms", "0")]);
    producer.init_transactions().unwrap();
    producer
}

/// Asserts that these are the committed values of both partitions.
fn assert_committed(client: &Client, expected: impl IntoIterator<Item = u32>) {
    let expected: Vec<u32> = expected.into_iter().collect();
    let mut consumer = consumer(client, &[("isolation.level", "read_committed")]);
    let all = [0, 1].map(|number| (partition("t", number), kstreams_client::Start::Beginning));
    consumer.assign(&all);
    let got = poll_until(&mut consumer, |got| got.count() >= expected.len());
    let mut values: Vec<u32> = got
        .values
        .values()
        .flatten()
        .map(|(_, value)| value.parse().unwrap())
        .collect();
    values.sort_unstable();
    assert_eq!(values, expected);
}

fn write(producer: &mut Producer, numbers: std::ops::Range<u32>) -> kstreams_client::Result<()> {
    let topic = producer.topic(&TopicName::new("t"));
    produce(producer, topic, numbers)
}

fn both_versions(test: impl Fn(Broker, Client)) {
    for version in [1, 2] {
        let (broker, client) = stage(version);
        test(broker, client);
    }
}

#[test]
fn committed_records_are_read_and_aborted_ones_are_not() {
    both_versions(|_broker, client| {
        let mut producer = transactional(&client, "x");
        write(&mut producer, 0..10).unwrap();
        assert!(producer.in_transaction());
        producer.commit_transaction().unwrap();
        assert!(!producer.in_transaction());
        write(&mut producer, 10..20).unwrap();
        producer.flush().unwrap();
        producer.abort_transaction().unwrap();
        write(&mut producer, 20..30).unwrap();
        producer.abort_transaction().unwrap();
        for end in [32, 34, 36] {
            write(&mut producer, end - 2..end).unwrap();
            producer.commit_transaction().unwrap();
        }
        producer.commit_transaction().unwrap();
        assert_committed(&client, (0..10).chain(30..36));
    });
}

#[test]
fn offsets_are_committed_with_the_records_or_not_at_all() {
    both_versions(|_broker, client| {
        let group = GroupMetadata::outside("g");
        let mut producer = transactional(&client, "x");
        let at = |offset| BTreeMap::from([(partition("t", 0), Committed::at(offset))]);
        producer.send_offsets(&at(5), &group).unwrap();
        producer.abort_transaction().unwrap();
        let committed = |client: &Client| {
            let admin = client.admin();
            let offsets = admin.committed_offsets("g", None, Stability::Required).unwrap();
            offsets.get(&partition("t", 0)).map(|committed| committed.offset)
        };
        assert_eq!(committed(&client), None);
        write(&mut producer, 0..2).unwrap();
        producer.send_offsets(&at(7), &group).unwrap();
        producer.commit_transaction().unwrap();
        assert_eq!(committed(&client), Some(7));
        producer.send_offsets(&at(8), &group).unwrap();
        producer.send_offsets(&at(9), &group).unwrap();
        producer.commit_transaction().unwrap();
        assert_eq!(committed(&client), Some(9));
    });
}

#[test]
fn a_stranger_to_the_group_commits_nothing() {
    both_versions(|_broker, client| {
        let mut producer = transactional(&client, "x");
        let stranger = GroupMetadata {
            generation: 3,
            member_id: "nobody".to_owned(),
            ..GroupMetadata::outside("g")
        };
        let offsets = BTreeMap::from([(partition("t", 0), Committed::at(1))]);
        write(&mut producer, 0..2).unwrap();
        let error = producer.send_offsets(&offsets, &stranger).unwrap_err();
        assert!(matches!(error, Error::NotMember { .. }), "{error}");
        producer.commit_transaction().unwrap_err();
        producer.abort_transaction().unwrap();
        write(&mut producer, 2..4).unwrap();
        producer.commit_transaction().unwrap();
        assert_committed(&client, [2, 3]);
    });
}

#[test]
fn whoever_comes_later_fences_who_was_there() {
    both_versions(|_broker, client| {
        let mut zombie = transactional(&client, "x");
        write(&mut zombie, 0..2).unwrap();
        zombie.flush().unwrap();
        let mut successor = transactional(&client, "x");
        let late = write(&mut zombie, 2..4).and_then(|()| zombie.commit_transaction());
        let code = late.unwrap_err().code();
        let fenced = [ErrorCode::INVALID_PRODUCER_EPOCH, ErrorCode::PRODUCER_FENCED];
        assert!(code.is_some_and(|code| fenced.contains(&code)), "{code:?}");
        write(&mut successor, 10..12).unwrap();
        successor.commit_transaction().unwrap();
        assert_committed(&client, [10, 11]);
        // It may come back, as the youngest.
        zombie.init_transactions().unwrap();
        write(&mut zombie, 20..22).unwrap();
        zombie.commit_transaction().unwrap();
        assert_committed(&client, [10, 11, 20, 21]);
        let error = write(&mut successor, 30..31).and_then(|()| successor.commit_transaction());
        error.unwrap_err();
    });
}

#[test]
fn a_producer_that_was_not_initialised_says_so() {
    let (_broker, client) = stage(2);
    let mut producer = producer(&client, &[("transactional.id", "x")]);
    let error = write(&mut producer, 0..1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "transactional id x: init_transactions must come first"
    );
}

#[test]
fn a_transaction_goes_on_after_a_restart_of_the_broker() {
    let data = tempfile::tempdir().unwrap();
    let config = |listen| BrokerConfig {
        listen,
        data: Some(data.path().to_owned()),
        ..BrokerConfig::default()
    };
    let broker = Broker::start(config(([127, 0, 0, 1], 0).into())).unwrap();
    broker.create_topic("t", 2, &[]).unwrap();
    let (client, listen) = (client(&broker.addr().to_string()), broker.addr());
    let mut producer = transactional(&client, "x");
    write(&mut producer, 0..4).unwrap();
    producer.flush().unwrap();
    broker.stop().unwrap();
    let _broker = Broker::start(config(listen)).unwrap();
    write(&mut producer, 4..8).unwrap();
    producer.commit_transaction().unwrap();
    assert_committed(&client, 0..8);
}
