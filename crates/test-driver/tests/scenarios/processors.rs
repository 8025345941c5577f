//! Processors forward depth first, to all children or to one, and keep state.

use kstreams_test_driver::{TopologyTestDriver, record};
use kstreams_topology::processor::{Context, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, Processor};
use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
use kstreams_topology::{BoxError, Consumed, Produced, Record, Topology};

use crate::support::{Closure, Log, Shown, chain, one_processor};

struct WordCount(StoreHandle<KeyValueStore<String, i32>>);

impl Processor for WordCount {
    type KIn = Option<String>;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, lines: Record<Option<String>, String>) -> Result<(), BoxError> {
        for word in lines.value.split(' ') {
            let word = word.to_owned();
            let count = cx.store(self.0).get(&word)?.unwrap_or(0) + 1;
            cx.store(self.0).put(&word, &count)?;
            cx.forward(Record::new(word, count.to_string(), lines.timestamp))?;
        }
        Ok(())
    }
}

#[test]
fn papi_wordcount() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    let counts = topology.add_store(Stores::persistent("Counts").key_value())?;
    topology
        .add_source("Source", "source-topic", Consumed::<Option<String>, String>::default())?
        .add_processor("Process", move || WordCount(counts), &["Source"])?
        .add_sink(
            "Sink",
            "sink-topic",
            Produced::<String, String>::default(),
            &["Process"],
        )?;
    assert_eq!(
        topology.describe(),
        "Topologies:\n   Sub-topology: 0\n    Source: Source (topics: [source-topic])\n      --> Process\n    \
         Processor: Process (stores: [Counts])\n      --> Sink\n      <-- Source\n    \
         Sink: Sink (topic: sink-topic)\n      <-- Process\n\n"
    );

    let mut driver = TopologyTestDriver::builder(topology).application_id("app").build()?;
    let input = driver.input::<Option<String>, String>("source-topic");
    let output = driver.output::<String, String>("sink-topic");
    driver.pipe(&input, record(None::<String>, "a b a").at(5))?;
    let counted = [("a", "1"), ("b", "1"), ("a", "2")].map(|(word, count)| record(word, count).at(5));
    assert_eq!(driver.read_all(&output)?, counted);
    let stored = driver.store(counts)?.all()?.collect_owned()?;
    assert_eq!(stored, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    assert!(
        driver
            .produced_topic_names()
            .iter()
            .eq(["app-Counts-changelog", "sink-topic"])
    );
    assert_eq!(driver.dropped(), 0);
    Ok(())
}

#[test]
fn papi_forward_named() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    let chooser = Closure::new(|cx, record| match record.key.as_str() {
        "x" => Ok(cx.forward_to("s1", record)?),
        "bad" => Ok(cx.forward_to("nowhere", record)?),
        _ => Ok(cx.forward(record)?),
    });
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("P", move || chooser.clone(), &["source"])?
        .add_sink("s1", "o1", Produced::<String, String>::default(), &["P"])?
        .add_sink("s2", "o2", Produced::<String, String>::default(), &["P"])?;
    let mut driver = TopologyTestDriver::builder(topology).build()?;
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.pipe("x", "1", 1)?, ["o1 x=1@1"]);
    assert_eq!(shown.pipe("y", "2", 2)?, ["o1 y=2@2", "o2 y=2@2"]);
    assert!(shown.pipe("bad", "3", 3).is_err());
    assert!(shown.fresh().is_empty());
    Ok(())
}

#[test]
fn papi_depth_first() -> Result<(), BoxError> {
    let log = Log::default();
    let twice = log.clone();
    let parent = Closure::new(move |cx, record| {
        for suffix in ["1", "2"] {
            let value = format!("{}{suffix}", record.value);
            cx.forward(record.clone().with_value(value))?;
        }
        twice.note("P done");
        Ok(())
    });
    let noting = |name: &'static str| {
        let log = log.clone();
        Closure::new(move |cx, record| {
            log.note(format!("{name}:{}", record.value));
            Ok(cx.forward(record)?)
        })
    };
    let (first, second) = (noting("Q"), noting("R"));
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("P", move || parent.clone(), &["source"])?
        .add_processor("Q", move || first.clone(), &["P"])?
        .add_processor("R", move || second.clone(), &["P"])?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["Q"])?;
    let mut driver = TopologyTestDriver::builder(topology).build()?;
    assert_eq!(Shown::new(&mut driver).pipe("k", "v", 1)?, ["out k=v1@1", "out k=v2@1"]);
    assert_eq!(log.take(), ["Q:v1", "R:v1", "Q:v2", "R:v2", "P done"]);
    Ok(())
}

