//! WordCount keeps its promises: through restarts, among several instances, and while the broker is away.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use kstreams::State;
use kstreams_broker::{Broker, BrokerConfig};

use super::application::{WordCount, metric, runs};
use super::{World, eventually, on_each_broker};

const WORDS: [&str; 5] = ["all", "streams", "lead", "to", "kafka"];

fn each(count: i64) -> BTreeMap<String, i64> {
    WORDS.iter().map(|word| ((*word).to_owned(), count)).collect()
}

#[test]
fn words_are_counted_across_partitions() {
    on_each_broker("count", |world| {
        let app = WordCount::new(world, 3);
        let state = tempfile::tempdir().unwrap();
        app.write(&WORDS, 50);
        let mut streams = app.start(state.path(), 1);
        runs(&streams);
        app.write(&WORDS, 50);
        app.settle();
        eventually(|| app.is_purged());
        assert!(streams.close(None).unwrap());
        assert_eq!(streams.state(), State::NotRunning);
        assert_eq!(app.counts(), each(100));
    });
}

#[test]
fn a_restart_counts_nothing_twice_and_restores_only_what_is_missing() {
    on_each_broker("restart", |world| {
        let app = WordCount::new(world, 2);
        let (kept, lost) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        app.write(&WORDS, 20);
        let mut first = app.start(kept.path(), 1);
        app.settle();
        first.close(None).unwrap();
        drop(first);

        app.write(&WORDS, 20);
        let mut second = app.start(kept.path(), 2);
        app.settle();
        assert_eq!(metric(&second, "stream-task-metrics", "restore-total"), 0);
        second.close(None).unwrap();
        drop(second);
        assert_eq!(app.counts(), each(40));

        app.write(&WORDS, 2);
        let mut third = app.start(lost.path(), 1);
        app.settle();
        assert!(metric(&third, "stream-task-metrics", "restore-total") >= 5);
        third.close(None).unwrap();
        assert_eq!(app.counts(), each(42));
    });
}

#[test]
fn a_store_ahead_of_its_changelog_is_built_anew() {
    on_each_broker("rebuild", |world| {
        let app = WordCount::new(world, 1);
        let state = tempfile::tempdir().unwrap();
        app.write(&WORDS, 10);
        let mut first = app.start(state.path(), 1);
        app.settle();
        first.close(None).unwrap();
        drop(first);
        app.delete_changelog();

        app.write(&WORDS, 3);
        let mut second = app.start(state.path(), 1);
        app.settle();
        second.close(None).unwrap();
        assert_eq!(app.counts(), each(3));
    });
}

#[test]
fn instances_share_the_work_and_take_over() {
    on_each_broker("share", |world| {
        let app = WordCount::new(world, 4);
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut first = app.start(one.path(), 2);
        runs(&first);
        app.write(&WORDS, 40);
        app.settle();
        let mut second = app.start(two.path(), 2);
        let opened = |streams: &kstreams::KafkaStreams| {
            metric(streams, "stream-thread-metrics", "task-created-total")
                - metric(streams, "stream-thread-metrics", "task-closed-total")
        };
        eventually(|| opened(&first) == 4 && opened(&second) == 4);
        app.write(&WORDS, 40);
        app.settle();
        first.close(None).unwrap();
        app.write(&WORDS, 40);
        app.settle();
        assert_eq!(opened(&second), 8);
        second.close(None).unwrap();
        assert_eq!(app.counts(), each(120));
    });
}

#[test]
fn a_broker_that_comes_back_finds_the_application_at_work() {
    let data = tempfile::tempdir().unwrap();
    let config = |listen: SocketAddr| BrokerConfig {
        listen,
        data: Some(data.path().to_owned()),
        ..BrokerConfig::default()
    };
    let broker = Broker::start(config(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let addr = broker.addr();
    let world = World::new(broker.bootstrap_servers(), "outage");
    let app = WordCount::new(&world, 2);
    let state = tempfile::tempdir().unwrap();
    app.write(&WORDS, 200);
    let mut streams = app.start(state.path(), 1);
    runs(&streams);
    broker.stop().unwrap();

    let broker = Broker::start(config(addr)).unwrap();
    app.write(&WORDS, 200);
    app.settle();
    assert!(streams.close(None).unwrap());
    assert_eq!(streams.state(), State::NotRunning);
    let counts = app.counts();
    assert!(counts.values().all(|count| *count >= 400), "{counts:?}");
    assert!(app.updates() >= WORDS.len());
    broker.stop().unwrap();
}
