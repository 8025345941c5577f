//! Topologies whose topics, internal ones included, carry what nobody of ours wrote.

use kstreams::StreamsBuilder;
use kstreams_test_driver::{ProducedRecord, TopologyTestDriver};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::hostile;

/// Runs the records through all topics that the topology reads. A task that fails on one must take the next.
fn check(program: impl Fn(&StreamsBuilder), topics: &[&str], samples: &[&[u8]]) {
    let samples: Vec<Vec<u8>> = samples.iter().map(|sample| sample.to_vec()).collect();
    let bytes = || proptest::option::weighted(0.9, hostile::bytes(samples.clone()));
    let topic = proptest::sample::select(topics.iter().map(|topic| topic.to_string()).collect::<Vec<_>>());
    let records = vec((topic, bytes(), bytes(), 0..100_i64), 1..8);
    let config = ProptestConfig::with_cases(64);
    let outcome = proptest::test_runner::TestRunner::new(config).run(&records, |records| {
        let builder = StreamsBuilder::new();
        program(&builder);
        let topology = builder.build().expect("the program is right");
        let described = topology.describe();
        for topic in topics {
            assert!(
                described.contains(topic.trim_start_matches("app-")),
                "no topic {topic}: {described}"
            );
        }
        let driver = TopologyTestDriver::builder(topology).application_id("app").build();
        let mut driver = driver.expect("the topology starts");
        for (topic, key, value, timestamp) in records {
            let _ = driver.pipe_raw(ProducedRecord {
                topic: topic.as_str().into(),
                partition: None,
                key: key.map(Into::into),
                value: value.map(Into::into),
                timestamp: Some(timestamp),
                headers: Default::default(),
            });
        }
        Ok(())
    });
    outcome.expect("no record panics");
}

#[test]
fn of_regrouped_tables() {
    check(
        |builder| {
            let table = builder.table::<String, i64>("in");
            let grouped = table.group_by(|key, value| (key.clone(), value)).named("regrouped");
            grouped.count().to_stream().to("out");
        },
        &["in", "app-regrouped-repartition"],
        &[
            b"\0\0\0\0\0\0\0\x07\x01",
            b"\x10\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x08\x02",
        ],
    );
}

#[test]
fn of_foreign_key_joins() {
    let hash = [0; 16];
    let wrapped = [b"\x01\x03".as_slice(), &hash, b"key\0\0\0\0"].concat();
    let answered = [b"\0".as_slice(), &hash, b"value"].concat();
    check(
        |builder| {
            let authors = builder.table::<String, String>("authors");
            let books = builder.table::<String, String>("books");
            let joined = books.left_join_foreign_key(
                &authors,
                |_, author: &String| author.clone(),
                |id: String, name: Option<String>| name.unwrap_or(id),
            );
            joined.named("fk").to_stream().to("out");
        },
        &[
            "books",
            "authors",
            "app-fk-subscription-registration-topic",
            "app-fk-subscription-response-topic",
        ],
        &[
            b"key",
            &wrapped,
            b"\x81\x01key\0\0\0\0",
            b"\0\x02key",
            &answered,
            b"\x80",
        ],
    );
}
