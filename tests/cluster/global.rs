//! Global tables: there before the first record, kept up to date, kept on disk.

use std::path::Path;
use std::sync::{Arc, Mutex};

use kstreams::prelude::*;
use kstreams::processor::{Context, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, Processor};
use kstreams::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
use kstreams::{BoxError, EngineKind, StreamThreadExceptionResponse};

use super::application::runs;
use super::{PATIENCE, World, eventually, on_each_broker};

const COUNTRIES: usize = 500;

/// Visits, each joined with the country that it names.
fn application(world: &World, state: &Path, engine: EngineKind) -> KafkaStreams {
    let builder = StreamsBuilder::new();
    let table = match engine {
        EngineKind::Memory => Materialized::named("countries").in_memory(),
        _ => Materialized::named("countries"),
    };
    let countries = builder
        .global_table::<String, i64>(world.name("countries").as_str())
        .materialized(table);
    builder
        .stream::<String, String>(world.name("visits").as_str())
        .left_join_global(
            &countries,
            |_, code| code.clone(),
            |_, code, country: Option<i64>| format!("{code}={}", country.unwrap_or(-1)),
        )
        .to(world.name("out").as_str());
    let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
        .set("state.dir", state.display())
        .set("num.stream.threads", 2)
        .set("commit.interval.ms", 100)
        .set("deserialization.exception.handler", "continue");
    KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration")
}

/// Countries with these numbers, as values of eight bytes.
fn write_countries(world: &World, countries: impl IntoIterator<Item = (usize, i64)>) {
    let rows: Vec<(String, String)> = countries
        .into_iter()
        .map(|(code, value)| {
            let value = value.to_be_bytes().to_vec();
            (
                format!("c{code}"),
                String::from_utf8(value).expect("small numbers are ASCII"),
            )
        })
        .collect();
    let records: Vec<_> = rows.iter().map(|(code, value)| (&**code, Some(&**value), 1)).collect();
    world.write("countries", &records);
}

fn visit(world: &World, code: &str) {
    world.write("visits", &[(code, Some(code), 1)]);
}

fn answer(world: &World, code: &str) -> String {
    visit(world, code);
    let seen = || world.latest("out").get(code).cloned();
    eventually(|| seen().is_some());
    seen().unwrap_or_default()
}

fn create_topics(world: &World) {
    world.topics(&["countries"], 3);
    world.topics(&["visits", "out"], 2);
}

fn is_filled_kept_and_resumed(world: &World, engine: EngineKind) {
    create_topics(world);
    write_countries(world, (0..COUNTRIES).map(|code| (code, code as i64 % 100)));
    world.write("countries", &[("c7", Some("not eight bytes"), 2), ("c8", None, 2)]);
    for code in 0..COUNTRIES {
        visit(world, &format!("c{code}"));
    }
    let state = tempfile::tempdir().expect("a directory");
    let mut streams = application(world, state.path(), engine);
    streams.start().expect("a start");
    runs(&streams);
    eventually(|| world.latest("out").len() == COUNTRIES);
    for (code, answer) in world.latest("out") {
        let number: i64 = code.trim_start_matches('c').parse().expect("a number");
        let expected = if number == 8 { -1 } else { number % 100 };
        assert_eq!(answer, format!("{code}={expected}"));
    }

    write_countries(world, [(8, 88)]);
    let seen = || {
        visit(world, "c8");
        world.latest("out").get("c8").is_some_and(|answer| answer == "c8=88")
    };
    eventually(seen);
    assert!(streams.close(None).expect("a close"));

    drop(streams);

    // What the stores hold is not read again: it may even be gone from the topic.
    if engine == EngineKind::Persistent {
        let ends = world.ends(&world.name("countries"));
        let before: Vec<_> = ends
            .iter()
            .map(|(partition, end)| (partition.clone(), Some(*end)))
            .collect();
        world.client().admin().delete_records(&before).expect("a broker");
    }
    write_countries(world, [(COUNTRIES, 5)]);
    let mut streams = application(world, state.path(), engine);
    streams.start().expect("a start");
    assert_eq!(answer(world, &format!("c{COUNTRIES}")), format!("c{COUNTRIES}=5"));
    world.write("visits", &[("again", Some("c9"), 1)]);
    eventually(|| world.latest("out").contains_key("again"));
    assert_eq!(world.latest("out").get("again").map(String::as_str), Some("c9=9"));
    assert!(streams.close(None).expect("a close"));
}

#[test]
fn a_global_table_on_disk_is_filled_kept_and_resumed() {
    on_each_broker("global-disk", |world| {
        is_filled_kept_and_resumed(world, EngineKind::Persistent)
    });
}

#[test]
fn a_global_table_in_memory_is_filled_kept_and_filled_again() {
    on_each_broker("global-memory", |world| {
        is_filled_kept_and_resumed(world, EngineKind::Memory)
    });
}

#[test]
fn an_undecodable_record_of_a_running_application_is_the_handlers_affair() {
    on_each_broker("global-poison", |world| {
        create_topics(world);
        let state = tempfile::tempdir().expect("a directory");
        let said = Arc::new(Mutex::new(String::new()));
        let told = said.clone();
        let builder = StreamsBuilder::new();
        builder
            .global_table::<String, i64>(world.name("countries").as_str())
            .materialized("countries");
        let config = StreamsConfig::new(&world.name("app"), &world.bootstrap).set("state.dir", state.path().display());
        let mut streams =
            KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
        let handled = streams.set_uncaught_exception_handler(move |error| {
            *told.lock().expect("unpoisoned") = kstreams::with_causes(error);
            StreamThreadExceptionResponse::ReplaceThread
        });
        handled.expect("it is not started");
        streams.start().expect("a start");
        // Without streams there are no tasks to wait for.
        assert_eq!(streams.state(), State::Running);
        world.write("countries", &[("c1", Some("bad"), 1)]);
        assert!(streams.wait_for(State::Error, PATIENCE), "{}", streams.state());
        let said = said.lock().expect("unpoisoned").clone();
        assert!(said.starts_with("global stores could not be kept up to date"), "{said}");
        assert!(said.contains(&world.name("countries")), "{said}");
    });
}

