//! Where sources begin without a committed offset, and where the log lost it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kstreams::prelude::*;
use kstreams::{ResetPolicy, StreamThreadExceptionResponse};

use super::application::runs;
use super::{PATIENCE, World, eventually, on_each_broker};

const HOUR: Duration = Duration::from_secs(3600);

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    since.as_millis() as i64
}

fn started(world: &World, builder: StreamsBuilder, state: &Path, reset: &str) -> KafkaStreams {
    let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("commit.interval.ms", 100)
        .set("auto.offset.reset", reset);
    KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration")
}

/// Records older and younger than an hour, before the start.
fn write_history(world: &World, topic: &str) {
    let now = now_ms();
    let two_hours_ago = now - 2 * HOUR.as_millis() as i64;
    let old = format!("{topic}-old");
    let young = format!("{topic}-young");
    world.write(topic, &[(&*old, Some("v"), two_hours_ago), (&*young, Some("v"), now)]);
}

#[test]
fn each_source_begins_by_its_own_policy() {
    on_each_broker("resets", |world| {
        let topics = ["earliest", "latest", "hour", "default"];
        world.topics(&topics, 1);
        world.topics(&["out"], 1);
        topics.iter().for_each(|topic| write_history(world, topic));
        let policies = [
            Some(ResetPolicy::Earliest),
            Some(ResetPolicy::Latest),
            Some(ResetPolicy::ByDuration(HOUR)),
            None,
        ];
        let builder = StreamsBuilder::new();
        for (topic, policy) in topics.iter().zip(policies) {
            let mut consumed = Consumed::topic(world.name(topic));
            if let Some(policy) = policy {
                consumed = consumed.offset_reset(policy);
            }
            builder
                .stream::<String, String>(consumed)
                .to(world.name("out").as_str());
        }
        let state = tempfile::tempdir().expect("a directory");
        let mut streams = started(world, builder, state.path(), "by_duration:PT30M");
        streams.start().expect("a start");
        runs(&streams);
        for topic in topics {
            let new = format!("{topic}-new");
            eventually(|| {
                world.write(topic, &[(&*new, Some("v"), now_ms())]);
                world.latest("out").contains_key(&new)
            });
        }
        let found = world.latest("out");
        let of = |topic: &str| {
            let kinds = ["old", "young"].into_iter();
            kinds
                .filter(|kind| found.contains_key(&format!("{topic}-{kind}")))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("earliest"), ["old", "young"]);
        assert_eq!(of("latest"), [""; 0]);
        assert_eq!(of("hour"), ["young"]);
        assert_eq!(of("default"), ["young"]);
    });
}

/// Lets an application commit, and takes what it would read next away while it is stopped.
fn lose_offsets(world: &World, application: impl Fn() -> KafkaStreams) {
    world.topics(&["in", "out"], 1);
    world.write("in", &[("before", Some("v"), 1)]);
    let mut streams = application();
    streams.start().expect("a start");
    eventually(|| world.latest("out").contains_key("before"));
    assert!(streams.close(None).expect("a close"));
    drop(streams);
    world.write("in", &[("lost", Some("v"), 2), ("lost too", Some("v"), 3)]);
    let ends = world.ends(&world.name("in"));
    let before: Vec<_> = ends
        .into_iter()
        .map(|(partition, end)| (partition, Some(end)))
        .collect();
    world.client().admin().delete_records(&before).expect("a broker");
    world.write("in", &[("after", Some("v"), 4)]);
}

fn copying(world: &World) -> StreamsBuilder {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(world.name("in").as_str())
        .to(world.name("out").as_str());
    builder
}

#[test]
fn a_lost_offset_is_reset_by_the_policy() {
    on_each_broker("lost", |world| {
        let state = tempfile::tempdir().expect("a directory");
        let application = || started(world, copying(world), state.path(), "earliest");
        lose_offsets(world, application);
        let mut streams = application();
        streams.start().expect("a start");
        eventually(|| world.latest("out").contains_key("after"));
        assert!(!world.latest("out").contains_key("lost"));
    });
}

#[test]
fn a_lost_offset_ends_an_instance_that_may_not_reset_it() {
    on_each_broker("lost-none", |world| {
        let state = tempfile::tempdir().expect("a directory");
        lose_offsets(world, || started(world, copying(world), state.path(), "earliest"));
        let said = Arc::new(Mutex::new(String::new()));
        let told = said.clone();
        let mut streams = started(world, copying(world), state.path(), "none");
        let handled = streams.set_uncaught_exception_handler(move |error| {
            *told.lock().expect("unpoisoned") = error.to_string();
            StreamThreadExceptionResponse::ShutdownClient
        });
        handled.expect("it is not started");
        streams.start().expect("a start");
        assert!(streams.wait_for(State::Error, PATIENCE), "{}", streams.state());
        assert_eq!(
            *said.lock().expect("unpoisoned"),
            format!(
                "partition 0 of {} has no record at offset 1, and auto.offset.reset is none",
                world.name("in")
            )
        );
    });
}
