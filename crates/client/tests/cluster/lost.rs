//! Records that cannot be written, handed back to an owner who asks for them: the others go on, once each and in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kstreams_broker::{Broker, BrokerConfig, Trouble};
use kstreams_client::{
    Client, Error, Fate, Lost, OnLoss, Producer, ProducerConfig, ProducerRecord, ProducerTopic, Start,
};
use kstreams_wire::code::ErrorCode;
use kstreams_wire::{Headers, TopicName};

use super::{broker, client, consumer, partition, poll_until, produce, properties, read_all};

/// A producer that hands back what it loses. Its batches are small, so that several are on their way.
fn reporting(client: &Client, more: &[(&str, &str)]) -> Producer {
    let mut all = vec![("batch.size", "200"), ("linger.ms", "0")];
    all.extend(more);
    let config = ProducerConfig {
        on_loss: OnLoss::Report,
        ..ProducerConfig::from_properties(&properties("x:1", &all)).unwrap()
    };
    let mut producer = client.producer(config);
    if more.iter().any(|(key, _)| *key == "transactional.id") {
        producer.init_transactions().unwrap();
    }
    producer
}

/// The three ways of writing in which brokers know a producer's batches by their sequences: idempotent, and in
/// transactions of either version of the protocol.
fn every_way(configs: &[(&str, &str)], test: impl Fn(Broker, Client, Producer)) {
    for (transaction_version, transactional) in [(2, false), (1, true), (2, true)] {
        let broker = Broker::start(BrokerConfig {
            transaction_version,
            ..BrokerConfig::default()
        })
        .unwrap();
        broker.create_topic("t", 1, configs).unwrap();
        let client = client(&broker.bootstrap_servers());
        let id: &[_] = if transactional {
            &[("transactional.id", "x")]
        } else {
            &[]
        };
        let producer = reporting(&client, id);
        test(broker, client, producer);
    }
}

fn append(producer: &mut Producer, topic: ProducerTopic, value: &str) -> kstreams_client::Result<()> {
    append_with(producer, topic, Some(b"k"), value)
}

fn append_with(
    producer: &mut Producer,
    topic: ProducerTopic,
    key: Option<&[u8]>,
    value: &str,
) -> kstreams_client::Result<()> {
    let mut headers = Headers::new();
    headers.push("h", Some(value.to_owned().into()));
    let record = ProducerRecord {
        key,
        value: Some(value.as_bytes()),
        timestamp: 1_000_000_000_000,
        headers: &headers,
    };
    producer.append_from(topic, Some(0), record, Arc::new(value.to_owned()))
}

/// Ends what was written so that committed readers see it.
fn finish(producer: &mut Producer) {
    if producer.in_transaction() {
        producer.commit_transaction().unwrap();
    }
}

/// What a committed reader gets.
fn committed(client: &Client, count: usize) -> Vec<String> {
    let mut consumer = consumer(client, &[("isolation.level", "read_committed")]);
    consumer.assign(&[(partition("t", 0), Start::Beginning)]);
    let got = poll_until(&mut consumer, |got| got.count() >= count);
    got.of(&partition("t", 0)).into_iter().map(str::to_owned).collect()
}

