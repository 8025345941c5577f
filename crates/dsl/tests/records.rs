//! The records of internal topics are Java's, byte by byte.

use std::time::Duration;

use bytes::Bytes;
use kstreams_dsl::{
    Buffer, EmitStrategy, JoinWindows, KStream, KTable, Materialized, SessionWindows, StreamsBuilder, Suppressed,
    TimeWindows,
};
use kstreams_test_driver::{ProducedRecord, TopologyTestDriver};
use serde_json::{Value as Json, json};

const MINUTE: Duration = Duration::from_secs(60);

type Pipe<'a> = (&'a str, &'a str, Option<&'a str>, i64);

fn stream(b: &StreamsBuilder, topic: &str) -> KStream<String, String> {
    b.stream(topic)
}

fn table(b: &StreamsBuilder, topic: &str, store: &str) -> KTable<String, String> {
    b.table(topic).materialized(store)
}

#[test]
fn tables() {
    let changes = [
        ("in", "k", Some("v"), 1000),
        ("in", "k", None, 2000),
        ("in", "k2", Some("v2"), 500),
    ];
    check("table", &changes, |b| {
        table(b, "in", "ts");
    });
    let regrouped = [
        ("in", "k", Some("a"), 1000),
        ("in", "k", Some("b"), 2000),
        ("in", "k", Some("b"), 3000),
        ("in", "k", None, 4000),
    ];
    check("table_group_by", &regrouped, |b| {
        let grouped = table(b, "in", "src").group_by(|_, value: String| (value.clone(), value));
        grouped.reduce(|_, new| new, |so_far, _| so_far).materialized("r");
    });
    let held = [
        ("in", "k", Some("a"), 1000),
        ("in", "k", Some("b"), 2000),
        ("in", "z", Some("z"), 70_000),
    ];
    check("suppress", &held, |b| {
        let limit = Suppressed::until_time_limit(MINUTE, Buffer::unbounded());
        table(b, "in", "ts").suppress(limit).named("sup");
    });
    let versions = [
        ("in", "k", Some("a"), 1000),
        ("in", "k", Some("b"), 2000),
        ("in", "k", None, 3000),
        ("in", "k", Some("o"), 1500),
    ];
    check("versioned", &versions, |b| {
        let options = Materialized::named("vt").versioned(MINUTE * 5);
        b.table::<String, String>("in").materialized(options);
    });
}

#[test]
fn aggregations() {
    check(
        "count",
        &[("in", "k", Some("a"), 1000), ("in", "k", Some("b"), 500)],
        |b| {
            stream(b, "in").group_by_key().count().materialized("c");
        },
    );
    check("group_by", &[("in", "k", Some("a"), 1000)], |b| {
        stream(b, "in")
            .group_by(|_, value| value.clone())
            .count()
            .materialized("c");
    });
    let windows = [("in", "k", Some("a"), 1000), ("in", "k", Some("b"), 61_000)];
    check("window_count", &windows, |b| {
        let windowed = stream(b, "in").group_by_key().windowed_by(TimeWindows::of_size(MINUTE));
        windowed.count().materialized("w");
    });
    check("window_close_count", &windows, |b| {
        let windowed = stream(b, "in").group_by_key().windowed_by(TimeWindows::of_size(MINUTE));
        windowed.emit(EmitStrategy::OnWindowClose).count().materialized("w");
    });
    let sessions = [("in", "k", Some("a"), 1000), ("in", "k", Some("b"), 2000)];
    check("session_count", &sessions, |b| {
        let gap = SessionWindows::of_inactivity_gap(MINUTE);
        stream(b, "in")
            .group_by_key()
            .windowed_by(gap)
            .count()
            .materialized("s");
    });
    check("session_close_count", &sessions, |b| {
        let gap = SessionWindows::of_inactivity_gap(MINUTE);
        let windowed = stream(b, "in").group_by_key().windowed_by(gap);
        windowed.emit(EmitStrategy::OnWindowClose).count().materialized("s");
    });
}

