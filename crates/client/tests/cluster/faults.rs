//! What client and broker promise when connections break, leaders move and brokers restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::{Client, ClientConfig, Start};
use kstreams_wire::TopicName;

use super::proxy::{FETCH, PRODUCE, Proxies, Verdict};
use super::{
    assert_complete, broker, client, consumer, partition, poll_until, produce, producer, properties, read_all,
};

/// A fault that strikes some of the requests with this key, as a fixed sequence decides.
fn strike(key: i16, verdicts: [Verdict; 2]) -> impl FnMut(i16) -> Verdict + Send + 'static {
    let mut dice = 12345_u32;
    move |asked| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match dice >> 29 {
            0 if asked == key => verdicts[0],
            1 if asked == key => verdicts[1],
            _ => Verdict::Pass,
        }
    }
}

#[test]
fn lost_requests_and_lost_answers_neither_lose_nor_repeat_a_record() {
    let broker = broker();
    broker.create_topic("t", 3, &[]).unwrap();
    let proxies = Proxies::before(broker.addr());
    let client = client(&proxies.bootstrap_servers());
    let mut producer = producer(&client, &[("batch.size", "1000")]);
    let topic = producer.topic(&TopicName::new("t"));
    proxies.fault(strike(PRODUCE, [Verdict::Lose, Verdict::LoseAnswer]));
    for round in 0..5 {
        produce(&mut producer, topic, round * 1000..(round + 1) * 1000).unwrap();
    }
    producer.flush().unwrap();
    assert_complete(&read_all(&client, "t", 3, 5_000), "t", 3, 5_000);
}

#[test]
fn lost_fetches_are_repeated_from_the_same_place() {
    let broker = broker();
    broker.create_topic("t", 3, &[]).unwrap();
    let proxies = Proxies::before(broker.addr());
    let client = client(&proxies.bootstrap_servers());
    let mut producer = producer(&client, &[("batch.size", "1000")]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..5_000).unwrap();
    producer.flush().unwrap();
    proxies.fault(strike(FETCH, [Verdict::Lose, Verdict::LoseAnswer]));
    let mut consumer = consumer(&client, &[("max.partition.fetch.bytes", "5000")]);
    let all: Vec<_> = (0..3)
        .map(|number| (partition("t", number), Start::Beginning))
        .collect();
    consumer.assign(&all);
    let got = poll_until(&mut consumer, |got| got.count() == 5_000);
    assert_complete(&got, "t", 3, 5_000);
}

#[test]
fn a_leader_moves_and_both_directions_follow() {
    let broker = broker();
    broker.create_topic("t", 2, &[]).unwrap();
    let proxies = Proxies::before(broker.addr());
    let client = client(&proxies.bootstrap_servers());
    let mut producer = producer(&client, &[("batch.size", "1000")]);
    let topic = producer.topic(&TopicName::new("t"));
    let mut consumer = consumer(&client, &[]);
    consumer.assign(&[
        (partition("t", 0), Start::Beginning),
        (partition("t", 1), Start::Beginning),
    ]);
    let mut got = super::Got::default();
    for round in 0..4 {
        proxies.leader(round as i32 % 2);
        produce(&mut producer, topic, round * 1000..(round + 1) * 1000).unwrap();
        producer.flush().unwrap();
        while got.count() < (round as usize + 1) * 1000 {
            got.poll(&mut consumer, Duration::from_millis(100));
        }
    }
    assert_complete(&got, "t", 2, 4000);
}

