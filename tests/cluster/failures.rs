//! What the threads of an instance survive, and what they say when they do not: brokers and topics that are away.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kstreams::prelude::*;
use kstreams::{StreamThreadExceptionResponse, TopicName};
use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::consume::Isolation;
use tempfile::TempDir;

use super::application::{metric, runs};
use super::{PATIENCE, World, eventually, on_each_broker};

/// What the uncaught exception handler was told, in one line; the instance shuts down.
fn listen(streams: &mut KafkaStreams) -> Arc<Mutex<String>> {
    let said = Arc::new(Mutex::new(String::new()));
    let told = said.clone();
    let handled = streams.set_uncaught_exception_handler(move |error| {
        *told.lock().expect("unpoisoned") = kstreams::with_causes(error);
        StreamThreadExceptionResponse::ShutdownClient
    });
    handled.expect("it is not started");
    said
}

/// Ends by an error; what it said.
fn ends_by_an_error(streams: &KafkaStreams, said: &Mutex<String>) -> String {
    assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
    said.lock().expect("unpoisoned").clone()
}

/// Two copies side by side, each a task of the same thread.
fn copies(world: &World, state: &Path, task_timeout_ms: u32) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    for (from, to) in [("in-a", "out-a"), ("in-b", "out-b")] {
        builder
            .stream::<String, String>(world.name(from).as_str())
            .to(world.name(to).as_str());
    }
    let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("commit.interval.ms", 100)
        .set("producer.max.block.ms", 300)
        .set("task.timeout.ms", task_timeout_ms);
    KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration")
}

#[test]
fn a_task_that_cannot_write_waits_alone() {
    on_each_broker("alone", |world| {
        world.topics(&["in-a", "in-b", "out-b"], 1);
        let state = tempfile::tempdir().expect("a directory");
        let mut streams = copies(world, state.path(), 300_000);
        streams.start().expect("a start");
        world.write("in-a", &[("first", Some("1"), 1), ("second", Some("2"), 2)]);
        // Its neighbour goes on, again and again.
        for round in 1..=3 {
            let key = format!("round {round}");
            world.write("in-b", &[(&key, Some("b"), 1)]);
            eventually(|| world.latest("out-b").len() == round);
        }
        assert_eq!(metric(&streams, "stream-metrics", "failed-stream-threads"), 0);
        world.topics(&["out-a"], 1);
        eventually(|| world.latest("out-a").len() == 2);
        // And it is a task like any other after that.
        world.write("in-a", &[("third", Some("3"), 3)]);
        eventually(|| world.latest("out-a").len() == 3);
        assert!(streams.close(None).expect("a close"));
    });
}

#[test]
fn a_task_that_cannot_write_for_long_ends_its_thread() {
    on_each_broker("alone-for-long", |world| {
        world.topics(&["in-a", "in-b", "out-b"], 1);
        let state = tempfile::tempdir().expect("a directory");
        let mut streams = copies(world, state.path(), 0);
        let said = listen(&mut streams);
        streams.start().expect("a start");
        world.write("in-a", &[("first", Some("1"), 1)]);
        let said = ends_by_an_error(&streams, &said);
        let expected = "task 0_0 made no progress within task.timeout.ms: task 0_0 failed: ";
        assert!(said.starts_with(expected), "{said}");
        assert!(said.contains(&world.name("out-a")), "{said}");
    });
}

#[test]
fn a_source_topic_that_is_deleted_ends_the_instance_by_its_name() {
    on_each_broker("deleted", |world| {
        world.topics(&["in-a", "in-b", "out-a", "out-b"], 1);
        let state = tempfile::tempdir().expect("a directory");
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>(world.name("in-a").as_str())
            .to(world.name("out-a").as_str());
        let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
            .set("state.dir", state.path().display())
            .set("metadata.max.age.ms", 500);
        let mut streams =
            KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
        let said = listen(&mut streams);
        streams.start().expect("a start");
        world.write("in-a", &[("k", Some("v"), 1)]);
        eventually(|| world.latest("out-a").len() == 1);
        runs(&streams);
        let topic = TopicName::from(world.name("in-a"));
        world.delete(&topic);
        let said = ends_by_an_error(&streams, &said);
        assert_eq!(said, format!("source topics are missing: {topic}"));
    });
}

#[test]
fn an_instance_without_a_broker_waits_and_can_be_closed() {
    let state = tempfile::tempdir().expect("a directory");
    let broker = Broker::start(BrokerConfig::default()).expect("the embedded broker starts");
    let world = World::new(broker.bootstrap_servers(), "nobody");
    broker.stop().expect("the embedded broker stops");
    for guarantee in ["at_least_once", "exactly_once_v2"] {
        let builder = StreamsBuilder::new();
        builder
            .stream::<String, String>(world.name("in").as_str())
            .to(world.name("out").as_str());
        let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
            .set("state.dir", state.path().display())
            .set("processing.guarantee", guarantee);
        let mut streams =
            KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
        streams.start().expect("a start");
        assert!(!streams.wait_for(State::Running, Duration::from_millis(500)));
        assert_eq!(streams.state(), State::Rebalancing);
        let since = Instant::now();
        assert!(streams.close(Some(PATIENCE)).expect("a close"));
        assert!(since.elapsed() < PATIENCE / 2, "closing waits for nobody");
    }
}

/// A broker that goes away and comes back with what it had.
struct Outages {
    data: TempDir,
    addr: SocketAddr,
    broker: Option<Broker>,
}

impl Outages {
    fn new() -> Self {
        let mut outages = Self {
            data: tempfile::tempdir().expect("a directory"),
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            broker: None,
        };
        outages.end();
        outages
    }