#[test]
fn joins() {
    let windows = JoinWindows::of_time_difference(MINUTE);
    let left = [
        ("a", "k", Some("l"), 1000),
        ("a", "k", Some("m"), 1000),
        ("b", "k", Some("r"), 2000),
        ("b", "q", Some("r"), 3000),
    ];
    check("left_join", &left, |b| {
        let joined = stream(b, "a").left_join(&stream(b, "b"), windows, |_, left, _| left.clone());
        joined.store_name("j");
    });
    check(
        "outer_join",
        &[("a", "k", Some("l"), 1000), ("b", "q", Some("r"), 3000)],
        |b| {
            let joined = stream(b, "a").outer_join(&stream(b, "b"), windows, |_, left, _| left.cloned());
            joined.store_name("j");
        },
    );
    let foreign = [
        ("t1", "p", Some("f"), 1000),
        ("t2", "f", Some("x"), 2000),
        ("t1", "p", Some("g"), 3000),
        ("t1", "p", None, 4000),
    ];
    check("fk_join", &foreign, |b| {
        let (left, right) = (table(b, "t1", "s1"), table(b, "t2", "s2"));
        left.join_foreign_key(
            &right,
            |_, value| value.clone(),
            |left: String, right: String| left + &right,
        )
        .named("fj")
        .materialized("st");
    });
    let late = [
        ("t", "k", Some("x"), 500),
        ("a", "k", Some("v"), 1000),
        ("a", "k", Some("w"), 1000),
        ("a", "z", Some("z"), 9000),
    ];
    check("grace_join", &late, |b| {
        let options = Materialized::named("vt").versioned(MINUTE * 5);
        let (records, rows) = (stream(b, "a"), b.table::<String, String>("t").materialized(options));
        let joined = records.join_table(&rows, |_, value, _| value);
        joined.named("j").grace(Duration::from_secs(5));
    });
}

fn check(program: &str, inputs: &[Pipe<'_>], build: impl Fn(&StreamsBuilder)) {
    let builder = StreamsBuilder::new();
    build(&builder);
    let topology = builder.build().expect("the program is right");
    let driver = TopologyTestDriver::builder(topology)
        .application_id("app")
        .cache_bytes(0)
        .build();
    let mut driver = driver.expect("it can run");
    for (topic, key, value, timestamp) in inputs {
        let mut record = ProducedRecord {
            topic: (*topic).into(),
            partition: None,
            key: Some(Bytes::from((*key).to_owned())),
            value: value.map(|value| Bytes::from(value.to_owned())),
            timestamp: Some(*timestamp),
            headers: Default::default(),
        };
        record.headers.push("h", Some(Bytes::from_static(b"x")));
        driver.pipe_raw(record).expect("it runs");
    }
    let goldens = include_str!("golden/records.jsonl").lines();
    let goldens = goldens.map(|line| serde_json::from_str::<Json>(line).expect("a record a line"));
    let expected: Vec<Json> = goldens
        .filter(|golden| golden.get("program") == Some(&json!(program)))
        .collect();
    let mut topics: Vec<&str> = expected
        .iter()
        .filter_map(|golden| golden.get("topic")?.as_str())
        .collect();
    topics.dedup();
    let written = driver.produced();
    let got = topics.iter().flat_map(|topic| {
        let of_topic = written.iter().filter(|record| *record.topic == **topic);
        of_topic.map(|record| shown(program, record))
    });
    assert_eq!(got.collect::<Vec<_>>(), expected, "{program}");
}

fn shown(program: &str, record: &ProducedRecord) -> Json {
    let hex = |bytes: &Option<Bytes>| {
        let bytes = bytes.as_ref()?;
        Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    let headers = record.headers.iter().map(|header| String::from_utf8_lossy(&header.key));
    json!({
        "program": program, "topic": *record.topic, "key": hex(&record.key), "value": hex(&record.value),
        "timestamp": record.timestamp, "headers": headers.collect::<Vec<_>>(),
    })
}
