//! Runs a program on the inputs of a scenario, without and with the record cache, and compares what comes out.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kstreams_dsl::{BuildOptions, Optimization, StreamsBuilder};
use kstreams_store::EngineKind;
use kstreams_test_driver::{ProducedRecord, TopologyTestDriver};
use kstreams_topology::stores::{SessionStore, TimestampedWindowStore};
use kstreams_topology::{Data, Windowed};
use serde::{Deserialize, Serialize};
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
    out: Option<Vec<Json>>,
    topics: Option<Vec<String>>,
    dropped: Option<u64>,
    stores: Option<BTreeMap<String, Json>>,
}

#[derive(Deserialize)]
struct Final {
    topics: Vec<String>,
    dropped: u64,
    describe: Option<String>,
    #[serde(default)]
    stores: BTreeMap<String, Json>,
    #[serde(default)]
    variants: BTreeMap<String, Variant>,
}

/// How a scenario is run. What Java did differently then stands in the golden file under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    /// On disk, without the record cache.
    Plain,
    Cached,
    /// In memory, without the record cache.
    InMemory,
    /// Each of the others without Java's quirks: no result is lost on a jump of time, as if all were cached.
    Delivering(EngineKind),
}

impl Arm {
    /// Its name in the golden file.
    fn variant(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Cached | Self::Delivering(_) => Some("cached"),
            Self::InMemory => Some("in_memory"),
        }
    }

    fn engine(self) -> EngineKind {
        match self {
            Self::InMemory => EngineKind::Memory,
            Self::Delivering(engine) => engine,
            Self::Plain | Self::Cached => EngineKind::Persistent,
        }
    }

    /// What Java came to in this arm.
    fn pick<'a, T>(
        self,
        usual: &'a T,
        variants: &'a BTreeMap<String, Variant>,
        of: fn(&Variant) -> &Option<T>,
    ) -> &'a T {
        let variant = self.variant().and_then(|name| variants.get(name));
        variant.and_then(|variant| of(variant).as_ref()).unwrap_or(usual)
    }
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
    let scenario = scenario(id);
    for arm in [Arm::Plain, Arm::Cached] {
        run(&scenario, arm, (options, &program));
    }
}

/// Like [`check_quirk`], also with stores in memory.
pub(crate) fn check_windows(id: &str, program: impl Fn(&StreamsBuilder)) {
    check_quirk(id, &program);
    run(
        &scenario(id),
        Arm::InMemory,
        (BuildOptions::default().java_quirks(true), &program),
    );
}

/// Like [`check_windows`], and without Java's quirks.
pub(crate) fn check_closing(id: &str, program: impl Fn(&StreamsBuilder)) {
    check_windows(id, &program);
    for engine in [EngineKind::Persistent, EngineKind::Memory] {
        run(
            &scenario(id),
            Arm::Delivering(engine),
            (BuildOptions::default(), &program),
        );
    }
}

fn scenario(id: &str) -> Scenario {
    let start = format!("{{\"id\": \"{id}\",");
    let mut lines = include_str!("../golden/scenarios.jsonl").lines();
    let line = lines.find(|line| line.starts_with(&start));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no scenario {id}"))).expect("a scenario")
}

fn run(scenario: &Scenario, arm: Arm, (options, program): (BuildOptions, &impl Fn(&StreamsBuilder))) {
    let id = &scenario.id;
    let builder = StreamsBuilder::new();
    program(&builder);
    let optimized = scenario.config.get("topology.optimization") == Some(&json!("all"));
    let optimization = if optimized {
        Optimization::ALL
    } else {
        Optimization::NONE
    };
    let options = options.optimization(optimization).default_engine(arm.engine());
    let topology = builder.build_with(options).expect("the program is right");
    if let Some(describe) = &scenario.r#final.describe {
        assert_eq!(topology.describe(), *describe, "{id}");
    }
    let bytes = if arm == Arm::Cached { 10 << 20 } else { 0 };
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
        let expected = arm.pick(&step.out, &step.variants, |variant| &variant.out);
        assert_eq!(
            grouped(expected.clone()),
            fresh(scenario, &driver, before),
            "{id}, step {at}, {arm:?}"
        );
    }
    if matches!(arm, Arm::Delivering(_)) {
        return;
    }
    let last = &scenario.r#final;
    assert_eq!(
        driver.dropped(),
        *arm.pick(&last.dropped, &last.variants, |variant| &variant.dropped),
        "{id}, {arm:?}: dropped records"
    );
    assert_eq!(
        driver.produced_topic_names().into_iter().collect::<Vec<_>>(),
        *arm.pick(&last.topics, &last.variants, |variant| &variant.topics),
        "{id}, {arm:?}"
    );
    for (store, entries) in arm.pick(&last.stores, &last.variants, |variant| &variant.stores) {
        assert_eq!(
            stored(&mut driver, store, entries),
            *entries,
            "{id}, {arm:?}: store {store}"
        );
    }
}

impl Scenario {
    /// How often Java's own joins and aggregations look for results that are due.
    fn emit_interval_ms(&self) -> i64 {
        let names = [
            "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__",
            "__emit.interval.ms.kstreams.windowed.aggregation__",
        ];
        let mut given = names.iter().filter_map(|name| self.config.get(*name)?.as_i64());
        given.next().unwrap_or(0)
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
        (Some(bytes), "bytearray") => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!(format!("hex:{digits}"))
        }
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
    let in_windows = expected[0][0].as_str().is_some_and(|key| key.contains('@'));
    match (in_windows, &expected[0][1]) {
        (true, Json::Object(first)) if first["v"].is_number() => windows::<i64>(driver, store),
        (true, Json::Object(_)) => windows::<String>(driver, store),
        (true, Json::Number(_)) => sessions::<i64>(driver, store),
        (true, _) => sessions::<String>(driver, store),
        (false, _) => rows(driver, store, expected),
    }
}

fn rows(driver: &mut TopologyTestDriver, store: &str, expected: &Json) -> Json {
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

fn windows<V: Data + Serialize>(driver: &mut TopologyTestDriver, store: &str) -> Json {
    let view = driver.store_named::<TimestampedWindowStore<String, V>>(store);
    let mut view = view.expect("the store is there");
    let rows = view.all().expect("it can be read").map(|row| {
        let (key, row) = row.expect("a row can be read");
        json!([name(&key), {"v": row.value, "ts": row.timestamp}])
    });
    rows.collect()
}

fn sessions<V: Data + Serialize>(driver: &mut TopologyTestDriver, store: &str) -> Json {
    let view = driver.store_named::<SessionStore<String, V>>(store);
    let mut view = view.expect("the store is there");
    let rows = view.fetch_keys(None, None).expect("it can be read").map(|row| {
        let (key, value) = row.expect("a row can be read");
        json!([name(&key), value])
    });
    rows.collect()
}

/// A windowed key as the golden file shows it.
pub(crate) fn name(Windowed { key, window }: &Windowed<String>) -> String {
    match window.end {
        i64::MAX => format!("{key}@{}", window.start),
        end => format!("{key}@{}/{end}", window.start),
    }
}
