//! Interactive reads: what other threads see of the state of an instance.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use kstreams::IsolationLevel::{ReadCommitted, ReadUncommitted};
use kstreams::prelude::*;
use kstreams::stores::{KeyValueStore, TimestampedKeyValueStore, ValueAndTimestamp};
use kstreams::{EngineKind, Error, IsolationLevel, ReadOnlyStore, StreamThreadExceptionResponse};
use kstreams_client::consume::Isolation;

use super::application::runs;
use super::{World, eventually, on_each_broker};

type Texts = KeyValueStore<String, String>;

/// What goes wrong with an application, and when.
#[derive(Default)]
struct Attempt {
    number: AtomicU32,
    fails: AtomicBool,
}

/// Keeps the latest value of each key, marked with the number of the attempt. The thread that fails is replaced.
fn application(world: &World, state: &Path, engine: EngineKind, attempt: &Arc<Attempt>) -> KafkaStreams {
    let (marking, failing, healing) = (attempt.clone(), attempt.clone(), attempt.clone());
    let latest = match engine {
        EngineKind::Memory => Materialized::named("latest").in_memory(),
        EngineKind::Persistent => Materialized::named("latest"),
    };
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(world.name("in").as_str())
        .map_values(move |_, value| format!("{value}@{}", marking.number.load(Ordering::Relaxed)))
        .group_by_key()
        .reduce(|_, new| new.clone())
        .materialized(latest.uncached())
        .to_stream()
        .map_values(move |_, value: Option<String>| {
            let fails = value.as_deref().is_some_and(|value| value.starts_with("bang"))
                && failing.fails.load(Ordering::Relaxed);
            match fails {
                true => Err("bang"),
                false => Ok(value.unwrap_or_default()),
            }
        })
        .to(world.name("out").as_str());
    let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("processing.guarantee", "exactly_once_v2")
        .set("commit.interval.ms", 9_000)
        .set("producer.linger.ms", 0)
        .set("session.timeout.ms", 6_000)
        .set("heartbeat.interval.ms", 500);
    let topology = builder.build().expect("a good topology");
    let mut streams = KafkaStreams::new(topology, config).expect("a good configuration");
    let replace = move |_: &Error| {
        healing.number.fetch_add(1, Ordering::Relaxed);
        healing.fails.store(false, Ordering::Relaxed);
        StreamThreadExceptionResponse::ReplaceThread
    };
    streams.set_uncaught_exception_handler(replace).expect("not started");
    streams.start().expect("a start");
    streams
}

