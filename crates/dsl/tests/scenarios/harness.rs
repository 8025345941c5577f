//! Runs a program on the inputs of a scenario, without and with the record cache, and compares what comes out.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kstreams_dsl::{BuildOptions, Optimization, StreamsBuilder};
use kstreams_test_driver::{ProducedRecord, TopologyTestDriver};
use serde::Deserialize;
use serde_json::{Value as Json, json};

/// One line of the golden file.
#[derive(Deserialize)]
struct Scenario {
    id: String,
    config: BTreeMap<String, Json>,
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    steps: Vec<Step>,
    r#final: Final,
}

#[derive(Deserialize)]
struct Step {
    op: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    k: Json,
    #[serde(default)]
    v: Json,
    #[serde(default)]
    ts: i64,
    #[serde(default)]
    ms: u64,
    #[serde(default)]
    h: BTreeMap<String, String>,
    #[serde(default)]
    out: Vec<Json>,
    #[serde(default)]
    variants: BTreeMap<String, Variant>,
}

#[derive(Deserialize)]
struct Variant {
    out: Vec<Json>,
}

#[derive(Deserialize)]
struct Final {
    topics: Vec<String>,
    dropped: u64,
    describe: Option<String>,
    #[serde(default)]
    stores: BTreeMap<String, Json>,
}

/// Whether the record cache is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cache {
    Off,
    On,
}

/// Compares the program with the scenario of this name.
pub(crate) fn check(id: &str, program: impl Fn(&StreamsBuilder)) {
    check_with(id, BuildOptions::default(), program);
}

/// Compares the program with a scenario in which Java does what users would not expect.
pub(crate) fn check_quirk(id: &str, program: impl Fn(&StreamsBuilder)) {
    check_with(id, BuildOptions::default().java_quirks(true), program);
}

fn check_with(id: &str, options: BuildOptions, program: impl Fn(&StreamsBuilder)) {
    let scenarios = include_str!("../golden/scenarios.jsonl").lines();
    let mut scenarios = scenarios.map(|line| serde_json::from_str::<Scenario>(line).expect("a scenario a line"));
    let scenario = scenarios
        .find(|scenario| scenario.id == id)
        .unwrap_or_else(|| panic!("no scenario {id}"));
    for cache in [Cache::Off, Cache::On] {
        run(&scenario, cache, (options, &program));
    }
}

fn run(scenario: &Scenario, cache: Cache, (options, program): (BuildOptions, &impl Fn(&StreamsBuilder))) {
    let id = &scenario.id;
    let builder = StreamsBuilder::new();
    program(&builder);
    let optimized = scenario.config.get("topology.optimization") == Some(&json!("all"));
    let optimization = if optimized {
        Optimization::ALL
    } else {
        Optimization::NONE
    };
    let topology = builder
        .build_with(options.optimization(optimization))
        .expect("the program is right");
    if let Some(describe) = &scenario.r#final.describe {
        assert_eq!(topology.describe(), *describe, "{id}");
    }
    let bytes = if cache == Cache::On { 10 << 20 } else { 0 };
    let driver = TopologyTestDriver::builder(topology)
        .application_id("app")
        .cache_bytes(bytes)
        .emit_interval_ms(scenario.emit_interval_ms())
        .build();
    let mut driver = driver.expect("the topology starts");
    for (at, step) in scenario.steps.iter().enumerate() {
        let before = driver.produced().len();
        let done = match &*step.op {
            "pipe" => driver.pipe_raw(input(scenario, step)),
            "advance_wall_clock" => driver.advance_wall_clock(Duration::from_millis(step.ms)),
            _ => continue,
        };
        done.unwrap_or_else(|error| panic!("{id}, step {at}: {error}"));
        let cached = step.variants.get("cached").filter(|_| cache == Cache::On);
        let expected = cached.map_or(&step.out, |variant| &variant.out);
        assert_eq!(
            grouped(expected.clone()),
            fresh(scenario, &driver, before),
            "{id}, step {at}, cache {cache:?}"
        );
    }
    assert_eq!(driver.dropped(), scenario.r#final.dropped, "{id}: dropped records");
    assert_eq!(
        driver.produced_topic_names().into_iter().collect::<Vec<_>>(),
        scenario.r#final.topics,
        "{id}"
    );
    for (store, entries) in &scenario.r#final.stores {
        assert_eq!(stored(&mut driver, store, entries), *entries, "{id}: store {store}");
    }
}

