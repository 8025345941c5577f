//! Records that cannot be sent: the production handler decides, and what it lets go on is as exact as without them.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use kstreams::errors::{DeadLetter, ProductionFailure, ProductionResponse, java_exception};
use kstreams::prelude::*;
use kstreams_broker::{Broker, BrokerConfig, Trouble};
use kstreams_client::admin::NewTopic;
use kstreams_client::consume::Isolation;
use kstreams_client::{
    ConsumerConfig, ConsumerEvent, OnLoss, ProducerConfig, ProducerRecord, Start, TransactionalConfig,
};
use kstreams_wire::code::ErrorCode;
use kstreams_wire::{Headers, TopicName, TopicPartition};

use super::application::{metric, runs};
use super::{PATIENCE, World, eventually, on_each_broker};

const GUARANTEES: [&str; 2] = ["at_least_once", "exactly_once_v2"];
/// What a topic takes at most, and a value that is larger.
const LIMIT: &str = "1000";
const LARGE_BYTES: usize = 3000;

type Handler = dyn Fn(&ProductionFailure<'_>) -> ProductionResponse + Send + Sync;

/// An application and what its production handler was asked.
struct Run<'a> {
    world: &'a World,
    state: &'a Path,
    guarantee: &'a str,
    settings: &'a [(&'a str, &'a str)],
    handler: Option<Arc<Handler>>,
}

impl Run<'_> {
    /// Sends the records of `in` on to `out`.
    fn start(&self) -> KafkaStreams {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>(self.world.name("in").as_str())
            .map_values(|_, value: String| value)
            .to(self.world.name("out").as_str());
        self.run(&builder.build().expect("a good topology"))
    }

    fn run(&self, topology: &Topology) -> KafkaStreams {
        let mut config = StreamsConfig::new(&self.world.name("app"), &self.world.bootstrap)
            .set("state.dir", self.state.display())
            .set("processing.guarantee", self.guarantee)
            .set("commit.interval.ms", 50)
            .set("retry.backoff.ms", 10)
            .set("producer.linger.ms", 5)
            .set("session.timeout.ms", 6000)
            .set("heartbeat.interval.ms", 500);
        for (key, value) in self.settings {
            config = config.set(key, value);
        }
        let mut streams = KafkaStreams::new(topology.clone(), config).expect("a good configuration");
        if let Some(handler) = self.handler.clone() {
            streams = streams.with_handlers(|handlers| handlers.on_production(move |failure| handler(failure)));
        }
        streams.start().expect("a start");
        streams
    }
}

pub(super) fn create(world: &World, name: &str, configs: &[(&str, &str)]) {
    let mut topic = NewTopic::new(TopicName::from(world.name(name)), 1);
    for (key, value) in configs {
        topic = topic.with_config(key, value);
    }
    world.create(topic);
}

/// Writes numbers, and instead of some of them values that are too large.
fn write(world: &World, numbers: std::ops::Range<i64>, is_large: impl Fn(i64) -> bool) {
    let values: Vec<_> = numbers
        .map(|number| match is_large(number) {
            true => (number, "x".repeat(LARGE_BYTES)),
            false => (number, number.to_string()),
        })
        .collect();
    let records: Vec<_> = values
        .iter()
        .map(|(number, value)| ("k", Some(value.as_str()), 1_700_000_000_000 + number))
        .collect();
    world.write("in", &records);
}

pub(super) fn committed(world: &World, topic: &str) -> Vec<String> {
    let records = world.read_isolated(&world.name(topic), Isolation::ReadCommitted);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    records
        .into_iter()
        .map(|(_, value)| text(value.unwrap_or_default()))
        .collect()
}

fn numbers(range: std::ops::Range<i64>, is_large: impl Fn(i64) -> bool) -> Vec<String> {
    range
        .filter(|number| !is_large(*number))
        .map(|number| number.to_string())
        .collect()
}