#[test]
fn forwarded_time_and_headers_are_seen_below_and_only_there() -> Result<(), BoxError> {
    let log = Log::default();
    let (above, below) = (log.clone(), log.clone());
    let parent = Closure::new(move |cx, record| {
        let mut other = record.clone();
        other.timestamp = 99;
        other.headers.push("h".as_bytes(), None);
        cx.forward(other)?;
        let metadata = cx.metadata();
        above.note(format!("P {} {}", metadata.timestamp, metadata.headers.len()));
        Ok(cx.forward(record)?)
    });
    let child = Closure::new(move |cx, _| {
        let metadata = cx.metadata();
        below.note(format!("Q {} {}", metadata.timestamp, metadata.headers.len()));
        Ok(())
    });
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("P", move || parent.clone(), &["source"])?
        .add_processor("Q", move || child.clone(), &["P"])?;
    let mut driver = TopologyTestDriver::builder(topology).build()?;
    Shown::new(&mut driver).pipe("k", "v", 7)?;
    assert_eq!(log.take(), ["Q 99 1", "P 7 0", "Q 7 0"]);
    Ok(())
}

/// Forwards the previous value of the key before the new one.
struct Previous(StoreHandle<KeyValueStore<String, String>>);

impl FixedKeyProcessor for Previous {
    type K = String;
    type VIn = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(
        &mut self,
        cx: &mut FixedKeyContext<'_, Self>,
        record: FixedKeyRecord<String, String>,
    ) -> Result<(), BoxError> {
        let mut store = cx.store(self.0);
        let before = store.get(record.key())?.unwrap_or_else(|| "null".to_owned());
        store.put(record.key(), record.value())?;
        let pair = format!("{before}>{}", record.value());
        Ok(cx.forward(record.with_value(pair))?)
    }
}

#[test]
fn papi_store_connected_by_supplier() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    let store = topology.add_store(Stores::in_memory("st").key_value())?;
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_fixed_key_processor("P", move || Previous(store), &["source"])?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["P"])?;
    let mut driver = TopologyTestDriver::builder(topology).application_id("app").build()?;
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.pipe("k", "1", 1)?, ["out k=null>1@1"]);
    assert_eq!(shown.pipe("k", "2", 2)?, ["out k=1>2@2"]);
    assert_eq!(driver.store(store)?.get(&"k".to_owned())?, Some("2".to_owned()));
    assert!(driver.produced_topic_names().iter().eq(["app-st-changelog", "out"]));
    Ok(())
}

#[test]
fn a_store_that_was_not_connected_is_refused() {
    let mut topology = Topology::new();
    let store: StoreHandle<KeyValueStore<String, String>> = topology
        .add_store(Stores::in_memory("st").key_value())
        .expect("the store is new");
    let greedy = Closure::new(move |cx, record| {
        cx.store(store).put(&record.key, &record.value)?;
        Ok(())
    });
    topology
        .add_source("source", "in", Consumed::<String, String>::default())
        .and_then(|topology| topology.add_processor("P", move || greedy.clone(), &["source"]))
        .expect("the topology is valid");
    let mut driver = TopologyTestDriver::builder(topology).build().expect("it can be run");
    let error = Shown::new(&mut driver).pipe("k", "v", 1).expect_err("it is refused");
    let said = chain(&error).pop().unwrap_or_default();
    assert!(
        said.starts_with("panicked: processor P is not connected to that store"),
        "{said}"
    );
}

#[test]
fn a_commit_is_asked_for_without_harm() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(one_processor(Closure::new(|cx, record| {
        cx.request_commit();
        Ok(cx.forward(record)?)
    })))
    .build()?;
    assert_eq!(Shown::new(&mut driver).pipe("k", "v", 1)?, ["out k=v@1"]);
    Ok(())
}
