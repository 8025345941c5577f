//! The guarantee can be changed on existing state: nothing is thrown away, and what follows is exact.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kstreams::EngineKind;
use kstreams::prelude::*;
use kstreams_client::consume::Isolation;

use super::application::{metric, runs};
use super::{PATIENCE, World, eventually, on_each_broker};

const KEYS: [&str; 3] = ["a", "b", "c"];
const TIMES: i64 = 20;
const AT_LEAST_ONCE: &str = "at_least_once";
const EXACTLY_ONCE: &str = "exactly_once_v2";

/// Where an application keeps its counts.
struct Place<'a> {
    engine: EngineKind,
    directory: &'a Path,
}

/// How it lives this time.
struct Life<'a> {
    guarantee: &'a str,
    commit_interval_ms: u32,
    fuse: Arc<AtomicU32>,
}

/// Counts the records of each key. Every count that brings `fuse` down to 0 fails the instance.
fn application(world: &World, place: &Place<'_>, life: &Life<'_>) -> KafkaStreams {
    let fuse = life.fuse.clone();
    let counts = match place.engine {
        EngineKind::Memory => Materialized::named("counts").uncached().in_memory(),
        EngineKind::Persistent => Materialized::named("counts").uncached(),
    };
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(world.name("in").as_str())
        .group_by_key()
        .count()
        .materialized(counts)
        .to_stream()
        .map_values(
            move |_, count: Option<i64>| match fuse.fetch_sub(1, Ordering::Relaxed) {
                1 => Err("the fuse has blown"),
                _ => Ok(count.unwrap_or_default().to_string()),
            },
        )
        .to(world.name("out").as_str());
    let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", place.directory.display())
        .set("processing.guarantee", life.guarantee)
        .set("commit.interval.ms", life.commit_interval_ms)
        .set("producer.linger.ms", 0)
        .set("session.timeout.ms", 6000)
        .set("heartbeat.interval.ms", 500);
    let mut streams =
        KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
    streams.start().expect("a start");
    streams
}

fn write(world: &World) {
    let records: Vec<_> = (0..TIMES)
        .flat_map(|time| KEYS.map(|key| (key, Some("x"), time)))
        .collect();
    world.write("in", &records);
}

/// The latest count of each key.
fn counts(world: &World, isolation: Isolation) -> BTreeMap<String, String> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let records = world.read_isolated(&world.name("out"), isolation);
    records
        .into_iter()
        .map(|(key, value)| (text(key), value.map(text).unwrap_or_default()))
        .collect()
}

fn each(count: i64) -> BTreeMap<String, String> {
    KEYS.iter().map(|key| ((*key).to_owned(), count.to_string())).collect()
}

/// One life of the application: it counts what is new and is closed.
fn counts_on(world: &World, place: &Place<'_>, guarantee: &str, expected: i64) {
    let life = Life {
        guarantee,
        commit_interval_ms: 50,
        fuse: Arc::new(AtomicU32::new(u32::MAX)),
    };
    let mut streams = application(world, place, &life);
    runs(&streams);
    write(world);
    eventually(|| counts(world, Isolation::ReadCommitted) == each(expected));
    if place.engine == EngineKind::Persistent {
        let restored = metric(&streams, "stream-task-metrics", "restore-total");
        assert_eq!(restored, 0, "the store on disk is that of the last commit");
    }
    assert!(streams.close(None).expect("a close"));
}

/// One life of the application that counts what is new and fails before it commits: what it logged is aborted.
fn fails_behind(world: &World, place: &Place<'_>, committed: i64) {
    let life = Life {
        guarantee: EXACTLY_ONCE,
        commit_interval_ms: 9_000,
        fuse: Arc::new(AtomicU32::new(u32::MAX)),
    };
    let mut streams = application(world, place, &life);
    runs(&streams);
    write(world);
    eventually(|| counts(world, Isolation::ReadUncommitted) == each(committed + TIMES));
    life.fuse.store(1, Ordering::Relaxed);
    write(world);
    assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
    let _ = streams.close(None);
    assert_eq!(counts(world, Isolation::ReadCommitted), each(committed));
}

fn change_in_both_directions(world: &World, engine: EngineKind) {
    world.topics(&["in", "out"], 2);
    let state = tempfile::tempdir().expect("a directory");
    let place = Place {
        engine,
        directory: state.path(),
    };
    counts_on(world, &place, AT_LEAST_ONCE, TIMES);
    counts_on(world, &place, EXACTLY_ONCE, 2 * TIMES);
    counts_on(world, &place, AT_LEAST_ONCE, 3 * TIMES);
    counts_on(world, &place, EXACTLY_ONCE, 4 * TIMES);
    fails_behind(world, &place, 4 * TIMES);
    counts_on(world, &place, AT_LEAST_ONCE, 7 * TIMES);
    fails_behind(world, &place, 7 * TIMES);
    counts_on(world, &place, EXACTLY_ONCE, 10 * TIMES);
}

#[test]
fn the_guarantee_of_state_on_disk_can_be_changed() {
    on_each_broker("guarantee-disk", |world| {
        change_in_both_directions(world, EngineKind::Persistent)
    });
}

#[test]
fn the_guarantee_of_state_in_memory_can_be_changed() {
    on_each_broker("guarantee-memory", |world| {
        change_in_both_directions(world, EngineKind::Memory)
    });
}
