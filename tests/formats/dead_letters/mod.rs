//! Dead letters: for each failure that `java.jsonl` lists, ours are those of Java 4.3.1, header by header.

mod failures;

use std::time::Duration;

use bytes::Bytes;
use kstreams::Headers;
use kstreams::errors::ErrorHandlers;
use kstreams_test_driver::{ProducedRecord, TopologyTestDriver};
use serde::Deserialize;

use super::support::unhex;

/// A failure, and what Java made of it.
#[derive(Deserialize)]
struct Failure {
    name: String,
    handler: String,
    inputs: Vec<Input>,
    /// What Java failed with, and its causes; empty if it went on.
    error: Vec<Vec<Option<String>>>,
    dead: Vec<Letter>,
    /// How many records came out all the same.
    out: usize,
}

#[derive(Deserialize)]
struct Input {
    topic: String,
    key: Option<String>,
    value: Option<String>,
    timestamp: i64,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Letter {
    key: Option<String>,
    value: Option<String>,
    timestamp: Option<i64>,
    headers: Vec<(String, Option<String>)>,
}

/// Where ours is not Java's, on purpose.
enum Difference {
    /// Java forgets the input record once something was sent for it. Ours is still there.
    KeepsTheInput,
    /// Java's caches keep the input record that each of their entries came from. Ours keep where it came from.
    ForgetsTheInput,
    /// Java asks the processing handler of the node above about the failed sink, too: a second letter, and it goes on.
    AsksOnce,
}

fn difference(failure: &Failure) -> Option<Difference> {
    match failure.name.as_str() {
        "after_an_output" => Some(Difference::KeepsTheInput),
        "cached_table_mapper" => Some(Difference::ForgetsTheInput),
        "sink_value_below_a_processor" | "repartition_value" => Some(Difference::AsksOnce),
        _ => None,
    }
}

#[test]
fn they_are_javas() {
    let failures: Vec<Failure> = include_str!("java.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a failure a line"))
        .collect();
    assert!(failures.len() > 70, "only {} failures", failures.len());
    let wrong: Vec<String> = failures.iter().filter_map(|failure| compare(failure).err()).collect();
    assert!(wrong.is_empty(), "{} failures:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether ours is Java's, but for the differences.
fn compare(failure: &Failure) -> Result<(), String> {
    let (failed, dead, out) = run(failure);
    let (mut java_failed, mut java) = (!failure.error.is_empty(), failure.dead.clone());
    match difference(failure) {
        None => {}
        Some(Difference::KeepsTheInput) => {
            for (letter, input) in java.iter_mut().zip(&failure.inputs) {
                letter.key.clone_from(&input.key);
                letter.value.clone_from(&input.value);
            }
        }
        Some(Difference::ForgetsTheInput) => {
            for letter in &mut java {
                (letter.key, letter.value) = (None, None);
            }
        }
        Some(Difference::AsksOnce) => {
            java.truncate(1);
            java_failed = true;
        }
    }
    let found = (failed, out, &dead);
    let expected = (java_failed, failure.out, &java);
    match found == expected {
        true => Ok(()),
        false => Err(format!(
            "{} {}:\n  {found:?}\n  {expected:?}",
            failure.name, failure.handler
        )),
    }
}

/// Runs the failure on our test driver: whether it failed, what is in `dead`, and how many records are in `out`.
fn run(failure: &Failure) -> (bool, Vec<Letter>, usize) {
    let handlers = match failure.handler.as_str() {
        "continue" => ErrorHandlers::log_and_continue(),
        _ => ErrorHandlers::default(),
    };
    let mut driver = TopologyTestDriver::builder(failures::topology(&failure.name))
        .application_id("app")
        .start_at(5000)
        .handlers(handlers.with_dead_letters("dead"))
        .build()
        .expect("a good topology");
    let mut headers = Headers::new();
    headers.push("h", Some(Bytes::from("x")));
    headers.push("null", None);
    headers.push("__streams.errors.topic", Some(Bytes::from("before")));
    let bytes = |hex: &Option<String>| hex.as_deref().map(|hex| Bytes::from(unhex(hex)));
    let piped = failure.inputs.iter().try_for_each(|input| {
        driver.pipe_raw(ProducedRecord {
            topic: input.topic.as_str().into(),
            partition: None,
            key: bytes(&input.key),
            value: bytes(&input.value),
            timestamp: Some(input.timestamp),
            headers: headers.clone(),
        })
    });
    let ended = piped.and_then(|()| driver.advance_wall_clock(Duration::from_millis(100)));
    // What was sent before a failure is handed out by the next call only.
    let _ = driver.advance_wall_clock(Duration::ZERO);
    let sent = |topic: &'static str| {
        driver
            .produced()
            .iter()
            .filter(move |record| record.topic.as_str() == topic)
    };
    (ended.is_err(), sent("dead").map(letter).collect(), sent("out").count())
}

fn letter(record: &ProducedRecord) -> Letter {
    let hex = |bytes: &Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = record.headers.iter().map(|header| {
        let name = String::from_utf8_lossy(&header.key).into_owned();
        let text = header
            .value
            .as_ref()
            .map(|value| String::from_utf8_lossy(value).into_owned());
        // The dump holds what a stack trace names, not its frames, and no last line break.
        let text = match name.as_str() {
            "__streams.errors.stacktrace" => text.map(|text| text.trim_end().to_owned()),
            _ => text,
        };
        (name, text)
    });
    Letter {
        key: record.key.as_ref().map(hex),
        value: record.value.as_ref().map(hex),
        timestamp: record.timestamp,
        headers: headers.collect(),
    }
}
