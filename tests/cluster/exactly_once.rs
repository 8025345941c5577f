//! Exactly once: whatever fails and however often, what is committed is what one pass over the input gives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kstreams::prelude::*;
use kstreams::{Headers, StateChange, StreamThreadExceptionResponse, TopicName};
use kstreams_client::consume::Isolation;
use kstreams_client::{ProducerConfig, ProducerRecord, TransactionalConfig};

use super::application::{metric, runs};
use super::stale::Coordinator;
use super::{PATIENCE, World, eventually, on_each_broker};

const KEYS: u32 = 5;
const PARTITIONS: i32 = 2;

/// Counts the records of each key behind a repartition topic, and emits every count. Every record that brings `fuse` down
/// to 0 fails the instance.
fn application(world: &World, state: &Path, fuse: &Arc<AtomicU32>) -> KafkaStreams {
    let fuse = fuse.clone();
    let counting = counting(world, move || match fuse.fetch_sub(1, Ordering::Relaxed) {
        1 => Err("the fuse has blown"),
        _ => Ok(()),
    });
    KafkaStreams::new(counting, config(world, state)).expect("a good configuration")
}

/// Counts likewise, and asks `each` before a count is emitted.
fn counting(world: &World, each: impl Fn() -> Result<(), &'static str> + Send + Sync + 'static) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(world.name("in").as_str())
        .group_by(|_, value| value.clone())
        .count()
        .materialized(Materialized::named("counts").uncached())
        .to_stream()
        .map_values(move |_, count: Option<i64>| each().map(|()| count.unwrap_or_default()))
        .to(world.name("out").as_str());
    builder.build().expect("a good topology")
}

fn config(world: &World, state: &Path) -> StreamsConfig {
    StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("processing.guarantee", "exactly_once_v2")
        .set("num.stream.threads", 2)
        .set("commit.interval.ms", 30)
        .set("session.timeout.ms", 6000)
        .set("heartbeat.interval.ms", 500)
}

fn started(mut streams: KafkaStreams) -> KafkaStreams {
    streams.start().expect("a start");
    streams
}

/// Waits until so many counts are committed: each key's must be all there are, in their order.
fn each_key_counts_to(world: &World, times: u32) {
    eventually(|| {
        let counts = committed_counts(world);
        counts.values().map(Vec::len).sum::<usize>() >= (times * KEYS) as usize
    });
    let counts = committed_counts(world);
    let all: Vec<i64> = (1..=i64::from(times)).collect();
    assert_eq!(counts.len(), KEYS as usize);
    for (key, counts) in counts {
        assert_eq!(counts, all, "{key}");
    }
}

/// Writes `times` records of each key.
fn write(world: &World, times: u32) {
    let mut producer = world.client().producer(ProducerConfig::default());
    let topic = producer.topic(&TopicName::from(world.name("in")));
    for number in 0..times * KEYS {
        let value = format!("k{}", number % KEYS);
        let record = ProducerRecord {
            key: None,
            value: Some(value.as_bytes()),
            timestamp: i64::from(number),
            headers: &Headers::new(),
        };
        let partition = (number / KEYS) as i32 % PARTITIONS;
        producer.append(topic, Some(partition), record).expect("room");
    }
    producer.flush().expect("a broker");
}

/// The names of an instance's threads.
fn threads(streams: &KafkaStreams) -> BTreeSet<String> {
    let metrics = streams.metrics().into_iter();
    metrics
        .filter_map(|metric| metric.tags.get("thread-id").cloned())
        .collect()
}

/// Takes the transactional ids of an instance's threads: what they have open is aborted. Says how many there are.
fn fence(world: &World, streams: &KafkaStreams) -> usize {
    let threads = threads(streams);
    for thread in &threads {
        // `<application>-<process>-StreamThread-<n>` writes under `<application>-<process>-<n>`.
        let config = ProducerConfig {
            transactional: Some(TransactionalConfig {
                id: thread.replace("-StreamThread-", "-"),
                timeout: PATIENCE,
            }),
            ..ProducerConfig::default()
        };
        let mut usurper = world.client().producer(config);
        usurper.init_transactions().expect("a broker");
    }
    threads.len()
}