#[test]
fn a_broker_that_restarts_is_waited_for() {
    let data = tempfile::tempdir().unwrap();
    let config = BrokerConfig {
        data: Some(data.path().to_owned()),
        ..BrokerConfig::default()
    };
    let broker = Broker::start(config.clone()).unwrap();
    let config = BrokerConfig {
        listen: broker.addr(),
        ..config
    };
    broker.create_topic("t", 2, &[]).unwrap();
    let client: Client = client(&broker.bootstrap_servers());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    let mut consumer = consumer(&client, &[]);
    consumer.assign(&[
        (partition("t", 0), Start::Beginning),
        (partition("t", 1), Start::Beginning),
    ]);
    produce(&mut producer, topic, 0..1000).unwrap();
    producer.flush().unwrap();
    poll_until(&mut consumer, |got| got.count() == 1000);

    broker.stop().unwrap();
    produce(&mut producer, topic, 1000..2000).unwrap();
    assert!(producer.flush_within(Duration::from_millis(100)).is_err());
    let broker = Broker::start(config).unwrap();
    producer.flush().unwrap();
    let got = poll_until(&mut consumer, |got| got.count() == 1000);
    assert_eq!(got.values[&partition("t", 0)][0].0, 500);
    assert_complete(&read_all(&client, "t", 2, 2000), "t", 2, 2000);
    broker.stop().unwrap();
}

#[test]
fn a_client_may_start_before_its_broker() {
    let broker = broker();
    let listen = broker.addr();
    broker.stop().unwrap();
    let client = client(&listen.to_string());
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    std::thread::scope(|scope| {
        let broker = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            let broker = Broker::start(BrokerConfig {
                listen,
                ..BrokerConfig::default()
            })
            .unwrap();
            broker.create_topic("t", 1, &[]).unwrap();
            broker
        });
        produce(&mut producer, topic, 0..10).unwrap();
        producer.flush().unwrap();
        broker.join().unwrap().stop().unwrap();
    });
}

#[test]
fn a_delivery_that_takes_too_long_fails_with_what_stood_in_the_way() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let proxies = Proxies::before(broker.addr());
    let client = client(&proxies.bootstrap_servers());
    let mut producer = producer(&client, &[("delivery.timeout.ms", "300")]);
    let topic = producer.topic(&TopicName::new("t"));
    let lost = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&lost);
    proxies.fault(move |key| {
        if key != PRODUCE {
            return Verdict::Pass;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        Verdict::Lose
    });
    produce(&mut producer, topic, 0..10).unwrap();
    let error = producer.flush().unwrap_err();
    assert_eq!(error.to_string(), "could not deliver 10 records to t-0");
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "delivery was not done within 300ms");
    assert!(
        cause
            .source()
            .unwrap()
            .to_string()
            .contains("closed before ProduceRequest was answered")
    );
    assert!(lost.load(Ordering::SeqCst) > 1, "it was tried more than once");
}

#[test]
fn an_answer_that_does_not_come_in_time_is_asked_for_on_another_connection() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let proxies = Proxies::before(broker.addr());
    let properties = properties(&proxies.bootstrap_servers(), &[("request.timeout.ms", "200")]);
    let client = Client::start(ClientConfig::from_properties(&properties).unwrap()).unwrap();
    let mut held = [PRODUCE, FETCH].map(|key| (key, 2));
    proxies.fault(
        move |asked| match held.iter_mut().find(|(key, left)| *key == asked && *left > 0) {
            Some((_, left)) => {
                *left -= 1;
                Verdict::Hold
            }
            None => Verdict::Pass,
        },
    );
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    produce(&mut producer, topic, 0..1000).unwrap();
    producer.flush().unwrap();
    let mut consumer = consumer(&client, &[("fetch.max.wait.ms", "50")]);
    consumer.assign(&[(partition("t", 0), Start::Beginning)]);
    let got = poll_until(&mut consumer, |got| got.count() == 1000);
    assert_complete(&got, "t", 1, 1000);
}

#[test]
fn an_idle_connection_is_closed_and_opened_again_when_needed() {
    let broker = broker();
    broker.create_topic("t", 1, &[]).unwrap();
    let properties = properties(&broker.bootstrap_servers(), &[("connections.max.idle.ms", "20")]);
    let client = Client::start(ClientConfig::from_properties(&properties).unwrap()).unwrap();
    let mut producer = producer(&client, &[]);
    let topic = producer.topic(&TopicName::new("t"));
    for round in 0..3 {
        produce(&mut producer, topic, round * 10..(round + 1) * 10).unwrap();
        producer.flush().unwrap();
        std::thread::sleep(Duration::from_millis(60));
    }
    assert_complete(&read_all(&client, "t", 1, 30), "t", 1, 30);
}