    fn begin(&mut self) {
        let broker = self.broker.take().expect("it is there");
        broker.stop().expect("the embedded broker stops");
    }

    fn end(&mut self) {
        let config = BrokerConfig {
            listen: self.addr,
            data: Some(self.data.path().to_owned()),
            ..BrokerConfig::default()
        };
        let broker = Broker::start(config).expect("the embedded broker starts");
        self.addr = broker.addr();
        self.broker = Some(broker);
    }
}

/// Counts the records of each key, slowly enough for the broker to go away in the middle, and with little patience.
fn slow_count(world: &World, state: &Path, guarantee: &str, task_timeout_ms: u32) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(world.name("in").as_str())
        .group_by_key()
        .count()
        .materialized(Materialized::named("counts").uncached())
        .to_stream()
        .map_values(|_, count: Option<i64>| {
            std::thread::sleep(Duration::from_millis(2));
            count.unwrap_or_default().to_string()
        })
        .to(world.name("out").as_str());
    let settings = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("processing.guarantee", guarantee)
        .set("task.timeout.ms", task_timeout_ms)
        .set("commit.interval.ms", 30)
        .set("default.api.timeout.ms", 600)
        .set("request.timeout.ms", 500)
        .set("producer.linger.ms", 0)
        .set("producer.max.block.ms", 600)
        .set("producer.delivery.timeout.ms", 1000);
    KafkaStreams::new(builder.build().expect("a good topology"), settings).expect("a good configuration")
}

const KEYS: usize = 5;
/// How often each key is written in a round.
const TIMES: i64 = 40;

/// Writes a round of records, and waits for the first counts.
fn write_round(world: &World) {
    let before = world.read_raw(&world.name("out")).len();
    let keys: Vec<String> = (0..KEYS * TIMES as usize).map(|n| format!("k{}", n % KEYS)).collect();
    let records: Vec<_> = keys.iter().map(|key| (key.as_str(), Some("v"), 1)).collect();
    world.write("in", &records);
    eventually(|| world.read_raw(&world.name("out")).len() > before);
}

/// Waits until the records of so many rounds are counted.
fn all_are_counted(world: &World, rounds: i64) {
    let is_done = |count: &String| count.parse::<i64>().is_ok_and(|count| count >= rounds * TIMES);
    eventually(|| world.latest("out").values().filter(|count| is_done(count)).count() == KEYS);
}

/// What is committed after so many rounds: exactly that, or each of it at least once.
fn check_counts(world: &World, guarantee: &str, rounds: i64) {
    let mut counts: BTreeMap<Vec<u8>, Vec<i64>> = BTreeMap::new();
    for (key, value) in world.read_isolated(&world.name("out"), Isolation::ReadCommitted) {
        let text = String::from_utf8(value.unwrap_or_default()).expect("text");
        counts.entry(key).or_default().push(text.parse().expect("a number"));
    }
    assert_eq!(counts.len(), KEYS);
    for (key, mut counts) in counts {
        if guarantee == "at_least_once" {
            counts.sort_unstable();
            counts.dedup();
        }
        let exact = if guarantee == "at_least_once" {
            counts.len() as i64
        } else {
            rounds * TIMES
        };
        assert!(exact >= rounds * TIMES);
        let all: Vec<i64> = (1..=exact).collect();
        assert_eq!(counts, all, "{}", String::from_utf8_lossy(&key));
    }
}

/// The broker goes away for longer than a commit, and a delivery, may take.
fn outages_are_survived(guarantee: &str) {
    const ROUNDS: i64 = 3;
    let mut outages = Outages::new();
    let world = World::new(outages.addr.to_string(), "outage");
    world.topics(&["in", "out"], 1);
    let state = tempfile::tempdir().expect("a directory");
    let mut streams = slow_count(&world, state.path(), guarantee, 300_000);
    streams.start().expect("a start");
    for round in 1..=ROUNDS {
        write_round(&world);
        outages.begin();
        std::thread::sleep(Duration::from_millis(2500));
        outages.end();
        all_are_counted(&world, round);
    }
    assert_eq!(metric(&streams, "stream-metrics", "failed-stream-threads"), 0);
    assert!(streams.close(None).expect("a close"));
    check_counts(&world, guarantee, ROUNDS);
}

#[test]
fn outages_during_commits_lose_nothing_at_least_once() {
    outages_are_survived("at_least_once");
}

#[test]
fn outages_during_commits_leave_no_trace_exactly_once() {
    outages_are_survived("exactly_once_v2");
}

/// The broker stays away for longer than `task.timeout.ms`.
fn an_outage_ends_the_instance(guarantee: &str) {
    let mut outages = Outages::new();
    let world = World::new(outages.addr.to_string(), "long-outage");
    world.topics(&["in", "out"], 1);
    let state = tempfile::tempdir().expect("a directory");
    let mut streams = slow_count(&world, state.path(), guarantee, 2000);
    let said = listen(&mut streams);
    streams.start().expect("a start");
    write_round(&world);
    outages.begin();
    let said = ends_by_an_error(&streams, &said);
    assert!(
        said.starts_with("task 0_0 made no progress within task.timeout.ms: "),
        "{said}"
    );
    drop(streams);
    outages.end();
    let mut streams = slow_count(&world, state.path(), guarantee, 300_000);
    streams.start().expect("a start");
    all_are_counted(&world, 1);
    assert!(streams.close(None).expect("a close"));
    check_counts(&world, guarantee, 1);
}

#[test]
fn a_long_outage_ends_the_instance_and_loses_nothing_at_least_once() {
    an_outage_ends_the_instance("at_least_once");
}

#[test]
fn a_long_outage_ends_the_instance_and_leaves_no_trace_exactly_once() {
    an_outage_ends_the_instance("exactly_once_v2");
}