/// The first record of a topic, whole.
pub(super) fn first(world: &World, topic: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>, i64, Headers) {
    let mut consumer = world.client().consumer(ConsumerConfig {
        isolation: Isolation::ReadCommitted,
        ..ConsumerConfig::default()
    });
    let partition = TopicPartition::new(TopicName::from(world.name(topic)), 0);
    consumer.assign(&[(partition, Start::Beginning)]);
    let end = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < end {
        for event in consumer.poll(std::time::Duration::from_millis(100)) {
            let ConsumerEvent::Fetched { records, .. } = event else {
                continue;
            };
            for mut batch in records {
                if let Some(record) = batch.next().expect("a good batch") {
                    return (
                        record.key.map(<[u8]>::to_vec),
                        record.value.map(<[u8]>::to_vec),
                        record.timestamp,
                        record.headers.to_headers(record.shared),
                    );
                }
            }
        }
    }
    panic!("nothing in {topic}");
}

fn header(headers: &Headers, name: &str) -> Option<String> {
    let value = headers.last(name.as_bytes()).and_then(|header| header.value.clone());
    value.map(|value| String::from_utf8(value.to_vec()).expect("text"))
}

#[test]
fn what_the_handler_passes_over_is_counted_and_nothing_else_is_missing() {
    on_each_broker("unsent-resume", |world| {
        for guarantee in GUARANTEES {
            let world = world.another(guarantee);
            create(&world, "in", &[]);
            create(&world, "out", &[("max.message.bytes", LIMIT)]);
            create(&world, "dead", &[]);
            let state = tempfile::tempdir().expect("a directory");
            let dead = world.name("dead");
            let streams = Run {
                world: &world,
                state: state.path(),
                guarantee,
                settings: &[],
                handler: Some(Arc::new(move |failure| {
                    assert!(!failure.retriable);
                    ProductionResponse::resume().with_dead_letter(DeadLetter::of(&failure.origin, dead.as_str()))
                })),
            };
            let mut streams = streams.start();
            runs(&streams);
            let is_large = |number: i64| number % 40 == 17;
            write(&world, 0..200, is_large);
            let expected = numbers(0..200, is_large);
            eventually(|| committed(&world, "out").len() >= expected.len());
            write(&world, 200..210, |_| false);
            eventually(|| committed(&world, "out").len() >= expected.len() + 10);
            assert_eq!(
                committed(&world, "out"),
                [expected, numbers(200..210, |_| false)].concat()
            );
            eventually(|| metric(&streams, "stream-task-metrics", "dropped-records-total") == 5);
            assert_eq!(
                committed(&world, "dead"),
                vec!["x".repeat(LARGE_BYTES); 5],
                "{guarantee}"
            );
            let (_, _, timestamp, headers) = first(&world, "dead");
            assert_eq!(timestamp, 1_700_000_000_017);
            let of = |name: &str| header(&headers, &format!("__streams.errors.{name}")).unwrap_or_default();
            assert_eq!(
                of("exception"),
                "org.apache.kafka.common.errors.RecordTooLargeException"
            );
            assert_eq!(
                (of("topic"), of("partition"), of("offset")),
                (world.name("in"), "0".into(), "17".into())
            );
            assert!(!of("message").is_empty());
            assert_eq!(streams.state(), State::Running);
            assert!(streams.close(None).expect("a close"));
        }
    });
}

