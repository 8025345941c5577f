//! What one side commits, the other reads, and nothing else: Java and ours in a row, each killed in the middle of transactions.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use kstreams_client::admin::NewTopic;
use kstreams_client::consume::Isolation;
use kstreams_tests::program::Program;
use kstreams_tests::topics::Topics;
use kstreams_tests::{java, kafka};
use serde::Deserialize;

use super::{Side, eventually, kill_while_open, running, turn};

const SLICE: u32 = 2_000;

/// An instance that copies a topic to another, exactly once.
fn copy(side: Side, bootstrap: &str, (from, to): (&str, &str), state: &Path) -> Program {
    let application = format!("{from}-to-{to}");
    let folder = state.join(&application).display().to_string();
    let mut command = side.command(bootstrap, "pipe", &application, &folder);
    command
        .arg(format!("topic.events={from}"))
        .arg(format!("topic.out={to}"))
        .arg("commit.interval.ms=1000")
        .arg("processing.guarantee=exactly_once_v2");
    running(&mut command)
}

/// How many records of the topic belong to transactions that were aborted.
fn aborted(topics: &Topics, topic: &str) -> usize {
    topics.read(topic, Isolation::ReadUncommitted).len() - topics.read(topic, Isolation::ReadCommitted).len()
}

/// A record, as Kafka's own tool prints it.
#[derive(Deserialize)]
struct Read {
    partition: i32,
    offset: i64,
    key: String,
    value: String,
}

/// Keys and values of each partition, in order, as Kafka's own tool reads them.
fn read_by_java(bootstrap: &str, topic: &str, records: usize) -> BTreeMap<(i32, i64), (String, String)> {
    let mut config = tempfile::NamedTempFile::new().expect("a temporary file");
    writeln!(config, "isolation.level=read_committed").expect("room");
    let printed = java::run(
        "org.apache.kafka.tools.VerifiableConsumer",
        &[
            "--bootstrap-server",
            bootstrap,
            "--topic",
            topic,
            "--group-id",
            "verifiable",
            "--max-messages",
            &records.to_string(),
            "--reset-policy",
            "earliest",
            "--verbose",
            "--consumer.config",
            &config.path().display().to_string(),
        ],
    );
    // What else it prints has other fields.
    let records = printed.lines().filter_map(|line| serde_json::from_str(line).ok());
    records
        .map(|read: Read| ((read.partition, read.offset), (read.key, read.value)))
        .collect()
}

#[test]
fn aborted_records_of_either_side_are_seen_by_nobody() {
    let _turn = turn();
    let Some(kafka) = kafka::real("aborted_records_of_either_side_are_seen_by_nobody") else {
        return;
    };
    let bootstrap = kafka.bootstrap();
    let state = tempfile::tempdir().expect("a temporary folder");
    let topics = Topics::at(&bootstrap);
    for topic in ["java", "rust", "out"] {
        topics.create(NewTopic::new(topic, 4));
    }
    let mut input = java::Slices::new(100, 4);
    input.load(&bootstrap, SLICE);

    let first = copy(Side::Java, &bootstrap, ("events", "java"), state.path());
    kill_while_open(first, &topics, "java");
    let first = copy(Side::Java, &bootstrap, ("events", "java"), state.path());
    for _ in 0..3 {
        let second = copy(Side::Rust, &bootstrap, ("java", "rust"), state.path());
        input.load(&bootstrap, SLICE);
        kill_while_open(second, &topics, "rust");
    }
    let second = copy(Side::Rust, &bootstrap, ("java", "rust"), state.path());
    let third = copy(Side::Java, &bootstrap, ("rust", "out"), state.path());
    let events = java::digest(&bootstrap, "events");
    for topic in ["java", "rust", "out"] {
        eventually(&format!("everything is in {topic}"), || {
            topics.read(topic, Isolation::ReadCommitted).len() as u64 >= events.records
        });
    }
    drop((first, second, third));

    let out = java::digest(&bootstrap, "out");
    assert_eq!((out.records, &out.all), (events.records, &events.all));
    assert!(aborted(&topics, "java") > 0, "Java was killed in a transaction");
    assert!(aborted(&topics, "rust") > 0, "ours was killed in a transaction");
    let ours = topics.read("rust", Isolation::ReadCommitted);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let ours: BTreeMap<_, _> = ours
        .into_iter()
        .map(|found| {
            let record = (text(found.key), text(found.value.expect("a value")));
            ((found.partition, found.offset), record)
        })
        .collect();
    assert_eq!(ours, read_by_java(&bootstrap, "rust", ours.len()));
}
