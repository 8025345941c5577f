//! What a producer promises.

use std::error::Error as _;
use std::time::{Duration, Instant};

use kstreams_client::{Error, ProducerRecord};
use kstreams_wire::code::ErrorCode;
use kstreams_wire::{Headers, TopicName};

use super::{assert_complete, broker, client, partition, produce, producer, read_all};

#[test]
fn what_was_flushed_can_be_read_with_every_codec() {
    let broker = broker();
    let client = client(&broker.bootstrap_servers());
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        broker.create_topic(codec, 3, &[]).unwrap();
        let mut producer = producer(&client, &[("compression.type", codec)]);
        let topic = producer.topic(&TopicName::new(codec));
        produce(&mut producer, topic, 0..10_000).unwrap();
        producer.flush().unwrap();
        assert_eq!(producer.acked_offset(topic, 0), Some(3333));
        assert_eq!(producer.acked_offset(topic, 2), Some(3332));
        assert_eq!(producer.buffered_bytes(), 0);
        assert_complete(&read_all(&client, codec, 3, 10_000), codec, 3, 10_000);
    }
}

#[test]
fn weaker_acknowledgements_deliver_too() {
    let broker = broker();
    let client = client(&broker.bootstrap_servers());
    for acks in ["0", "1"] {
        broker.create_topic(acks, 1, &[]).unwrap();
        let mut producer = producer(&client, &[("acks", acks)]);
        let topic = producer.topic(&TopicName::new(acks));
        produce(&mut producer, topic, 0..1000).unwrap();
        producer.flush().unwrap();
        assert_complete(&read_all(&client, acks, 1, 1000), acks, 1, 1000);
    }
}

#[test]
fn ticks_send_what_has_lingered_and_nothing_else() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[("linger.ms", "3600000")]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..1).unwrap();
    producer.tick(Instant::now()).unwrap();
    let due = producer.next_tick().unwrap();
    assert_eq!(producer.acked_offset(topic, 0), None);
    while producer.acked_offset(topic, 0).is_none() {
        producer.tick(due).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(producer.next_tick(), None);
}

#[test]
fn keys_decide_the_partition_as_in_java() {
    let broker = broker();
    broker.create_topic("t", 10, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    let headers = Headers::new();
    for key in ["a", "kafka", "streams"] {
        let record = ProducerRecord {
            key: Some(key.as_bytes()),
            value: Some(b"v"),
            timestamp: 0,
            headers: &headers,
        };
        producer.append(topic, None, record).unwrap();
    }
    producer.flush().unwrap();
    let got = read_all(&client, "t", 10, 3);
    let filled: Vec<_> = got.values.keys().map(|partition| partition.partition).collect();
    let mut expected =
        ["a", "kafka", "streams"].map(|key| kstreams_wire::partition::partition_for_key(key.as_bytes(), 10));
    expected.sort_unstable();
    assert_eq!(filled, expected);
}

#[test]
fn an_unknown_topic_is_named_with_the_cause() {
    let broker = broker();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[("max.block.ms", "200")]);
    let topic = producer.topic(&TopicName::new("missing"));
    let error = produce(&mut producer, topic, 0..1).unwrap_err();
    assert_eq!(error.to_string(), "metadata of topic missing was not done within 200ms");
    assert_eq!(
        error.source().unwrap().to_string(),
        "topic missing: UNKNOWN_TOPIC_OR_PARTITION"
    );
    assert_eq!(error.code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

#[test]
fn a_topic_that_comes_into_being_is_waited_for() {
    let broker = broker();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("late"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            broker.create_topic("late", 2, &[]).unwrap();
        });
        assert_eq!(producer.partitions(topic).unwrap(), 2);
    });
}

#[test]
fn a_record_that_is_too_large_is_refused_at_once_and_the_others_go_on() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[("max.request.size", "1000")]);
    let topic = producer.topic(&TopicName::new("t"));
    let (large, headers) = ([0; 2000], Headers::new());
    let record = ProducerRecord {
        key: None,
        value: Some(&large),
        timestamp: 0,
        headers: &headers,
    };
    match producer.append(topic, Some(0), record).unwrap_err() {
        Error::RecordTooLarge {
            partition: refused,
            limit: 1000,
            ..
        } => assert_eq!(refused, partition("t", 0)),
        other => panic!("{other:?}"),
    }
    produce(&mut producer, topic, 0..10).unwrap();
    producer.flush().unwrap();
    assert_complete(&read_all(&client, "t", 1, 10), "t", 1, 10);
}

#[test]
fn a_batch_that_is_too_large_for_the_topic_is_split_and_a_record_that_is_fails() {
    let broker = broker();
    broker.create_topic("t", 1, &[("max.message.bytes", "500")]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..5000).unwrap();
    producer.flush().unwrap();
    assert_complete(&read_all(&client, "t", 1, 5000), "t", 1, 5000);

    let (large, headers) = ([0; 600], Headers::new());
    let record = ProducerRecord {
        key: None,
        value: Some(&large),
        timestamp: 0,
        headers: &headers,
    };
    producer.append(topic, Some(0), record).unwrap();
    let error = producer.flush().unwrap_err();
    assert_eq!(error.to_string(), "could not deliver 1 records to t-0");
    assert_eq!(error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
    assert!(producer.flush().is_err(), "a failure stays");
    producer.forget_failure();
    produce(&mut producer, topic, 5000..5010).unwrap();
    producer.flush().unwrap();
    assert_complete(&read_all(&client, "t", 1, 5010), "t", 1, 5010);
}

#[test]
fn a_full_buffer_makes_appending_wait() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[("buffer.memory", "20000"), ("batch.size", "1000")]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..20_000).unwrap();
    assert!(producer.buffered_bytes() <= 20_000);
    producer.flush().unwrap();
    assert_complete(&read_all(&client, "t", 1, 20_000), "t", 1, 20_000);
}

#[test]
fn a_partition_that_is_not_there_is_named() {
    let broker = broker();
    broker.create_topic("t", 2, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    let headers = Headers::new();
    let record = ProducerRecord {
        key: None,
        value: None,
        timestamp: 0,
        headers: &headers,
    };
    let error = producer.append(topic, Some(2), record).unwrap_err();
    assert_eq!(error.to_string(), "topic t has 2 partitions: there is no partition 2");
}