#[test]
fn what_the_handler_does_not_pass_over_ends_the_instance_and_nothing_is_skipped() {
    on_each_broker("unsent-fail", |world| {
        for guarantee in GUARANTEES {
            let world = world.another(guarantee);
            create(&world, "in", &[]);
            create(&world, "out", &[("max.message.bytes", LIMIT)]);
            create(&world, "dead", &[]);
            let state = tempfile::tempdir().expect("a directory");
            let dead = world.name("dead");
            let mut run = Run {
                world: &world,
                state: state.path(),
                guarantee,
                settings: &[("errors.dead.letter.queue.topic.name", &dead)],
                handler: None,
            };
            // Trying again what cannot succeed is a failure, too.
            let answers: [Option<Arc<Handler>>; 2] = [None, Some(Arc::new(|_| ProductionResponse::retry()))];
            write(&world, 0..50, |number| number == 20);
            for handler in answers {
                run.handler = handler;
                let mut streams = run.start();
                assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
                assert!(streams.close(None).expect("a close"));
            }
            let exactly_once = guarantee == "exactly_once_v2";
            let letters = committed(&world, "dead");
            assert_eq!(
                letters.is_empty(),
                exactly_once,
                "a dead letter goes the way of its transaction"
            );
            run.handler = Some(Arc::new(|_| ProductionResponse::resume()));
            let mut streams = run.start();
            let expected = numbers(0..50, |number| number == 20);
            // At least once, what was written before the failure is there, too.
            eventually(|| {
                let sent = committed(&world, "out");
                expected.iter().all(|number| sent.contains(number))
            });
            if exactly_once {
                assert_eq!(committed(&world, "out"), expected);
            }
            assert!(streams.close(None).expect("a close"));
        }
    });
}

#[test]
fn a_changelog_that_takes_no_record_leaves_the_store_as_it_is() {
    on_each_broker("unsent-changelog", |world| {
        let world = world.another("changelog");
        create(&world, "in", &[]);
        create(&world, "out", &[]);
        let state = tempfile::tempdir().expect("a directory");
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>(world.name("in").as_str())
            .group_by_key()
            .reduce(|_, value| value)
            .materialized(
                Materialized::named("latest")
                    .uncached()
                    .logged([("max.message.bytes".to_owned(), LIMIT.to_owned())]),
            )
            .to_stream()
            .map_values(|_, value: Option<String>| value.unwrap_or_default().len().to_string())
            .to(world.name("out").as_str());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let run = Run {
            world: &world,
            state: state.path(),
            guarantee: "exactly_once_v2",
            settings: &[("replication.factor", "1")],
            handler: Some(Arc::new(move |failure| {
                let class = java_exception(failure.origin.error).class.into_owned();
                let offset = failure.origin.context.offset;
                seen.lock()
                    .expect("unpoisoned")
                    .push((failure.topic.to_string(), offset, class));
                ProductionResponse::resume()
            })),
        };
        let mut streams = run.run(&builder.build().expect("a good topology"));
        runs(&streams);
        write(&world, 0..3, |number| number == 1);
        eventually(|| committed(&world, "out") == ["1", "3000", "1"]);
        assert!(streams.close(None).expect("a close"));
        let changelog = format!("{}-latest-changelog", world.name("app"));
        let class = "org.apache.kafka.common.errors.RecordTooLargeException".to_owned();
        assert_eq!(*asked.lock().expect("unpoisoned"), [(changelog, 1, class)]);
    });
}

#[test]
fn too_few_replicas_are_the_handlers_business_when_time_is_up() {
    // A real Kafka minds no more replicas than there are.
    for guarantee in GUARANTEES {
        let broker = Broker::start(BrokerConfig::default()).expect("the embedded broker starts");
        let world = World::new(broker.bootstrap_servers(), "unsent-replicas");
        miss_replicas(&world, guarantee);
    }
}

fn miss_replicas(world: &World, guarantee: &str) {
    create(world, "in", &[]);
    create(world, "out", &[("min.insync.replicas", "2")]);
    let state = tempfile::tempdir().expect("a directory");
    let asked = Arc::new(AtomicU32::new(0));
    let seen = asked.clone();
    let run = Run {
        world,
        state: state.path(),
        guarantee,
        settings: &[("producer.delivery.timeout.ms", "300")],
        handler: Some(Arc::new(move |failure| {
            assert!(failure.retriable);
            match seen.fetch_add(1, Ordering::Relaxed) {
                // The first time the task goes back, and the record comes again.
                0 => ProductionResponse::retry(),
                _ => ProductionResponse::resume(),
            }
        })),
    };
    let mut streams = run.start();
    runs(&streams);
    write(world, 0..1, |_| false);
    eventually(|| metric(&streams, "stream-task-metrics", "dropped-records-total") == 1);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert!(streams.close(None).expect("a close"));
}

