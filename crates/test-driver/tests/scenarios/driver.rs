//! The driver itself: its clocks, its queues, its stores, its feeding back.

use std::time::Duration;

use kstreams_test_driver::{Error, TopologyTestDriver, record};
use kstreams_topology::blueprint::{InternalTopic, Topics};
use kstreams_topology::processor::{Context, Processor};
use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores, TimestampedKeyValueStore};
use kstreams_topology::{BoxError, Consumed, Produced, Record, Topology};

use crate::support::{Closure, Log, Shown, one_processor};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn pass() -> Closure {
    Closure::new(|cx, record| Ok(cx.forward(record)?))
}

#[test]
fn ttd_time() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<Option<String>, String>::default())?
        .add_sink(
            "sink",
            "out",
            Produced::<Option<String>, String>::default(),
            &["source"],
        )?;
    let mut driver = TopologyTestDriver::builder(topology).start_at(1000).build()?;
    let input = driver.input::<Option<String>, String>("in");
    let output = driver.output::<Option<String>, String>("out");
    let none = None::<String>;
    driver.pipe(&input, (none.clone(), "a"))?;
    driver.advance_wall_clock(ms(50))?;
    driver.pipe(&input, ("k".to_owned(), "b"))?;
    input.advance_time(ms(7));
    driver.pipe(&input, (none.clone(), "c"))?;
    let ticking = driver
        .input::<Option<String>, String>("in")
        .start_at(100)
        .auto_advance(ms(5));
    driver.pipe(&ticking, (none.clone(), "e"))?;
    driver.pipe(&ticking, (none.clone(), "f"))?;
    driver.pipe(&ticking, record("k".to_owned(), "g").at(3))?;
    driver.pipe(&ticking, (none, "h"))?;
    let mut seen = Vec::new();
    for record in driver.read_all(&output)? {
        let key = record.key.unwrap_or_else(|| "null".to_owned());
        seen.push(format!("{key}/{}@{}", record.value, record.timestamp.unwrap_or(-1)));
    }
    assert_eq!(
        seen,
        [
            "null/a@1000",
            "k/b@1000",
            "null/c@1007",
            "null/e@100",
            "null/f@105",
            "k/g@3",
            "null/h@110"
        ]
    );
    assert!(matches!(
        driver.pipe(&ticking, record("k".to_owned(), "v").at(-1)),
        Err(Error::NegativeTimestamp { timestamp: -1 })
    ));
    Ok(())
}

#[test]
fn ttd_output_topic() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(one_processor(pass())).build()?;
    let input = driver.input::<String, String>("in");
    let output = driver.output::<String, String>("out");
    let elsewhere = driver.output::<String, String>("elsewhere");
    assert_eq!(driver.queue_len(&output), 0);
    assert!(matches!(driver.read_value(&output), Err(Error::NoRecord { .. })));
    assert!(matches!(driver.read_value(&elsewhere), Err(Error::NoRecord { .. })));

    driver.pipe(&input, record("k", "v1").at(1))?;
    assert_eq!(driver.queue_len(&output), 1);
    assert_eq!(driver.read_key_value(&output)?, ("k".to_owned(), "v1".to_owned()));
    assert!(matches!(driver.read(&output), Err(Error::NoRecord { .. })));

    driver.pipe(&input, ("a", "1"))?;
    driver.pipe(&input, ("a", "2"))?;
    let last = driver.read_map(&output)?;
    assert_eq!(last.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "2".to_owned())]);
    Ok(())
}

struct Count(StoreHandle<TimestampedKeyValueStore<String, i64>>);

impl Processor for Count {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        let mut store = cx.store(self.0);
        let before = store.get(&record.key)?;
        let timestamp = before
            .as_ref()
            .map_or(record.timestamp, |entry| entry.timestamp.max(record.timestamp));
        Ok(store.put(&record.key, &(before.map_or(0, |entry| entry.value) + 1), timestamp)?)
    }
}

#[test]
fn ttd_stores() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    let store = topology.add_store(Stores::persistent("st").timestamped_key_value())?;
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("count", move || Count(store), &["source"])?;
    let mut driver = TopologyTestDriver::builder(topology).application_id("app").build()?;
    Shown::new(&mut driver).pipe("a", "x", 4)?;
    let key = "a".to_owned();
    let entry = driver.store(store)?.get(&key)?.expect("a was counted");
    assert_eq!((entry.value, entry.timestamp), (1, 4));
    assert!(matches!(
        driver.store_named::<KeyValueStore<String, String>>("st"),
        Err(Error::UnknownStore { .. })
    ));
    assert!(
        driver
            .store_named::<TimestampedKeyValueStore<String, i64>>("elsewhere")
            .is_err()
    );
    assert!(driver.store_names().iter().eq(["st"]));
    assert!(driver.produced_topic_names().iter().eq(["app-st-changelog"]));

    driver.store(store)?.put(&key, &10, 4)?;
    Shown::new(&mut driver).pipe("a", "y", 5)?;
    let entry = driver.store(store)?.get(&key)?.expect("a was counted");
    assert_eq!((entry.value, entry.timestamp), (11, 5));
    let raw = driver.store_entries("st")?;
    assert_eq!(raw.len(), 1);
    assert_eq!(raw[0].1.len(), 16);

    // A timestamp of −1 cannot be logged.
    assert!(driver.store(store)?.put(&key, &10, -1).is_err());
    Ok(())
}

