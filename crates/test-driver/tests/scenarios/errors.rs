//! What user code and bad bytes may do, and who decides about it.

use kstreams_test_driver::{Error, ProducedRecord, TopologyTestDriver, record};
use kstreams_topology::graph::ErrorHandlers;
use kstreams_topology::processor::Processor;
use kstreams_topology::{BoxError, Consumed, Produced, Topology};
use kstreams_wire::{Headers, TopicName};

use crate::support::{Closure, Shown, chain, one_processor};

fn failing_on_x() -> Closure {
    Closure::new(|cx, record| {
        if record.value == "x" {
            return Err("I will not take x".into());
        }
        Ok(cx.forward(record)?)
    })
}

#[test]
fn papi_exception() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(one_processor(failing_on_x())).build()?;
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.pipe("k", "ok", 1)?, ["out k=ok@1"]);
    let error = shown.pipe("k", "x", 2).expect_err("x is refused");
    assert_eq!(
        chain(&error),
        [
            "the task failed",
            "processor P failed on in-0 offset 1",
            "I will not take x"
        ]
    );
    assert_eq!(shown.pipe("k", "ok2", 3)?, ["out k=ok2@3"]);
    Ok(())
}

#[test]
fn papi_exception_continue() -> Result<(), BoxError> {
    let mut topology = one_processor(Closure::new(|cx, record| {
        let before = format!("before-{}", record.value);
        cx.forward(record.clone().with_value(before))?;
        if record.value == "x" {
            return Err("I will not take x".into());
        }
        Ok(cx.forward(record)?)
    }));
    topology.add_internal_topic(kstreams_topology::blueprint::InternalTopic {
        name: "unused".to_owned(),
        partitions: None,
    });
    let builder = TopologyTestDriver::builder(topology).handlers(ErrorHandlers::log_and_continue());
    let mut driver = builder.build()?;
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.pipe("k", "x", 2)?, ["out k=before-x@2"]);
    assert_eq!(shown.pipe("k", "ok", 3)?, ["out k=before-ok@3", "out k=ok@3"]);
    assert_eq!(driver.dropped(), 1);
    Ok(())
}

#[test]
fn the_innermost_processor_is_asked_and_its_parent_goes_on() -> Result<(), BoxError> {
    let parent = Closure::new(|cx, record| {
        cx.forward(record.clone())?;
        Ok(cx.forward(record.with_value("after".to_owned()))?)
    });
    let child = failing_on_x();
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("P", move || parent.clone(), &["source"])?
        .add_processor("Q", move || child.clone(), &["P"])?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["Q"])?;
    let builder = TopologyTestDriver::builder(topology).handlers(ErrorHandlers::log_and_continue());
    let mut driver = builder.build()?;
    assert_eq!(Shown::new(&mut driver).pipe("k", "x", 1)?, ["out k=after@1"]);
    assert_eq!(driver.dropped(), 1);
    Ok(())
}

fn numbers() -> Result<Topology, BoxError> {
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, i32>::default())?
        .add_sink("sink", "out", Produced::<String, i32>::default(), &["source"])?;
    Ok(topology)
}

fn bytes(value: Option<&'static [u8]>) -> ProducedRecord {
    ProducedRecord {
        topic: TopicName::new("in"),
        partition: None,
        key: Some("k".into()),
        value: value.map(Into::into),
        timestamp: Some(1),
        headers: Headers::new(),
    }
}

#[test]
fn deserialization_error() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(numbers()?).build()?;
    let error = driver
        .pipe_raw(bytes(Some(&[1, 2, 3])))
        .expect_err("three bytes are no number");
    assert_eq!(
        chain(&error),
        [
            "the task failed",
            "could not decode the record at in-0 offset 0 in source source",
            "could not convert 3 bytes to i32: 4 expected",
        ]
    );
    assert!(driver.produced().is_empty());
    Ok(())
}

#[test]
fn deserialization_continue() -> Result<(), BoxError> {
    let builder = TopologyTestDriver::builder(numbers()?).handlers(ErrorHandlers::log_and_continue());
    let mut driver = builder.build()?;
    driver.pipe_raw(bytes(Some(&[1, 2, 3])))?;
    driver.pipe_raw(bytes(Some(&[0, 0, 0, 7])))?;
    let output = driver.output::<String, i32>("out");
    assert_eq!(driver.read_all(&output)?, [record("k", 7).at(1)]);
    assert_eq!(driver.dropped(), 1);
    Ok(())
}

#[test]
fn nulls_are_dropped_where_the_type_knows_none() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(numbers()?).build()?;
    driver.pipe_raw(bytes(None))?;
    assert!(driver.produced().is_empty());
    assert_eq!(driver.dropped(), 1);
    Ok(())
}

#[test]
fn papi_topology_errors() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    let consumed = Consumed::<String, String>::default;
    let produced = Produced::<String, String>::default;
    let refused = |result: Result<&mut Topology, kstreams_topology::Error>| match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(refused(topology.add_source("a", "in", consumed())), "ok");
    let again = refused(topology.add_source("a", "other", consumed()));
    assert_eq!(again, "invalid topology: node a is already added");
    let taken = refused(topology.add_source("b", "in", consumed()));
    assert_eq!(taken, "invalid topology: topic in is already read by another source");
    let orphan = refused(topology.add_processor("p", failing_on_x, &["nowhere"]));
    assert_eq!(orphan, "invalid topology: parent nowhere of node p is not added yet");
    let alone = refused(topology.add_processor("p", failing_on_x, &[]));
    assert_eq!(alone, "invalid topology: node p needs at least one parent");
    let alone = refused(topology.add_sink("s", "out", produced(), &[]));
    assert_eq!(alone, "invalid topology: node s needs at least one parent");
    assert_eq!(refused(topology.add_sink("s", "out", produced(), &["a"])), "ok");
    let below = refused(topology.add_processor("p", failing_on_x, &["s"]));
    assert_eq!(below, "invalid topology: sink s cannot be a parent of node p");
    let store = || {
        kstreams_topology::stores::Stores::in_memory("st")
            .key_value::<String, String>()
            .into_definition()
    };
    assert!(topology.add_store_definition(store(), &["nowhere"]).is_err());
    topology.add_store_definition(store(), &[])?;
    assert!(topology.add_store_definition(store(), &[]).is_err());
    assert!(topology.connect("a", &["st"]).is_err());
    assert!(topology.connect("nowhere", &["st"]).is_err());
    assert!(failing_on_x().stores().is_empty());
    Ok(())
}

#[test]
fn an_unknown_topic_cannot_be_piped_to() -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(numbers()?).build()?;
    let nowhere = driver.input::<String, i32>("nowhere");
    let error = driver.pipe(&nowhere, ("k", 1));
    assert!(matches!(error, Err(Error::UnknownTopic { topic }) if topic == "nowhere"));
    Ok(())
}