fn values(lost: &[Lost]) -> Vec<String> {
    let records = lost.iter().flat_map(|lost| &lost.records);
    let text = |value: &Option<bytes::Bytes>| String::from_utf8(value.clone().unwrap().to_vec()).unwrap();
    records.map(|record| text(&record.value)).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn refuse(broker: &Broker, code: ErrorCode, times: u32) {
    let topic = "t".to_owned();
    broker.make_trouble(Trouble::Refuse { topic, code, times }).unwrap();
}

const FOREVER: &[(&str, &str)] = &[("retention.ms", "-1")];

#[test]
fn only_the_record_that_is_too_large_for_the_topic_is_lost() {
    let configs = [("max.message.bytes", "500"), ("retention.ms", "-1")];
    every_way(&configs, |_broker, client, mut producer| {
        let topic = producer.topic(&TopicName::new("t"));
        let large = "x".repeat(600);
        for value in numbers(0..50).iter().chain([&large]).chain(&numbers(50..100)) {
            append(&mut producer, topic, value).unwrap();
        }
        producer.flush().unwrap();
        let lost = producer.take_lost();
        assert_eq!(values(&lost), std::slice::from_ref(&large));
        let [lost] = &*lost else { unreachable!() };
        assert_eq!(lost.error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
        assert_eq!((&lost.partition, lost.fate), (&partition("t", 0), Fate::NotWritten));
        let record = &lost.records[0];
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(record.timestamp, 1_000_000_000_000);
        let header = record.headers.last(b"h").unwrap();
        assert_eq!(header.value.as_deref(), Some(large.as_bytes()));
        let origin = record.origin.clone().unwrap().downcast::<String>().unwrap();
        assert_eq!(*origin, large);
        finish(&mut producer);
        assert_eq!(committed(&client, 100), numbers(0..100));
    });
}

#[test]
fn of_a_batch_only_the_records_that_are_to_blame_are_lost() {
    every_way(&[("cleanup.policy", "compact")], |_broker, client, mut producer| {
        let topic = producer.topic(&TopicName::new("t"));
        for number in 0..40_u32 {
            let key = (number % 10 != 3).then(|| number.to_be_bytes());
            let key = key.as_ref().map(<[u8; 4]>::as_slice);
            append_with(&mut producer, topic, key, &number.to_string()).unwrap();
        }
        producer.flush().unwrap();
        let lost = producer.take_lost();
        assert_eq!(values(&lost), ["3", "13", "23", "33"]);
        for lost in &lost {
            assert_eq!(lost.error.code(), Some(ErrorCode::INVALID_RECORD));
            assert!(lost.error.to_string().contains("without key"), "{}", lost.error);
        }
        finish(&mut producer);
        let mut expected = numbers(0..40);
        expected.retain(|number| !number.ends_with('3'));
        assert_eq!(committed(&client, 36), expected);
        assert_eq!(producer.buffered_bytes(), 0);
    });
}

#[test]
fn behind_a_batch_that_was_refused_the_others_follow_in_order() {
    every_way(FOREVER, |broker, client, mut producer| {
        let topic = producer.topic(&TopicName::new("t"));
        for round in 0..3 {
            refuse(&broker, ErrorCode::POLICY_VIOLATION, 2);
            for value in numbers(round * 100..(round + 1) * 100) {
                append(&mut producer, topic, &value).unwrap();
            }
            producer.flush().unwrap();
            let lost = values(&producer.take_lost());
            assert!(!lost.is_empty());
            finish(&mut producer);
            let mut expected = numbers(round * 100..(round + 1) * 100);
            expected.retain(|number| !lost.contains(number));
            let got = committed(&client, expected.len());
            assert!(got.ends_with(&expected), "{lost:?} {got:?}");
        }
    });
}

#[test]
fn what_may_pass_is_written_once_when_it_has_passed() {
    for code in [
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::CORRUPT_MESSAGE,
    ] {
        every_way(FOREVER, |broker, client, mut producer| {
            let topic = producer.topic(&TopicName::new("t"));
            refuse(&broker, code, 3);
            for value in numbers(0..100) {
                append(&mut producer, topic, &value).unwrap();
            }
            producer.flush().unwrap();
            assert!(producer.take_lost().is_empty());
            finish(&mut producer);
            assert_eq!(committed(&client, 100), numbers(0..100), "{code}");
        });
    }
}

#[test]
fn replicas_that_stay_too_few_lose_the_records_in_the_end() {
    let broker = broker();
    broker.create_topic("t", 1, &[("min.insync.replicas", "2")]).unwrap();
    let client = client(&broker.bootstrap_servers());
    for id in [&[][..], &[("transactional.id", "x")]] {
        let mut more = vec![("delivery.timeout.ms", "200")];
        more.extend(id);
        let mut producer = reporting(&client, &more);
        let topic = producer.topic(&TopicName::new("t"));
        append(&mut producer, topic, "a").unwrap();
        producer.flush().unwrap();
        let lost = producer.take_lost();
        assert_eq!(values(&lost), ["a"]);
        assert!(lost[0].error.is_retriable());
        assert_eq!(lost[0].error.code(), Some(ErrorCode::NOT_ENOUGH_REPLICAS));
        assert_eq!(lost[0].fate, Fate::NotWritten);
        finish(&mut producer);
    }
}

#[test]
fn a_transaction_does_not_commit_before_its_losses_were_taken() {
    let broker = broker();
    broker.create_topic("t", 1, FOREVER).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = reporting(&client, &[("transactional.id", "x")]);
    let topic = producer.topic(&TopicName::new("t"));
    refuse(&broker, ErrorCode::INVALID_RECORD, 1);
    append(&mut producer, topic, "a").unwrap();
    let error = producer.commit_transaction().unwrap_err();
    assert_eq!(error.to_string(), "could not deliver 1 records to t-0");
    producer.abort_transaction().unwrap();
    append(&mut producer, topic, "b").unwrap();
    producer.commit_transaction().unwrap();
    assert_eq!(committed(&client, 1), ["b"]);
}

#[test]
fn a_transaction_whose_records_may_be_written_can_only_be_aborted() {
    let broker = broker();
    broker.create_topic("t", 1, FOREVER).unwrap();
    broker.create_topic("u", 1, FOREVER).unwrap();
    let client = client(&broker.bootstrap_servers());
    let timeouts = [("transactional.id", "x"), ("delivery.timeout.ms", "300")];
    let mut producer = reporting(&client, &timeouts);
    let topics = ["t", "u"].map(|name| producer.topic(&TopicName::new(name)));
    let topic = topics[0];
    refuse(&broker, ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, u32::MAX);
    append(&mut producer, topic, "a").unwrap();
    let flushed = producer.flush();
    let lost = producer.take_lost();
    assert!(flushed.is_err(), "{lost:?}");
    assert_eq!((values(&lost), lost[0].fate), (vec!["a".to_owned()], Fate::Unknown));
    assert!(producer.commit_transaction().is_err());
    producer.abort_transaction().unwrap();
    append(&mut producer, topics[1], "b").unwrap();
    producer.commit_transaction().unwrap();
    let mut consumer = consumer(&client, &[("isolation.level", "read_committed")]);
    consumer.assign(&[
        (partition("t", 0), Start::Beginning),
        (partition("u", 0), Start::Beginning),
    ]);
    let got = poll_until(&mut consumer, |got| got.count() >= 1);
    assert_eq!(
        (got.of(&partition("t", 0)).len(), got.of(&partition("u", 0))),
        (0, vec!["b"])
    );
}

#[test]
fn a_record_refused_by_the_client_does_not_spoil_its_transaction() {
    let broker = broker();
    broker.create_topic("t", 1, FOREVER).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = reporting(&client, &[("transactional.id", "x"), ("max.request.size", "1000")]);
    let topic = producer.topic(&TopicName::new("t"));
    append(&mut producer, topic, "a").unwrap();
    let refused = append(&mut producer, topic, &"x".repeat(2000));
    assert!(matches!(refused, Err(Error::RecordTooLarge { .. })), "{refused:?}");
    append(&mut producer, topic, "b").unwrap();
    producer.commit_transaction().unwrap();
    assert_eq!(committed(&client, 2), ["a", "b"]);
}

#[test]
fn a_fenced_producer_loses_no_record_to_its_owner_but_everything() {
    let broker = broker();
    broker.create_topic("t", 1, FOREVER).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut old = reporting(&client, &[("transactional.id", "x")]);
    let topic = old.topic(&TopicName::new("t"));
    append(&mut old, topic, "a").unwrap();
    old.flush().unwrap();
    let _new = reporting(&client, &[("transactional.id", "x")]);
    append(&mut old, topic, "b").unwrap();
    let error = old.flush().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert!(old.take_lost().is_empty());
}

#[test]
fn a_broker_that_asks_for_silence_gets_it() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let silence = Duration::from_millis(300);
    let mut producer = reporting(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    broker.make_trouble(Trouble::Throttle(silence)).unwrap();
    let start = Instant::now();
    for round in 0..3 {
        produce(&mut producer, topic, round * 10..(round + 1) * 10).unwrap();
        producer.flush().unwrap();
    }
    assert!(start.elapsed() >= silence * 2, "two requests had to wait");
    broker.make_trouble(Trouble::Throttle(Duration::ZERO)).unwrap();
    read_all(&client, "t", 1, 30);
}