/// A producer that hands back what it loses writes records to a compacted topic, which takes none without a key.
#[test]
fn of_a_batch_only_records_without_a_key_are_lost_to_a_compacted_topic() {
    on_each_broker("unsent-keyless", |world| {
        create(world, "compacted", &[("cleanup.policy", "compact")]);
        let transactional = TransactionalConfig {
            id: world.name("writer"),
            timeout: PATIENCE,
        };
        for transactional in [None, Some(transactional)] {
            let mut producer = world.client().producer(ProducerConfig {
                on_loss: OnLoss::Report,
                batch_bytes: 200,
                transactional: transactional.clone(),
                ..ProducerConfig::default()
            });
            if transactional.is_some() {
                producer.init_transactions().expect("a coordinator");
            }
            let topic = producer.topic(&TopicName::from(world.name("compacted")));
            let is_keyless = |number: i64| number % 10 == 3;
            for number in 0..40 {
                let (key, value) = (format!("{}-{number}", transactional.is_some()), number.to_string());
                let record = ProducerRecord {
                    key: (!is_keyless(number)).then_some(key.as_bytes()),
                    value: Some(value.as_bytes()),
                    timestamp: 1_700_000_000_000,
                    headers: &Headers::new(),
                };
                producer.append(topic, Some(0), record).expect("room");
            }
            producer.flush().expect("a broker");
            let lost = producer.take_lost();
            let values: Vec<_> = lost
                .iter()
                .flat_map(|lost| &lost.records)
                .map(|record| record.value.clone().unwrap_or_default())
                .collect();
            assert_eq!(values, ["3", "13", "23", "33"]);
            assert!(
                lost.iter()
                    .all(|lost| lost.error.code() == Some(ErrorCode::INVALID_RECORD)),
                "{lost:?}"
            );
            if transactional.is_some() {
                producer.commit_transaction().expect("a commit");
            }
            assert!(committed(world, "compacted").ends_with(&numbers(0..40, is_keyless)));
        }
    });
}

/// Runs a test on the embedded broker alone, which can be told to make trouble.
fn in_trouble(test: &str, body: impl Fn(&Broker, &World, &str)) {
    for guarantee in GUARANTEES {
        let broker = Broker::start(BrokerConfig::default()).expect("the embedded broker starts");
        let world = World::new(broker.bootstrap_servers(), test);
        create(&world, "in", &[]);
        create(&world, "out", &[]);
        body(&broker, &world, guarantee);
    }
}

fn refuse(broker: &Broker, world: &World, code: ErrorCode, times: u32) {
    let topic = world.name("out");
    broker
        .make_trouble(Trouble::Refuse { topic, code, times })
        .expect("a broker");
}

#[test]
fn what_may_pass_is_sent_again_from_the_last_commit() {
    in_trouble("unsent-again", |broker, world, guarantee| {
        let state = tempfile::tempdir().expect("a directory");
        let run = Run {
            world,
            state: state.path(),
            guarantee,
            // The first refusal is the last, so that the task has to begin anew, with its input paused for being full.
            settings: &[("producer.retries", "0"), ("buffered.records.per.partition", "5")],
            handler: None,
        };
        let mut streams = run.start();
        runs(&streams);
        refuse(broker, world, ErrorCode::NOT_ENOUGH_REPLICAS, 3);
        write(world, 0..100, |_| false);
        let expected = numbers(0..100, |_| false);
        eventually(|| committed(world, "out").ends_with(&expected));
        if guarantee == "exactly_once_v2" {
            assert_eq!(committed(world, "out"), expected);
        }
        assert!(streams.close(None).expect("a close"));
    });
}

/// A handler that goes on behind whatever is lost, and how often it was asked.
fn passes_over() -> (Arc<AtomicU32>, Arc<Handler>) {
    let asked = Arc::new(AtomicU32::new(0));
    let seen = asked.clone();
    let handler = move |_: &ProductionFailure<'_>| {
        seen.fetch_add(1, Ordering::Relaxed);
        ProductionResponse::resume()
    };
    (asked, Arc::new(handler))
}

