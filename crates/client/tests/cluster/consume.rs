//! What a consumer promises.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::{ConsumerEvent, Start};
use kstreams_wire::TopicName;
use kstreams_wire::batch;

use super::{Got, broker, client, consumer, partition, poll_until, produce, producer};

#[test]
fn a_consumer_begins_where_it_is_told() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..100).unwrap();
    producer.flush().unwrap();

    let t = partition("t", 0);
    for (start, policy, first) in [
        (Start::Beginning, "none", 0),
        // In the middle of the batch.
        (Start::Offset(42), "none", 42),
        (Start::ByPolicy, "earliest", 0),
        // Behind the end: the policy decides.
        (Start::Offset(1000), "earliest", 0),
    ] {
        let mut consumer = consumer(&client, &[("auto.offset.reset", policy)]);
        consumer.assign(&[(t.clone(), start)]);
        let got = poll_until(&mut consumer, |got| got.count() == 100 - first);
        assert_eq!(got.values[&t][0], (first as i64, first.to_string()));
        assert_eq!((consumer.position(&t), consumer.lag(&t)), (Some(100), Some(0)));
    }

    let mut consumer = consumer(&client, &[]);
    consumer.assign(&[(t.clone(), Start::End)]);
    while consumer.position(&t).is_none() {
        consumer.poll(Duration::from_millis(10));
    }
    produce(&mut producer, topic, 100..101).unwrap();
    producer.flush().unwrap();
    assert_eq!(poll_until(&mut consumer, |got| got.count() > 0).of(&t), ["100"]);
}

#[test]
fn without_a_policy_the_application_decides() {
    let broker = broker();
    broker.create_topic("t", 2, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut consumer = consumer(&client, &[("auto.offset.reset", "none")]);
    consumer.assign(&[
        (partition("t", 0), Start::ByPolicy),
        (partition("t", 1), Start::Offset(7)),
    ]);
    let got = poll_until(&mut consumer, |got| got.others.len() == 2);
    assert!(
        got.others
            .iter()
            .any(|event| matches!(event, ConsumerEvent::NoOffset { .. }))
    );
    assert!(
        got.others
            .iter()
            .any(|event| matches!(event, ConsumerEvent::OutOfRange { offset: 7, .. }))
    );

    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..2).unwrap();
    producer.flush().unwrap();
    consumer.seek(&partition("t", 0), Start::Beginning);
    consumer.seek(&partition("t", 1), Start::Offset(0));
    assert_eq!(poll_until(&mut consumer, |got| got.count() == 2).values.len(), 2);
}

#[test]
fn a_paused_partition_gives_nothing_and_keeps_what_was_fetched() {
    let broker = broker();
    broker.create_topic("t", 2, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    let mut consumer = consumer(&client, &[]);
    let (zero, one) = (partition("t", 0), partition("t", 1));
    consumer.assign(&[(zero.clone(), Start::Beginning), (one.clone(), Start::Beginning)]);
    consumer.pause(std::slice::from_ref(&zero));
    produce(&mut producer, topic, 0..10).unwrap();
    producer.flush().unwrap();
    let got = poll_until(&mut consumer, |got| got.count() == 5);
    assert_eq!(got.of(&one), ["1", "3", "5", "7", "9"]);
    assert!(consumer.is_paused(&zero));
    consumer.resume(std::slice::from_ref(&zero));
    let got = poll_until(&mut consumer, |got| got.count() == 5);
    assert_eq!(got.of(&zero), ["0", "2", "4", "6", "8"]);
}

#[test]
fn a_seek_drops_what_was_fetched_before() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..1000).unwrap();
    producer.flush().unwrap();
    let t = partition("t", 0);
    let mut consumer = consumer(&client, &[]);
    consumer.assign(&[(t.clone(), Start::Beginning)]);
    poll_until(&mut consumer, |got| got.count() > 0);
    for offset in [990, 10, 995] {
        consumer.seek(&t, Start::Offset(offset));
        let got = poll_until(&mut consumer, |got| got.count() > 0);
        assert_eq!(got.values[&t][0].0, offset);
    }
    consumer.unassign(std::slice::from_ref(&t));
    assert_eq!(consumer.assignment().count(), 0);
    assert!(consumer.poll(Duration::from_millis(50)).is_empty());
}

