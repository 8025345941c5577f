//! Three brokers, of which one or two are away: leaders and coordinators move, and what is committed stays exact.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use kstreams::prelude::*;
use kstreams::{Headers, TopicName, TopicPartition};
use kstreams_client::admin::NewTopic;
use kstreams_client::{Client, ClientConfig, ConsumerConfig, ConsumerEvent, ProducerConfig, ProducerRecord, Start};
use kstreams_tests::kafka::{self, Cluster, Controllers};
use kstreams_wire::code::ErrorCode;

use super::{PATIENCE, turn};

const KEYS: u32 = 8;
const PARTITIONS: i32 = 3;

fn client(cluster: &Cluster) -> Client {
    let properties = properties(cluster, &[]);
    Client::start(ClientConfig::from_properties(&properties).expect("a good configuration")).expect("a client")
}

fn properties(cluster: &Cluster, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let bootstrap = ("bootstrap.servers".to_owned(), cluster.bootstrap());
    more.chain([bootstrap]).collect()
}

fn create(cluster: &Cluster, names: &[&str]) {
    let topics: Vec<_> = names.iter().map(|name| NewTopic::new(*name, PARTITIONS)).collect();
    let end = Instant::now() + PATIENCE;
    loop {
        let created = client(cluster).admin().create_topics(&topics);
        // Brokers that have just come up may not know of each other yet.
        match created {
            Ok(created) if created.values().all(Result::is_ok) => return,
            other => assert!(Instant::now() < end, "{other:?}"),
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Counts the values behind a repartition topic, and emits every count.
fn counting(cluster: &Cluster, state: &Path) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("in")
        .group_by(|_, value| value.clone())
        .count()
        .materialized(Materialized::named("counts").uncached())
        .to_stream()
        .to("out");
    let config = StreamsConfig::new("several", &cluster.bootstrap())
        .set("state.dir", state.display())
        .set("processing.guarantee", "exactly_once_v2")
        .set("num.stream.threads", 2)
        .set("commit.interval.ms", 100);
    let mut streams =
        KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
    streams.start().expect("a start");
    streams
}

/// Writes values in turn until told to end; tells how many.
fn write(cluster: &Cluster, ends: &AtomicBool) -> u32 {
    let client = client(cluster);
    let config = properties(cluster, &[("delivery.timeout.ms", "120000")]);
    let mut producer = client.producer(ProducerConfig::from_properties(&config).expect("a good configuration"));
    let topic = producer.topic(&TopicName::new("in"));
    let mut written = 0;
    while !ends.load(Ordering::Relaxed) {
        let value = format!("k{}", written % KEYS);
        let record = ProducerRecord {
            key: None,
            value: Some(value.as_bytes()),
            timestamp: UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as i64,
            headers: &Headers::new(),
        };
        let partition = (written / KEYS) as i32 % PARTITIONS;
        producer.append(topic, Some(partition), record).expect("room");
        written += 1;
        producer
            .tick(Instant::now())
            .expect("every record is delivered in the end");
        std::thread::sleep(Duration::from_millis(1));
    }
    producer.flush().expect("every record is delivered in the end");
    written
}

/// The committed counts of each key in the order in which they were emitted, as soon as there are so many.
fn committed(cluster: &Cluster, count: usize) -> BTreeMap<String, Vec<i64>> {
    let client = client(cluster);
    let config = properties(cluster, &[("isolation.level", "read_committed")]);
    let mut consumer = client.consumer(ConsumerConfig::from_properties(&config).expect("a good configuration"));
    let all = (0..PARTITIONS).map(|number| TopicPartition::new(TopicName::new("out"), number));
    consumer.assign(&all.map(|partition| (partition, Start::Beginning)).collect::<Vec<_>>());
    let mut counts: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let end = Instant::now() + PATIENCE;
    while counts.values().map(Vec::len).sum::<usize>() < count {
        assert!(
            Instant::now() < end,
            "waited in vain for {count}, got {:?}",
            counts.values().map(Vec::len)
        );
        for event in consumer.poll(Duration::from_millis(100)) {
            let ConsumerEvent::Fetched { records, .. } = event else {
                panic!("{event:?}");
            };
            for mut batch in records {
                while let Some(record) = batch.next().expect("a sound batch") {
                    let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
                    let value = record.value.and_then(|value| value.try_into().ok());
                    counts
                        .entry(key)
                        .or_default()
                        .push(value.map_or(-1, i64::from_be_bytes));
                }
            }
        }
    }
    counts
}

/// Asserts that each key was counted from one on, without a gap and without a repetition.
fn assert_exact(cluster: &Cluster, written: u32) {
    let counts = committed(cluster, written as usize);
    assert_eq!(counts.len(), KEYS as usize);
    for (number, (key, counts)) in (0..).zip(counts) {
        let times = i64::from((written + KEYS - 1 - number) / KEYS);
        assert_eq!(counts, (1..=times).collect::<Vec<_>>(), "{key}");
    }
}

/// Lets an application count what is written meanwhile, and compares.
fn exact_through(cluster: &Cluster, trouble: impl FnOnce()) {
    let state = tempfile::tempdir().expect("a temporary folder");
    create(cluster, &["in", "out"]);
    let ends = AtomicBool::new(false);
    let mut streams = counting(cluster, state.path());
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(cluster, &ends));
        let running = streams.wait_for(State::Running, PATIENCE);
        if running {
            trouble();
        }
        ends.store(true, Ordering::Relaxed);
        assert!(running, "it is {}", streams.state());
        writer.join().expect("the writer ends well")
    });
    assert_exact(cluster, written);
    assert_eq!(streams.state(), State::Running);
    streams.close(None).expect("a clean close");
}

#[test]
fn a_rolling_restart_leaves_no_trace_in_what_is_committed() {
    let _turn = turn();
    let Some(cluster) = kafka::three("a rolling restart", Controllers::All) else {
        return;
    };
    exact_through(&cluster, || {
        for node in cluster.nodes() {
            node.stop();
            node.restart();
        }
    });
}

/// Why a record that is written now is not taken.
fn refusal(cluster: &Cluster) -> Option<ErrorCode> {
    let patience = [
        ("delivery.timeout.ms", "3000"),
        ("request.timeout.ms", "1000"),
        ("linger.ms", "0"),
    ];
    let config = ProducerConfig::from_properties(&properties(cluster, &patience)).expect("a good configuration");
    let client = client(cluster);
    let mut producer = client.producer(config);
    let topic = producer.topic(&TopicName::new("probe"));
    let record = ProducerRecord {
        key: None,
        value: Some(b"v"),
        timestamp: 0,
        headers: &Headers::new(),
    };
    let appended = producer.append(topic, None, record);
    appended.and_then(|()| producer.flush()).err()?.code()
}

#[test]
fn with_too_few_replicas_everything_waits_and_nothing_is_lost() {
    let _turn = turn();
    let Some(cluster) = kafka::three("too few replicas", Controllers::First) else {
        return;
    };
    create(&cluster, &["probe"]);
    exact_through(&cluster, || {
        let [_, second, third] = cluster.nodes() else { return };
        second.kill();
        third.kill();
        let end = Instant::now() + PATIENCE;
        while refusal(&cluster) != Some(ErrorCode::NOT_ENOUGH_REPLICAS) {
            assert!(Instant::now() < end, "two replicas are missing, and nobody says so");
        }
        second.restart();
        third.restart();
    });
}