#[test]
fn no_handler_is_asked_about_a_topic_that_may_not_be_written() {
    in_trouble("unsent-forbidden", |broker, world, guarantee| {
        let state = tempfile::tempdir().expect("a directory");
        let (asked, handler) = passes_over();
        let run = Run {
            world,
            state: state.path(),
            guarantee,
            settings: &[],
            handler: Some(handler),
        };
        let mut streams = run.start();
        runs(&streams);
        refuse(broker, world, ErrorCode::TOPIC_AUTHORIZATION_FAILED, u32::MAX);
        write(world, 0..1, |_| false);
        assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        assert!(streams.close(None).expect("a close"));
    });
}

#[test]
fn a_record_that_may_be_written_is_not_passed_over_within_a_transaction() {
    in_trouble("unsent-doubt", |broker, world, guarantee| {
        let state = tempfile::tempdir().expect("a directory");
        let (asked, handler) = passes_over();
        let run = Run {
            world,
            state: state.path(),
            guarantee,
            settings: &[("producer.retries", "0")],
            handler: Some(handler),
        };
        let mut streams = run.start();
        runs(&streams);
        refuse(broker, world, ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, 1);
        write(world, 0..1, |_| false);
        eventually(|| asked.load(Ordering::Relaxed) == 1);
        write(world, 1..2, |_| false);
        eventually(|| committed(world, "out").len() >= 2);
        // Outside of a transaction it was dropped, and had been written; in one, it was undone and done again.
        assert_eq!(committed(world, "out"), ["0", "1"]);
        let dropped = metric(&streams, "stream-task-metrics", "dropped-records-total");
        assert_eq!(dropped, u64::from(guarantee == "at_least_once"));
        assert!(streams.close(None).expect("a close"));
    });
}

#[test]
fn a_topic_that_is_not_there_is_waited_for_or_passed_over() {
    let broker = Broker::start(BrokerConfig::default()).expect("the embedded broker starts");
    for guarantee in GUARANTEES {
        let world = World::new(broker.bootstrap_servers(), "unsent-missing");
        create(&world, "in", &[]);
        let state = tempfile::tempdir().expect("a directory");
        let asked = Arc::new(AtomicU32::new(0));
        let seen = asked.clone();
        let run = Run {
            world: &world,
            state: state.path(),
            guarantee,
            settings: &[("producer.max.block.ms", "100")],
            handler: Some(Arc::new(move |_| match seen.fetch_add(1, Ordering::Relaxed) {
                0 => ProductionResponse::resume(),
                _ => ProductionResponse::retry(),
            })),
        };
        write(&world, 0..2, |_| false);
        let mut streams = run.start();
        eventually(|| asked.load(Ordering::Relaxed) >= 3);
        create(&world, "out", &[]);
        eventually(|| committed(&world, "out").ends_with(&["1".to_owned()]));
        assert!(streams.close(None).expect("a close"));
    }
}

#[test]
fn a_topic_that_is_deleted_takes_nothing_more() {
    in_trouble("unsent-deleted", |_broker, world, guarantee| {
        let state = tempfile::tempdir().expect("a directory");
        let run = Run {
            world,
            state: state.path(),
            guarantee,
            settings: &[("producer.delivery.timeout.ms", "300")],
            handler: Some(Arc::new(|failure| {
                assert!(failure.retriable);
                ProductionResponse::resume()
            })),
        };
        let mut streams = run.start();
        runs(&streams);
        write(world, 0..1, |_| false);
        eventually(|| committed(world, "out") == ["0"]);
        world.delete(&TopicName::from(world.name("out")));
        write(world, 1..4, |_| false);
        eventually(|| metric(&streams, "stream-task-metrics", "dropped-records-total") == 3);
        assert_eq!(streams.state(), State::Running);
        assert!(streams.close(None).expect("a close"));
    });
}
