//! The life of an instance: its states in their order, and what ends it early.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kstreams::prelude::*;
use kstreams::{Headers, StateChange, StreamThreadExceptionResponse, TopicName};
use kstreams_client::admin::NewTopic;
use kstreams_client::{ProducerConfig, ProducerRecord};

use super::application::metric;
use super::{PATIENCE, World, eventually, on_each_broker};

/// An application that panics on the word `bang` and fails on the word `boom` while `failing` is set.
fn application(world: &World, id: &str, state: &Path, failing: &Arc<AtomicBool>) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    let failing = failing.clone();
    builder
        .stream::<Option<String>, String>(world.name("in").as_str())
        .map_values(move |_, word| -> Result<String, String> {
            assert!(word != "bang", "bang");
            if word == "boom" && failing.load(Ordering::Relaxed) {
                return Err("boom".to_owned());
            }
            Ok(word.clone())
        })
        .to(world.name("out").as_str());
    let config = StreamsConfig::new(&world.name(id), &world.bootstrap)
        .set("state.dir", state.display())
        .set("commit.interval.ms", 100);
    KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration")
}

fn create_topics(world: &World) {
    for topic in ["in", "out"] {
        world.create(NewTopic::new(TopicName::from(world.name(topic)), 1));
    }
}

fn write(world: &World, word: &str) {
    let mut producer = world.client().producer(ProducerConfig::default());
    let topic = producer.topic(&TopicName::from(world.name("in")));
    let record = ProducerRecord {
        key: None,
        value: Some(word.as_bytes()),
        timestamp: 1,
        headers: &Headers::new(),
    };
    producer.append(topic, Some(0), record).expect("room");
    producer.flush().expect("a broker");
}

#[test]
fn states_come_in_their_order() {
    on_each_broker("states", |world| {
        create_topics(world);
        let state = tempfile::tempdir().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        let mut streams = application(world, "app", state.path(), &Arc::default())
            .on_state_change(move |change: StateChange| told.lock().unwrap().push(change.to));
        streams.start().unwrap();
        assert!(streams.start().is_err(), "a second start");
        assert!(streams.clean_up().is_err(), "cleaning up while it runs");
        assert!(streams.wait_for(State::Running, PATIENCE));
        assert!(streams.close(None).unwrap());
        assert!(streams.close(None).unwrap(), "a second close");
        streams.clean_up().unwrap();
        let expected = [
            State::Rebalancing,
            State::Running,
            State::PendingShutdown,
            State::NotRunning,
        ];
        assert_eq!(*seen.lock().unwrap(), expected);
    });
}

#[test]
fn a_missing_source_topic_ends_the_instance() {
    on_each_broker("missing", |world| {
        let state = tempfile::tempdir().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let told = said.clone();
        let mut streams = application(world, "app", state.path(), &Arc::default());
        let handled = streams.set_uncaught_exception_handler(move |error| {
            *told.lock().unwrap() = error.to_string();
            StreamThreadExceptionResponse::ShutdownClient
        });
        handled.unwrap();
        streams.start().unwrap();
        assert!(streams.wait_for(State::Error, PATIENCE));
        assert_eq!(
            *said.lock().unwrap(),
            format!("source topics are missing: {}", world.name("in"))
        );
    });
}

#[test]
fn a_panic_ends_the_instance_like_an_error() {
    on_each_broker("panic", |world| {
        create_topics(world);
        let state = tempfile::tempdir().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let told = said.clone();
        let mut streams = application(world, "app", state.path(), &Arc::default());
        let handled = streams.set_uncaught_exception_handler(move |error| {
            *told.lock().unwrap() = kstreams::with_causes(error);
            StreamThreadExceptionResponse::ShutdownClient
        });
        handled.unwrap();
        streams.start().unwrap();
        write(world, "bang");
        assert!(streams.wait_for(State::Error, PATIENCE));
        assert!(
            said.lock().unwrap().ends_with("panicked: bang"),
            "{}",
            said.lock().unwrap()
        );
    });
}

#[test]
fn a_panic_between_records_reaches_the_handler() {
    on_each_broker("panic-between", |world| {
        create_topics(world);
        let state = tempfile::tempdir().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let told = said.clone();
        let first = AtomicBool::new(true);
        // Listeners are called on the thread that made the change.
        let mut streams = application(world, "app", state.path(), &Arc::default()).on_state_change(move |change| {
            assert!(
                change.to != State::Running || !first.swap(false, Ordering::Relaxed),
                "no!"
            );
        });
        let handled = streams.set_uncaught_exception_handler(move |error| {
            told.lock().unwrap().push(error.to_string());
            StreamThreadExceptionResponse::ReplaceThread
        });
        handled.unwrap();
        streams.start().unwrap();
        write(world, "word");
        eventually(|| world.read_raw(&world.name("out")).len() == 1);
        assert!(streams.wait_for(State::Running, PATIENCE));
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 1);
        assert!(said.iter().all(|said| said.ends_with("panicked: no!")), "{said:?}");
    });
}

#[test]
fn a_replaced_thread_does_the_work_again() {
    on_each_broker("replace", |world| {
        create_topics(world);
        let state = tempfile::tempdir().unwrap();
        let failing = Arc::new(AtomicBool::new(true));
        let healed = failing.clone();
        let mut streams = application(world, "app", state.path(), &failing);
        let handled = streams.set_uncaught_exception_handler(move |_| {
            healed.store(false, Ordering::Relaxed);
            StreamThreadExceptionResponse::ReplaceThread
        });
        handled.unwrap();
        streams.start().unwrap();
        write(world, "boom");
        eventually(|| metric(&streams, "stream-thread-metrics", "process-total") >= 1);
        assert_eq!(metric(&streams, "stream-metrics", "failed-stream-threads"), 1);
        assert_eq!(metric(&streams, "stream-metrics", "alive-stream-threads"), 1);
        assert!(streams.wait_for(State::Running, PATIENCE));
        assert!(streams.close(None).unwrap());
        assert_eq!(streams.state(), State::NotRunning);
    });
}
