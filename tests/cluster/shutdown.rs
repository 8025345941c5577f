//! One failure that is to end them all: every instance of the application stops, wherever it happened.

use std::path::Path;

use kstreams::StreamThreadExceptionResponse;
use kstreams::prelude::*;
use tempfile::TempDir;

use super::{PATIENCE, World, on_each_broker};

/// Copies what `in` has, and fails on the word `boom`; beside it a global table of numbers.
fn application(world: &World, state: &Path, on_bad_number: &str) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(world.name("in").as_str())
        .map_values(|_, word| match word.as_str() {
            "boom" => Err("boom"),
            word => Ok(word.to_owned()),
        })
        .to(world.name("out").as_str());
    builder
        .global_table::<String, i64>(world.name("numbers").as_str())
        .materialized("numbers");
    let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("deserialization.exception.handler", on_bad_number)
        .set("session.timeout.ms", 6000)
        .set("heartbeat.interval.ms", 500);
    let mut streams =
        KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
    let handled = streams.set_uncaught_exception_handler(|_| StreamThreadExceptionResponse::ShutdownApplication);
    handled.expect("it is not started");
    streams.start().expect("a start");
    streams
}

/// So many instances run, then a record fails one of them.
fn all_stop(world: &World, instances: usize, fail: impl Fn()) {
    world.topics(&["in", "out"], 2);
    world.topics(&["numbers"], 1);
    let states: Vec<TempDir> = (0..instances)
        .map(|_| tempfile::tempdir().expect("a directory"))
        .collect();
    // Only the first one minds a number that is none.
    let minds = ["LogAndFailExceptionHandler"].into_iter();
    let handlers = minds.chain(std::iter::repeat("LogAndContinueExceptionHandler"));
    let running: Vec<_> = states
        .iter()
        .zip(handlers)
        .map(|(state, handler)| {
            let handler = format!("org.apache.kafka.streams.errors.{handler}");
            application(world, state.path(), &handler)
        })
        .collect();
    for streams in &running {
        assert!(streams.wait_for(State::Running, PATIENCE), "it is {}", streams.state());
    }
    fail();
    for streams in &running {
        assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
    }
}

#[test]
fn a_failed_stream_thread_ends_three_instances() {
    on_each_broker("shutdown-three", |world| {
        all_stop(world, 3, || world.write("in", &[("k", Some("boom"), 1)]));
    });
}

#[test]
fn a_single_thread_that_failed_has_another_one_carry_the_message() {
    on_each_broker("shutdown-one", |world| {
        all_stop(world, 1, || world.write("in", &[("k", Some("boom"), 1)]));
    });
}

#[test]
fn a_failed_global_thread_ends_other_instances_too() {
    on_each_broker("shutdown-global", |world| {
        all_stop(world, 2, || world.write("numbers", &[("k", Some("none"), 1)]));
    });
}