impl Scenario {
    /// How often Java's own joins look for results that are due.
    fn emit_interval_ms(&self) -> i64 {
        let interval = self
            .config
            .get("__emit.interval.ms.kstreams.outer.join.spurious.results.fix__");
        interval.and_then(Json::as_i64).unwrap_or(0)
    }
}

fn input(scenario: &Scenario, step: &Step) -> ProducedRecord {
    let mut record = ProducedRecord {
        topic: step.topic.as_str().into(),
        partition: None,
        key: encode(&step.k, ""),
        value: encode(
            &step.v,
            scenario.inputs[&step.topic].split('/').next_back().unwrap_or_default(),
        ),
        timestamp: Some(step.ts),
        headers: Default::default(),
    };
    for (name, value) in &step.h {
        record.headers.push(name.clone(), Some(Bytes::from(value.clone())));
    }
    record
}

fn encode(json: &Json, serde: &str) -> Option<Bytes> {
    match (json, serde) {
        (Json::Null, _) => None,
        (_, "integer") => Some(Bytes::copy_from_slice(
            &i32::try_from(json.as_i64()?).ok()?.to_be_bytes(),
        )),
        (_, "long") => Some(Bytes::copy_from_slice(&json.as_i64()?.to_be_bytes())),
        _ => json.as_str().map(|text| Bytes::from(text.to_owned())),
    }
}

fn decode(bytes: Option<&[u8]>, serde: &str) -> Json {
    match (bytes, serde) {
        (None, _) => Json::Null,
        (Some(bytes), "integer") => json!(i32::from_be_bytes(bytes.try_into().expect("four bytes"))),
        (Some(bytes), "long") => json!(i64::from_be_bytes(bytes.try_into().expect("eight bytes"))),
        (Some(bytes), _) => json!(String::from_utf8_lossy(bytes)),
    }
}

/// What came out in this step, in the form of the golden file. Only topics that the scenario lists count.
fn fresh(scenario: &Scenario, driver: &TopologyTestDriver, before: usize) -> BTreeMap<String, Vec<Json>> {
    let listed = driver.produced()[before..].iter().filter_map(|record| {
        let serdes = scenario.outputs.get(&*record.topic)?;
        let (key, value) = serdes.split_once('/')?;
        let mut shown = json!({
            "t": *record.topic, "k": decode(record.key.as_deref(), key), "v": decode(record.value.as_deref(), value),
            "ts": record.timestamp,
        });
        if !record.headers.is_empty() {
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            let headers = record.headers.iter();
            let headers = headers.map(|header| (text(&header.key), header.value.as_ref().map(text)));
            shown["h"] = json!(headers.collect::<BTreeMap<_, _>>());
        }
        Some(shown)
    });
    grouped(listed.collect())
}

fn grouped(records: Vec<Json>) -> BTreeMap<String, Vec<Json>> {
    let mut topics: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for record in records {
        topics
            .entry(record["t"].as_str().unwrap_or_default().to_owned())
            .or_default()
            .push(record);
    }
    topics
}

/// A table's store, with values of the type that is expected.
fn stored(driver: &mut TopologyTestDriver, store: &str, expected: &Json) -> Json {
    let entries = driver.store_entries(store).expect("the store is there");
    let rows = entries.iter().enumerate().map(|(at, (key, value))| {
        let (timestamp, value) = value.split_first_chunk().expect("a timestamp is first");
        let serde = match (expected[at][1]["v"].is_number(), value.len()) {
            (true, 4) => "integer",
            (true, _) => "long",
            (false, _) => "string",
        };
        json!([decode(Some(key), ""), {"v": decode(Some(value), serde), "ts": i64::from_be_bytes(*timestamp)}])
    });
    rows.collect()
}