/// The committed counts of each key, in the order in which they were emitted.
fn committed_counts(world: &World) -> BTreeMap<String, Vec<i64>> {
    let mut counts: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (key, value) in world.read_isolated(&world.name("out"), Isolation::ReadCommitted) {
        let value = value.and_then(|value| value.try_into().ok());
        let key = String::from_utf8(key).expect("text");
        counts
            .entry(key)
            .or_default()
            .push(value.map_or(-1, i64::from_be_bytes));
    }
    counts
}

#[test]
fn failures_leave_no_trace_in_what_is_committed() {
    const TIMES: u32 = 60;
    const ROUNDS: [u32; 5] = [1, 40, 130, 200, 290];
    on_each_broker("exactly-once", |world| {
        world.topics(&["in", "out"], PARTITIONS);
        let state = tempfile::tempdir().expect("a directory");
        let fuse = Arc::new(AtomicU32::new(0));
        for blows_after in ROUNDS {
            write(world, TIMES);
            fuse.store(blows_after, Ordering::Relaxed);
            let mut streams = started(application(world, state.path(), &fuse));
            assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
            let _ = streams.close(None);
        }
        fuse.store(u32::MAX, Ordering::Relaxed);
        let mut streams = started(application(world, state.path(), &fuse));
        runs(&streams);
        let restored = metric(&streams, "stream-task-metrics", "restore-total");
        assert_eq!(
            restored, 0,
            "state on disk is that of the last commit, and the rest was never committed"
        );
        each_key_counts_to(world, TIMES * ROUNDS.len() as u32);
        let _ = streams.close(None);
    });
}

#[test]
fn replaced_threads_leave_no_trace_in_what_is_committed() {
    const TIMES: u32 = 60;
    const ROUNDS: [u32; 3] = [1, 40, 130];
    on_each_broker("exactly-once-replaced", |world| {
        world.topics(&["in", "out"], PARTITIONS);
        let state = tempfile::tempdir().expect("a directory");
        let fuse = Arc::new(AtomicU32::new(u32::MAX));
        let went_to = Arc::new(Mutex::new(Vec::new()));
        let told = went_to.clone();
        let mut streams = application(world, state.path(), &fuse)
            .on_state_change(move |change: StateChange| told.lock().expect("unpoisoned").push(change.to));
        let handled = streams.set_uncaught_exception_handler(|_| StreamThreadExceptionResponse::ReplaceThread);
        handled.expect("it is not started");
        let streams = started(streams);
        assert!(
            streams
                .add_stream_thread()
                .expect("a thread")
                .is_some_and(|name| name.ends_with("-StreamThread-3")),
            "the lowest free number is that of a third"
        );
        let stream_metric = |name| metric(&streams, "stream-metrics", name);
        let mut times = 0;
        for (failed, blows_after) in (1..).zip(ROUNDS) {
            fuse.store(blows_after, Ordering::Relaxed);
            write(world, TIMES);
            times += TIMES;
            eventually(|| stream_metric("failed-stream-threads") == failed);
            each_key_counts_to(world, times);
            eventually(|| stream_metric("alive-stream-threads") == 3);
        }
        let threads = threads(&streams);
        assert!(
            threads.iter().all(|name| name.ends_with(['1', '2', '3'])),
            "{threads:?}"
        );
        let removed = streams.remove_stream_thread(Some(PATIENCE)).expect("it stops in time");
        assert!(removed.is_some_and(|name| name.ends_with("-StreamThread-1")));
        write(world, TIMES);
        each_key_counts_to(world, times + TIMES);
        assert_eq!(stream_metric("alive-stream-threads"), 2);
        assert!(streams.wait_for(State::Running, PATIENCE), "it is {}", streams.state());
        let went_to = went_to.lock().expect("unpoisoned").clone();
        let goes_on = |state: &State| matches!(state, State::Rebalancing | State::Running);
        assert!(went_to.iter().all(goes_on), "{went_to:?}");
    });
}