#[test]
fn changelogs_carry_plain_values_at_their_own_time() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    let store = topology.add_store(Stores::in_memory("st").timestamped_key_value().cached())?;
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("count", move || Count(store), &["source"])?;
    let mut driver = TopologyTestDriver::builder(topology).application_id("app").build()?;
    let mut shown = Shown::new(&mut driver);
    shown.pipe("a", "x", 9)?;
    shown.pipe("a", "x", 4)?;
    let logged: Vec<_> = driver
        .produced()
        .iter()
        .map(|record| (record.partition, record.timestamp))
        .collect();
    assert_eq!(logged, [(Some(0), Some(9)), (Some(0), Some(9))]);
    assert_eq!(
        driver.produced()[1].value.as_deref(),
        Some(2_i64.to_be_bytes().as_slice())
    );
    Ok(())
}

#[test]
fn ttd_internal_topics() -> Result<(), BoxError> {
    let by_value = Closure::new(|cx, record| {
        let key = record.value.clone();
        Ok(cx.forward(record.with_key(key))?)
    });
    let mut topology = Topology::new();
    topology.add_internal_topic(InternalTopic {
        name: "rp-repartition".to_owned(),
        partitions: None,
    });
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("P", move || by_value.clone(), &["source"])?
        .add_sink(
            "rp-sink",
            "rp-repartition",
            Produced::<String, String>::default(),
            &["P"],
        )?
        .add_source("rp-source", "rp-repartition", Consumed::<String, String>::default())?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["rp-source"])?;
    let mut driver = TopologyTestDriver::builder(topology).application_id("app").build()?;
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.pipe("k", "v", 1)?, ["app-rp-repartition v=v@1", "out v=v@1"]);
    assert_eq!(shown.pipe("k", "w", 2)?, ["app-rp-repartition w=w@2", "out w=w@2"]);
    assert!(driver.produced_topic_names().iter().eq(["app-rp-repartition", "out"]));
    Ok(())
}

#[test]
fn ttd_loop() -> Result<(), BoxError> {
    let shout = Closure::new(|cx, record| {
        let value = format!("{}!", record.value);
        Ok(cx.forward(record.with_value(value))?)
    });
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_sink("to-mid", "mid", Produced::<String, String>::default(), &["source"])?
        .add_source("mid", "mid", Consumed::<String, String>::default())?
        .add_processor("P", move || shout.clone(), &["mid"])?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["P"])?;
    let mut driver = TopologyTestDriver::builder(topology).build()?;
    assert_eq!(Shown::new(&mut driver).pipe("k", "v", 1)?, ["mid k=v@1", "out k=v!@1"]);
    Ok(())
}

#[test]
fn ttd_init_punctuate_close() -> Result<(), BoxError> {
    let log = Log::default();
    let notes = log.clone();
    let processor = Closure::new(move |_, _| {
        notes.note("process");
        Ok(())
    });
    let mut driver = TopologyTestDriver::builder(one_processor(processor.logging(&log))).build()?;
    assert_eq!(log.take(), ["init"]);
    Shown::new(&mut driver).pipe("k", "v", 1)?;
    driver.close()?;
    assert_eq!(log.take(), ["process", "close"]);
    Ok(())
}

fn two_inputs() -> Result<Topology, BoxError> {
    let mut topology = Topology::new();
    topology
        .add_source("source", ["a", "b"], Consumed::<String, String>::default())?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["source"])?;
    Ok(topology)
}

#[test]
fn ttd_two_inputs_order() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(two_inputs()?).build()?;
    let (a, b) = (driver.input::<String, String>("a"), driver.input::<String, String>("b"));
    driver.pipe(&a, record("k", "1").at(100))?;
    driver.pipe(&b, record("k", "2").at(50))?;
    driver.pipe(&a, record("k", "3").at(10))?;
    let seen = Shown::new(&mut driver).fresh();
    assert_eq!(seen, ["out k=1@100", "out k=2@50", "out k=3@10"]);
    Ok(())
}

#[test]
fn an_idle_topic_is_waited_for_on_the_drivers_clock() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(two_inputs()?)
        .max_task_idle_ms(10)
        .build()?;
    let (a, b) = (driver.input::<String, String>("a"), driver.input::<String, String>("b"));
    driver.pipe(&a, record("k", "late").at(100))?;
    assert!(driver.produced().is_empty());
    driver.pipe(&b, record("k", "early").at(50))?;
    assert_eq!(Shown::new(&mut driver).fresh(), ["out k=early@50"]);
    driver.advance_wall_clock(ms(10))?;
    assert_eq!(driver.produced().len(), 2);
    Ok(())
}

#[test]
fn topics_that_match_a_pattern_are_read() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    topology
        .add_source(
            "source",
            Topics::Pattern("in-.*".to_owned()),
            Consumed::<String, String>::default(),
        )?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["source"])?;
    assert!(topology.describe().contains("Source: source (topics: in-.*)"));
    assert!(
        topology
            .add_source("taken", "in-3", Consumed::<String, String>::default())
            .is_err()
    );
    let mut driver = TopologyTestDriver::builder(topology).build()?;
    for (topic, timestamp) in [("in-1", 1), ("in-2", 2), ("in-1", 3)] {
        let input = driver.input::<String, String>(topic);
        driver.pipe(&input, record("k", topic).at(timestamp))?;
    }
    assert!(
        driver
            .pipe(&driver.input::<String, String>("elsewhere"), ("k", "v"))
            .is_err()
    );
    let seen = Shown::new(&mut driver).fresh();
    assert_eq!(seen, ["out k=in-1@1", "out k=in-2@2", "out k=in-1@3"]);
    Ok(())
}
