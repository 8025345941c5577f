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
        let deleted = world.client().admin().delete_topics(std::slice::from_ref(&topic));
        assert!(deleted.expect("a broker").values().all(Result::is_ok));
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

/// Counts words while the broker goes away for longer than a commit, and a delivery, may take.
fn counts_through_outages(guarantee: &str) -> BTreeMap<String, Vec<String>> {
    const ROUNDS: i64 = 3;
    let data = tempfile::tempdir().expect("a directory");
    let config = |listen: SocketAddr| BrokerConfig {
        listen,
        data: Some(data.path().to_owned()),
        ..BrokerConfig::default()
    };
    let mut broker = Broker::start(config(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("the embedded broker starts");
    let addr = broker.addr();
    let world = World::new(broker.bootstrap_servers(), "outage");
    world.topics(&["in", "out"], 1);
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(world.name("in").as_str())
        .group_by_key()
        .count()
        .materialized(Materialized::named("counts").uncached())
        .to_stream()
        .map_values(|_, count: Option<i64>| {
            // Slow enough for the broker to go away in the middle.
            std::thread::sleep(Duration::from_millis(2));
            count.unwrap_or_default().to_string()
        })
        .to(world.name("out").as_str());
    let state = tempfile::tempdir().expect("a directory");
    let settings = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.path().display())
        .set("processing.guarantee", guarantee)
        .set("commit.interval.ms", 30)
        .set("default.api.timeout.ms", 600)
        .set("request.timeout.ms", 500)
        .set("producer.linger.ms", 0)
        .set("producer.max.block.ms", 600)
        .set("producer.delivery.timeout.ms", 1000);
    let mut streams =
        KafkaStreams::new(builder.build().expect("a good topology"), settings).expect("a good configuration");
    streams.start().expect("a start");
    let keys: Vec<String> = (0..200).map(|n| format!("k{}", n % 5)).collect();
    for round in 1..=ROUNDS {
        let records: Vec<_> = keys.iter().map(|key| (key.as_str(), Some("v"), round)).collect();
        world.write("in", &records);
        eventually(|| !world.latest("out").is_empty());
        broker.stop().expect("the embedded broker stops");
        std::thread::sleep(Duration::from_millis(2500));
        broker = Broker::start(config(addr)).expect("the embedded broker starts");
        let all = round * 40;
        let at_least_all = |count: &String| count.parse::<i64>().is_ok_and(|count| count >= all);
        eventually(|| world.latest("out").values().filter(|count| at_least_all(count)).count() == 5);
    }
    assert_eq!(metric(&streams, "stream-metrics", "failed-stream-threads"), 0);
    assert!(streams.close(None).expect("a close"));
    let mut counts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    for (key, value) in world.read_isolated(&world.name("out"), Isolation::ReadCommitted) {
        counts
            .entry(text(key))
            .or_default()
            .push(text(value.unwrap_or_default()));
    }
    broker.stop().expect("the embedded broker stops");
    counts
}

#[test]
fn outages_during_commits_lose_nothing_at_least_once() {
    for (key, counts) in counts_through_outages("at_least_once") {
        let mut seen: Vec<i64> = counts.iter().filter_map(|count| count.parse().ok()).collect();
        seen.sort_unstable();
        seen.dedup();
        let all: Vec<i64> = (1..=seen.len() as i64).collect();
        assert_eq!(seen, all, "{key}: nothing is left out");
    }
}

#[test]
fn outages_during_commits_leave_no_trace_exactly_once() {
    for (key, counts) in counts_through_outages("exactly_once_v2") {
        let all: Vec<String> = (1..=120).map(|count| count.to_string()).collect();
        assert_eq!(counts, all, "{key}");
    }
}