#[test]
fn threads_whose_producer_is_fenced_begin_anew() {
    const TIMES: u32 = 60;
    on_each_broker("exactly-once-fenced", |world| {
        world.topics(&["in", "out"], PARTITIONS);
        let state = tempfile::tempdir().expect("a directory");
        let streams = started(application(world, state.path(), &Arc::new(AtomicU32::new(u32::MAX))));
        runs(&streams);
        for round in 1..=3 {
            write(world, TIMES);
            assert_eq!(fence(world, &streams), 2);
            each_key_counts_to(world, TIMES * round);
        }
        assert_eq!(metric(&streams, "stream-metrics", "failed-stream-threads"), 0);
    });
}

#[test]
fn a_thread_that_hangs_for_too_long_does_its_work_again() {
    const TIMES: u32 = 60;
    on_each_broker("exactly-once-hangs", |world| {
        world.topics(&["in", "out"], PARTITIONS);
        let state = tempfile::tempdir().expect("a directory");
        let fuse = Arc::new(AtomicU32::new(u32::MAX));
        let hangs_at = fuse.clone();
        let counting = counting(world, move || {
            if hangs_at.fetch_sub(1, Ordering::Relaxed) == 1 {
                std::thread::sleep(Duration::from_secs(5));
            }
            Ok(())
        });
        let config = config(world, state.path()).set("max.poll.interval.ms", 2500);
        let streams = started(KafkaStreams::new(counting, config).expect("a good configuration"));
        for (round, hangs_at) in (1..).zip([10, 200]) {
            fuse.store(hangs_at, Ordering::Relaxed);
            write(world, TIMES);
            each_key_counts_to(world, TIMES * round);
        }
        assert_eq!(metric(&streams, "stream-metrics", "failed-stream-threads"), 0);
    });
}

#[test]
fn offsets_of_long_ago_leave_no_trace_in_what_is_committed() {
    const TIMES: u32 = 60;
    on_each_broker("exactly-once-stale", |world| {
        for memory in [|_| -1, |offset| offset / 2] {
            let coordinator = Coordinator::before(&world.bootstrap, memory);
            let world = World::new(coordinator.bootstrap(), "exactly-once-stale");
            world.topics(&["in", "out"], PARTITIONS);
            let state = tempfile::tempdir().expect("a directory");
            for round in 1..=2 {
                coordinator.reload();
                write(&world, TIMES);
                let mut streams = started(application(&world, state.path(), &Arc::new(AtomicU32::new(u32::MAX))));
                each_key_counts_to(&world, TIMES * round);
                let _ = streams.close(None);
            }
            assert!(
                coordinator.stale_answers() > 0,
                "the second instance was told the truth"
            );
        }
    });
}

#[test]
fn a_commit_that_fails_when_tasks_are_given_up_leaves_no_trace() {
    const TIMES: u32 = 60;
    on_each_broker("exactly-once-given-up", |world| {
        world.topics(&["in", "out"], PARTITIONS);
        let states = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let fuse = Arc::new(AtomicU32::new(u32::MAX));
        let counting = counting(world, || Ok(()));
        // It commits only when it has to.
        let config = config(world, states[0].path())
            .set("commit.interval.ms", 600_000)
            .set("producer.transaction.timeout.ms", 600_000);
        let mut first = started(KafkaStreams::new(counting, config).expect("a good configuration"));
        runs(&first);
        write(world, TIMES);
        let all = (TIMES * KEYS) as usize;
        let between = world.name("app-counts-repartition");
        eventually(|| world.read_raw(&between).len() == all);
        assert_eq!(world.read_isolated(&between, Isolation::ReadCommitted), []);

        assert_eq!(fence(world, &first), 2);
        let second = started(application(world, states[1].path(), &fuse));
        runs(&second);
        let _ = first.close(None);
        each_key_counts_to(world, TIMES);
        write(world, TIMES);
        each_key_counts_to(world, TIMES * 2);
        assert_eq!(metric(&second, "stream-metrics", "failed-stream-threads"), 0);
    });
}