#[test]
fn a_busy_partition_does_not_wait_for_an_idle_one() {
    let broker = broker();
    broker.create_topic("t", 2, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    // A broker that holds an empty fetch for an hour: if the busy partition had to wait for it, nothing would come.
    let more = [("fetch.max.wait.ms", "3600000"), ("max.partition.fetch.bytes", "1000")];
    let mut consumer = consumer(&client, &more);
    let busy = partition("t", 0);
    consumer.assign(&[(busy.clone(), Start::Beginning), (partition("t", 1), Start::Beginning)]);
    let mut got = Got::default();
    let start = Instant::now();
    for round in 0..20 {
        produce(&mut producer, topic, round..round + 1).unwrap();
        producer.flush().unwrap();
        // Only the first partition gets something, except in odd rounds.
        while got.count() <= round as usize {
            assert!(start.elapsed() < super::PATIENCE);
            got.poll(&mut consumer, Duration::from_millis(100));
        }
    }
}

#[test]
fn small_fetches_bring_everything_in_order() {
    let broker = broker();
    broker.create_topic("t", 4, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[("batch.size", "500")]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..5000).unwrap();
    producer.flush().unwrap();
    let mut consumer = consumer(
        &client,
        &[("max.partition.fetch.bytes", "700"), ("fetch.max.bytes", "1000")],
    );
    let all: Vec<_> = (0..4)
        .map(|number| (partition("t", number), Start::Beginning))
        .collect();
    consumer.assign(&all);
    let got = poll_until(&mut consumer, |got| got.count() == 5000);
    super::assert_complete(&got, "t", 4, 5000);
}

#[test]
fn a_waker_ends_a_poll_from_another_thread() {
    let broker = broker();
    let client = client(&broker.bootstrap_servers());
    let mut consumer = consumer(&client, &[]);
    let waker = consumer.waker();
    std::thread::scope(|scope| {
        scope.spawn(|| waker.wake());
        assert!(consumer.poll(Duration::from_secs(3600)).is_empty());
    });
}

#[test]
fn deleted_records_are_skipped_by_policy() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[("batch.size", "100")]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..100).unwrap();
    producer.flush().unwrap();
    let t = partition("t", 0);
    client.admin().delete_records(&[(t.clone(), Some(60))]).unwrap();
    let mut consumer = consumer(&client, &[("auto.offset.reset", "earliest")]);
    consumer.assign(&[(t.clone(), Start::Offset(10))]);
    let got = poll_until(&mut consumer, |got| got.count() == 40);
    assert_eq!(got.values[&t][0].0, 60);
}

/// Cuts the last batch off the only file of partition 0 of topic `t`.
fn cut_off_last_batch(data: &Path) {
    let file = data.join("logs/t-0/00000000000000000000.log");
    let bytes = fs::read(&file).unwrap();
    let last = batch::split(bytes.clone().into()).last().unwrap().unwrap();
    fs::write(file, &bytes[..bytes.len() - last.bytes().len()]).unwrap();
}

#[test]
fn a_reader_notices_that_what_it_has_read_was_lost() {
    let data = tempfile::tempdir().unwrap();
    let config = BrokerConfig {
        data: Some(data.path().to_owned()),
        ..BrokerConfig::default()
    };
    let broker = Broker::start(config.clone()).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    let addr = broker.addr();
    let client = client(&addr.to_string());
    let mut producer = producer(&client, &[("linger.ms", "0")]);
    let topic = producer.topic(&TopicName::new("t"));
    for number in 0..3 {
        produce(&mut producer, topic, number..number + 1).unwrap();
        producer.flush().unwrap();
    }
    let place = partition("t", 0);
    let mut reader = consumer(&client, &[]);
    reader.assign(&[(place.clone(), Start::Beginning)]);
    poll_until(&mut reader, |got| got.count() == 3);
    assert_eq!(reader.leader_epoch_before(&place, 3), Some(0));
    // As if the machine had failed before the last batch was on the disk, and others came after.
    drop(broker);
    cut_off_last_batch(data.path());
    let broker = Broker::start(BrokerConfig { listen: addr, ..config }).unwrap();
    let mut late = crate::producer(&client, &[("linger.ms", "0")]);
    let topic = late.topic(&TopicName::new("t"));
    produce(&mut late, topic, 10..13).unwrap();
    late.flush().unwrap();

    let is_told = |got: &Got| {
        let cut_off = |event: &ConsumerEvent| matches!(event, ConsumerEvent::CutOff { offset: 3, end: 2, .. });
        got.others.iter().any(cut_off)
    };
    let got = poll_until(&mut reader, is_told);
    assert_eq!(
        got.count(),
        0,
        "what came in the place of the lost record is not passed over in silence"
    );
    reader.seek(&place, Start::Offset(2));
    let got = poll_until(&mut reader, |got| got.count() == 3);
    assert_eq!(got.of(&place), ["10", "11", "12"]);
    assert_eq!(reader.leader_epoch_before(&place, 3), Some(1));

    // So does one who comes back to a committed offset.
    for (epoch, is_lost) in [(0, true), (1, false)] {
        let mut reader = consumer(&client, &[]);
        reader.assign(&[(place.clone(), Start::After { offset: 3, epoch })]);
        match is_lost {
            true => drop(poll_until(&mut reader, is_told)),
            false => drop(poll_until(&mut reader, |got| got.count() == 2)),
        }
    }
    drop(broker);
}
