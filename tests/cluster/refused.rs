//! What clients and brokers refuse: the dead letters of it are those of Java 4.3.1, header by header.

use kstreams::prelude::*;
use kstreams_client::{ProducerConfig, ProducerRecord};
use kstreams_wire::{Headers, TopicName};
use serde::Deserialize;

use super::unsent::{committed, create, first};
use super::{PATIENCE, World, on_each_broker};

/// What Java made of it.
#[derive(Deserialize)]
struct Refusal {
    name: String,
    dead: Vec<Letter>,
    /// How many of the letters are in no transaction that was aborted.
    committed: usize,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Letter {
    key: Option<String>,
    value: Option<String>,
    timestamp: i64,
    headers: Vec<(String, Option<String>)>,
}

/// Keys and values.
type Settings = &'static [(&'static str, &'static str)];

/// The settings of the application, and the configuration of the topic that it writes to.
fn settings(name: &str) -> (Settings, Settings) {
    match name {
        "too_large_for_the_client" => (&[("producer.max.request.size", "2000")], &[]),
        "too_large_for_the_topic" => (&[], &[("max.message.bytes", "2000")]),
        "no_key_for_a_compacted_topic" => (&[], &[("cleanup.policy", "compact")]),
        "time_out_of_range" => (&[], &[("message.timestamp.before.max.ms", "1000")]),
        "exactly_once" => (
            &[
                ("processing.guarantee", "exactly_once_v2"),
                ("producer.max.request.size", "2000"),
            ],
            &[],
        ),
        other => panic!("{other} is not known here"),
    }
}

/// A record that passes, and one with headers that leads to a refused one.
fn write(world: &World, topic: &str, key: Option<&[u8]>) {
    let mut headers = Headers::new();
    headers.push("h", Some("x".into()));
    headers.push("null", None);
    headers.push("__streams.errors.topic", Some("before".into()));
    let mut producer = world.client().producer(ProducerConfig::default());
    let topic = producer.topic(&TopicName::from(topic));
    let none = Headers::new();
    let mut append = |record| producer.append(topic, Some(0), record).expect("room");
    append(ProducerRecord {
        key: None,
        value: Some(b"first"),
        timestamp: 0,
        headers: &none,
    });
    append(ProducerRecord {
        key,
        value: Some(b"v"),
        timestamp: 1000,
        headers: &headers,
    });
    producer.flush().expect("a broker");
}

/// Runs the application until it fails.
fn fail(world: &World, name: &str) {
    let (more, topic) = settings(name);
    let grows = name != "no_key_for_a_compacted_topic" && name != "time_out_of_range";
    create(world, &format!("{name}-in"), &[]);
    create(world, &format!("{name}-out"), topic);
    create(world, &format!("{name}-dead"), &[]);
    let key = (name != "no_key_for_a_compacted_topic").then_some(&b"k"[..]);
    write(world, &world.name(&format!("{name}-in")), key);
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(world.name(&format!("{name}-in")).as_str())
        .filter(|_, value| value != "first")
        .map_values(move |_, value: String| if grows { value.repeat(3000) } else { value })
        .to(world.name(&format!("{name}-out")).as_str());
    let state = tempfile::tempdir().expect("a directory");
    let mut config = StreamsConfig::new(&world.name(name), &world.bootstrap)
        .set("state.dir", state.path().display())
        .set("commit.interval.ms", 100)
        .set(
            "errors.dead.letter.queue.topic.name",
            world.name(&format!("{name}-dead")),
        );
    for (key, value) in more {
        config = config.set(key, value);
    }
    let mut streams =
        KafkaStreams::new(builder.build().expect("a good topology"), config).expect("a good configuration");
    streams.start().expect("a start");
    assert!(streams.wait_for(State::Error, PATIENCE), "it is {}", streams.state());
    assert!(streams.close(None).expect("a close"));
}

fn letter(world: &World, topic: &str) -> Letter {
    let (key, value, timestamp, headers) = first(world, topic);
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = |bytes: &bytes::Bytes| String::from_utf8(bytes.to_vec()).expect("text");
    let named = headers.iter().map(|header| {
        let value = header.value.as_ref().map(text);
        // Names of topics begin with what sets runs apart, and the window of allowed times moves.
        let value = value.map(|value| value.replace(&world.name(""), "").trim_end().to_owned());
        (text(&header.key), value.map(|value| without_window(&value)))
    });
    Letter {
        key: key.map(hex),
        value: value.map(hex),
        timestamp,
        headers: named.collect(),
    }
}

fn without_window(text: &str) -> String {
    match text.split_once("within [") {
        Some((before, _)) => before.to_owned(),
        None => text.to_owned(),
    }
}

#[test]
fn the_dead_letters_of_refused_records_are_javas() {
    on_each_broker("refused", |world| {
        for line in include_str!("../formats/dead_letters/refused_sends.jsonl").lines() {
            let java: Refusal = serde_json::from_str(line).expect("a refusal");
            fail(world, &java.name);
            let dead = format!("{}-dead", java.name);
            assert_eq!(committed(world, &dead).len(), java.committed, "{}", java.name);
            let Some(mut expected) = java.dead.into_iter().next() else {
                continue;
            };
            for (_, value) in &mut expected.headers {
                *value = value.take().map(|value| without_window(&value));
            }
            if java.name == "too_large_for_the_client" {
                // Java has forgotten the input by then.
                (expected.key, expected.value) = (Some("6b".to_owned()), Some("76".to_owned()));
            }
            assert_eq!(letter(world, &dead), expected, "{}", java.name);
        }
    });
}
