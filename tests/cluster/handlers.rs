//! Handlers in an application: what fails is dropped, put aside or fatal, under either guarantee.

use std::path::Path;
use std::sync::{Arc, Mutex};

use kstreams::StreamThreadExceptionResponse;
use kstreams::errors::{DeadLetter, ErrorHandlers, Response};
use kstreams::prelude::*;
use kstreams_client::consume::Isolation;

use super::application::metric;
use super::{PATIENCE, World, eventually, on_each_broker};

const GUARANTEES: [&str; 2] = ["at_least_once", "exactly_once_v2"];

/// Numbers of eight bytes, doubled; 13 is an error, and 14 a panic.
fn doubled(world: &World) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>(world.name("in").as_str())
        .map_values(|_, number| match number {
            13 => Err("an unlucky number"),
            14 => panic!("a number too much"),
            number => Ok(number * 2),
        })
        .to(world.name("out").as_str());
    builder.build().expect("a good topology")
}

fn config(world: &World, state: &Path, guarantee: &str) -> StreamsConfig {
    StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("processing.guarantee", guarantee)
        .set("commit.interval.ms", 50)
        .set("errors.dead.letter.queue.topic.name", world.name("dead"))
}

fn write(world: &World, numbers: &[i64]) {
    for number in numbers {
        let bytes = number.to_be_bytes();
        let text = std::str::from_utf8(&bytes).expect("small numbers are ASCII");
        world.write("in", &[("k", Some(text), 1)]);
    }
}

fn poison(world: &World) {
    world.write("in", &[("k", Some("bad"), 1)]);
}

/// The values of a topic's committed records.
fn committed(world: &World, topic: &str) -> Vec<Vec<u8>> {
    let records = world.read_isolated(&world.name(topic), Isolation::ReadCommitted);
    records.into_iter().filter_map(|(_, value)| value).collect()
}

fn numbers(world: &World) -> Vec<i64> {
    let values = committed(world, "out").into_iter();
    let numbers = values.map(|value| i64::from_be_bytes(value.try_into().expect("eight bytes")));
    numbers.collect()
}

#[test]
fn what_is_dropped_is_put_aside_once_and_never_read_again() {
    for guarantee in GUARANTEES {
        on_each_broker("handlers-continue", |world| {
            world.topics(&["in", "out", "dead"], 1);
            let state = tempfile::tempdir().expect("a directory");
            let config = config(world, state.path(), guarantee)
                .set(
                    "default.deserialization.exception.handler",
                    "org.apache.kafka.streams.errors.LogAndContinueExceptionHandler",
                )
                .set(
                    "processing.exception.handler",
                    "LogAndContinueProcessingExceptionHandler",
                );
            let start = || {
                let mut streams = KafkaStreams::new(doubled(world), config.clone()).expect("a good configuration");
                streams.start().expect("a start");
                streams
            };
            write(world, &[1, 13, 2, 14]);
            poison(world);
            let mut streams = start();
            eventually(|| committed(world, "dead").len() == 3);
            assert_eq!(metric(&streams, "stream-task-metrics", "dropped-records-total"), 3);
            assert!(streams.close(None).expect("a close"));
            let letters = [
                13_i64.to_be_bytes().to_vec(),
                14_i64.to_be_bytes().to_vec(),
                b"bad".to_vec(),
            ];
            assert_eq!(committed(world, "dead"), letters);

            // Nothing but poison came: its offset is committed all the same.
            poison(world);
            let mut streams = start();
            eventually(|| committed(world, "dead").len() == 4);
            assert!(streams.close(None).expect("a close"));
            write(world, &[3]);
            let mut streams = start();
            eventually(|| numbers(world).len() >= 3);
            assert!(streams.close(None).expect("a close"));
            assert_eq!(numbers(world), [2, 4, 6]);
            assert_eq!(committed(world, "dead").len(), 4);
        });
    }
}

/// Starts the application, which is to fail; what it says.
fn failure(world: &World, config: StreamsConfig, choose: impl FnOnce(ErrorHandlers) -> ErrorHandlers) -> String {
    let said = Arc::new(Mutex::new(String::new()));
    let told = said.clone();
    let mut streams = KafkaStreams::new(doubled(world), config)
        .expect("a good configuration")
        .with_handlers(choose);
    let handled = streams.set_uncaught_exception_handler(move |error| {
        *told.lock().expect("unpoisoned") = kstreams::with_causes(error);
        StreamThreadExceptionResponse::ShutdownClient
    });
    handled.expect("it is not started");
    streams.start().expect("a start");
    assert!(streams.wait_for(State::Error, PATIENCE), "{}", streams.state());
    let _ = streams.close(None);
    let said = said.lock().expect("unpoisoned");
    said.clone()
}

#[test]
fn a_failure_names_everything_and_its_dead_letter_is_part_of_the_transaction() {
    for guarantee in GUARANTEES {
        on_each_broker("handlers-fail", |world| {
            world.topics(&["in", "out", "dead"], 1);
            let state = tempfile::tempdir().expect("a directory");
            let config = || config(world, state.path(), guarantee).set("commit.interval.ms", 5000);
            write(world, &[1, 14]);
            let said = failure(world, config(), |configured| configured);
            for part in [
                "0_0",
                "KSTREAM-MAPVALUES-0000000001",
                &format!("{}-0 offset 1", world.name("in")),
            ] {
                assert!(said.contains(part), "{part} is not in {said}");
            }
            assert!(said.ends_with("panicked: a number too much"), "{said}");
            let letters = committed(world, "dead").len();
            match guarantee {
                "exactly_once_v2" => assert_eq!((letters, numbers(world)), (0, vec![])),
                _ => assert_eq!(letters, 1),
            }

            // A handler of the program's own lets it pass, and says where to.
            let own = world.name("aside");
            world.topics(&["aside"], 1);
            poison(world);
            let said = failure(world, config(), |configured| {
                configured.on_processing(move |failure| {
                    Response::resume().with_dead_letter(DeadLetter::of(failure, own.as_str()))
                })
            });
            let at = format!("could not decode the record at {}-0 offset 2", world.name("in"));
            assert!(said.contains(&at), "{said}");
        });
    }
}

#[test]
fn a_missing_dead_letter_topic_is_named() {
    on_each_broker("handlers-missing", |world| {
        world.topics(&["in", "out"], 1);
        let state = tempfile::tempdir().expect("a directory");
        let config = config(world, state.path(), "at_least_once")
            .set("producer.max.block.ms", 500)
            .set("task.timeout.ms", 1000)
            .set("errors.dead.letter.queue.topic.name", world.name("nowhere"))
            .set("processing.exception.handler", "continue");
        write(world, &[13]);
        let said = failure(world, config, |configured| configured);
        assert!(said.contains(&world.name("nowhere")), "{said}");
    });
}