#[test]
fn a_missing_topic_prevents_the_start() {
    on_each_broker("global-missing", |world| {
        let state = tempfile::tempdir().expect("a directory");
        let mut streams = application(world, state.path(), EngineKind::Persistent);
        let error = streams.start().expect_err("no topic");
        assert_eq!(
            error.to_string(),
            format!("source topics are missing: {}", world.name("countries"))
        );
        assert!(streams.wait_for(State::Error, PATIENCE));
    });
}

type Names = StoreHandle<KeyValueStore<String, String>>;

/// Keeps what is made of names.
struct Fill(Names, fn(&str) -> String);

impl Processor for Fill {
    type KIn = String;
    type VIn = String;
    type KOut = ();
    type VOut = ();

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        Ok(cx.store(self.0).put(&record.key, &(self.1)(&record.value))?)
    }
}

/// Looks names up; whoever asks for `write` tries to change one.
struct Greet(Names);

impl FixedKeyProcessor for Greet {
    type K = String;
    type VIn = String;
    type VOut = String;

    fn process(
        &mut self,
        cx: &mut FixedKeyContext<'_, Self>,
        record: FixedKeyRecord<String, String>,
    ) -> Result<(), BoxError> {
        if record.value() == "write" {
            cx.store(self.0).put(record.key(), &"mine".to_owned())?;
        }
        let name = cx.store(self.0).get(record.value())?.unwrap_or_default();
        Ok(cx.forward(record.with_value(format!("hello {name}")))?)
    }
}

#[test]
fn a_global_store_is_filled_by_its_processor_and_by_nobody_else() {
    on_each_broker("global-store", |world| {
        world.topics(&["names", "countries", "visits", "out"], 2);
        world.write("names", &[("1", Some("ann"), 1), ("2", Some("bob"), 1)]);
        let builder = StreamsBuilder::new();
        let store = Stores::persistent("names").key_value::<String, String>();
        let names = store.handle();
        builder.add_global_store(store, world.name("names").as_str(), move || {
            Fill(names, str::to_uppercase)
        });
        builder
            .global_table::<String, String>(world.name("countries").as_str())
            .materialized("countries");
        builder
            .stream::<String, String>(world.name("visits").as_str())
            .process_values(move || Greet(names))
            .to(world.name("out").as_str());
        let state = tempfile::tempdir().expect("a directory");
        let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
            .set("state.dir", state.path().display())
            .set("commit.interval.ms", 100);
        let said = Arc::new(Mutex::new(String::new()));
        let told = said.clone();
        let mut streams =
            KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
        let handled = streams.set_uncaught_exception_handler(move |error| {
            *told.lock().expect("unpoisoned") = kstreams::with_causes(error);
            StreamThreadExceptionResponse::ShutdownClient
        });
        handled.expect("it is not started");
        streams.start().expect("a start");
        world.write("visits", &[("a", Some("1"), 1), ("b", Some("2"), 1)]);
        eventually(|| world.latest("out").len() == 2);
        let found = world.latest("out");
        assert_eq!(found.get("a").map(String::as_str), Some("hello ANN"));
        assert_eq!(found.get("b").map(String::as_str), Some("hello BOB"));
        world.write("visits", &[("c", Some("write"), 1)]);
        assert!(streams.wait_for(State::Error, PATIENCE), "{}", streams.state());
        let said = said.lock().expect("unpoisoned").clone();
        assert!(said.contains("store \"names\" is global"), "{said}");
    });
}

/// Panics on one.
fn choosy(name: &str) -> String {
    assert_ne!(name, "mallory", "not this one");
    name.to_owned()
}

#[test]
fn the_processing_handler_is_asked_about_global_stores_if_that_is_on() {
    on_each_broker("global-handler", |world| {
        world.topics(&["names"], 1);
        world.write("names", &[("1", Some("mallory"), 1), ("2", Some("bob"), 1)]);
        let state = tempfile::tempdir().expect("a directory");
        let start = |enabled: bool| {
            let builder = StreamsBuilder::new();
            let store = Stores::in_memory("names").key_value::<String, String>();
            let names = store.handle();
            builder.add_global_store(store, world.name("names").as_str(), move || Fill(names, choosy));
            let config = StreamsConfig::new(&world.name("app"), &world.bootstrap)
                .set("state.dir", state.path().display())
                .set("processing.exception.handler", "continue")
                .set("errors.dead.letter.queue.topic.name", world.name("nowhere"))
                .set("processing.exception.handler.global.enabled", enabled);
            let mut streams =
                KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
            let started = streams.start().map_err(|error| kstreams::with_causes(&error));
            let _ = streams.close(None);
            started
        };
        assert_eq!(start(true), Ok(()));
        let said = start(false).expect_err("a processor fails, and nobody is asked");
        let at = format!("failed on {}-0 offset 0: panicked: ", world.name("names"));
        assert!(said.contains(&at) && said.contains("not this one"), "{said}");
    });
}