/// The value of "a" if the store is here.
fn read(store: &ReadOnlyStore<Texts>) -> Option<String> {
    match store.get(&"a".to_owned()) {
        Ok(value) => value,
        Err(Error::StreamsRebalancing { .. } | Error::StateStoreMigrated { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

fn store(streams: &KafkaStreams, isolation: IsolationLevel) -> ReadOnlyStore<Texts> {
    streams.store("latest", isolation).expect("a store of this type")
}

fn committed_reads_never_see_what_is_aborted(world: &World, engine: EngineKind) {
    world.topics(&["in", "out"], 1);
    let state = tempfile::tempdir().expect("a directory");
    let attempt = Arc::new(Attempt::default());
    attempt.fails.store(true, Ordering::Relaxed);
    let mut streams = application(world, state.path(), engine, &attempt);
    runs(&streams);
    let (latest, committed) = (store(&streams, ReadUncommitted), store(&streams, ReadCommitted));
    let seen = Mutex::new(Vec::new());
    let done = AtomicBool::new(false);
    let see = || {
        while !done.load(Ordering::Relaxed) {
            let value = read(&committed);
            seen.lock().expect("unpoisoned").extend(value);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(see);
        // The first commit comes soon, the next one in nine seconds.
        world.write("in", &[("a", Some("one"), 1)]);
        eventually(|| read(&committed).as_deref() == Some("one@0"));
        world.write("in", &[("a", Some("two"), 2)]);
        eventually(|| read(&latest).as_deref() == Some("two@0"));
        assert_eq!(read(&committed).as_deref(), Some("one@0"));
        world.write("in", &[("a", Some("bang"), 3)]);
        eventually(|| read(&committed).as_deref() == Some("bang@1"));
        done.store(true, Ordering::Relaxed);
    });
    let mut seen = seen.into_inner().expect("unpoisoned");
    seen.dedup();
    let output = world.read_isolated(&world.name("out"), Isolation::ReadCommitted);
    let output: Vec<String> = output
        .into_iter()
        .map(|(_, value)| String::from_utf8(value.expect("a value")).expect("text"))
        .collect();
    assert_eq!(output, ["one@0", "two@1", "bang@1"]);
    assert!(seen.iter().all(|value| output.contains(value)), "{seen:?}");
    assert!(streams.close(None).expect("a close"));
    assert!(matches!(committed.get(&"a".to_owned()), Err(Error::State { .. })));
    assert!(matches!(latest.get(&"a".to_owned()), Err(Error::State { .. })));
}

#[test]
fn committed_reads_of_a_store_on_disk_never_see_what_is_aborted() {
    on_each_broker("reads-disk", |world| {
        committed_reads_never_see_what_is_aborted(world, EngineKind::Persistent);
    });
}

#[test]
fn committed_reads_of_a_store_in_memory_never_see_what_is_aborted() {
    on_each_broker("reads-memory", |world| {
        committed_reads_never_see_what_is_aborted(world, EngineKind::Memory);
    });
}

fn refuses_other_stores(streams: &KafkaStreams) {
    let unknown = streams
        .store::<Texts>("nowhere", ReadCommitted)
        .err()
        .expect("no such store");
    assert_eq!(unknown.to_string(), "the topology has no store nowhere");
    let other = streams
        .store::<Texts>("counts", ReadCommitted)
        .err()
        .expect("another type");
    assert!(
        other
            .to_string()
            .contains("counts is of kind TimestampedKeyValue and cannot be read as"),
        "{other}"
    );
}

#[test]
fn reads_find_every_partition_and_every_layer() {
    on_each_broker("reads-ranges", |world| {
        world.topics(&["in", "names"], 3);
        let state = tempfile::tempdir().expect("a directory");
        let builder = StreamsBuilder::new();
        // Cached: what was not committed yet is in the cache alone.
        let counts = builder.stream::<String, String>(world.name("in").as_str());
        counts.group_by_key().count().materialized("counts");
        builder
            .global_table::<String, String>(world.name("names").as_str())
            .materialized("names");
        let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
            .set("state.dir", state.path().display())
            .set("num.stream.threads", 2)
            .set("commit.interval.ms", 300_000);
        let topology = builder.build().expect("a good topology");
        let mut streams = KafkaStreams::new(topology, config).expect("a good configuration");
        let early = streams
            .store::<Texts>("names", ReadCommitted)
            .err()
            .expect("not started");
        assert_eq!(early.to_string(), "cannot read a store of an instance that is CREATED");
        streams.start().expect("a start");
        runs(&streams);

        let keys = ["a", "b", "c", "d", "e", "f"];
        let records: Vec<_> = keys.iter().map(|key| (*key, Some("x"), 7)).collect();
        let store = |isolation| streams.store::<KeyValueStore<String, i64>>("counts", isolation);
        let (latest, committed) = (
            store(ReadUncommitted).expect("a store"),
            store(ReadCommitted).expect("a store"),
        );
        let sorted = |mut rows: Vec<(String, i64)>| {
            rows.sort();
            rows
        };
        let each = |count| -> Vec<_> { keys.iter().map(|key| ((*key).to_owned(), count)).collect() };
        world.write("in", &records);
        eventually(|| sorted(latest.all().expect("a range")) == each(1));
        world.write("in", &records);
        eventually(|| sorted(latest.all().expect("a range")) == each(2));
        assert_eq!(latest.get(&"d".to_owned()).expect("a read"), Some(2));
        assert_eq!(latest.get(&"z".to_owned()).expect("a read"), None);
        let some = latest
            .range(Some(&"b".to_owned()), Some(&"c".to_owned()))
            .expect("a range");
        assert_eq!(sorted(some), [("b".to_owned(), 2), ("c".to_owned(), 2)]);
        // The next commit is minutes away. What the first one had, soon after the start, is left to chance.
        assert!(committed.all().expect("a range").iter().all(|(_, count)| *count <= 2));

        let timed = streams.store::<TimestampedKeyValueStore<String, i64>>("counts", ReadUncommitted);
        let value = timed.expect("a store").get(&"a".to_owned()).expect("a read");
        assert_eq!(value, Some(ValueAndTimestamp::new(2, 7)));

        world.write("names", &[("a", Some("Ada"), 1)]);
        let names = streams.store::<Texts>("names", ReadCommitted).expect("a store");
        eventually(|| names.get(&"a".to_owned()).expect("a read").as_deref() == Some("Ada"));

        refuses_other_stores(&streams);
        assert!(streams.close(None).expect("a close"));
    });
}
