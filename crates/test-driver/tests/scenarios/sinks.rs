//! Where a sink sends: to one topic or to many, to the partition that somebody chooses.

use std::sync::Arc;

use kstreams_test_driver::{TopologyTestDriver, record};
use kstreams_topology::graph::{Partitioner, Partitions};
use kstreams_topology::{BoxError, Consumed, Produced, Topology};

fn partitioned(partitioner: Partitioner<String, String>) -> Result<TopologyTestDriver, BoxError> {
    let mut topology = Topology::new();
    let produced = Produced::<String, String>::default().partitioner(partitioner);
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_sink("sink", "out", produced, &["source"])?;
    Ok(TopologyTestDriver::builder(topology).build()?)
}

#[test]
fn a_partitioner_chooses_none_one_or_several() -> Result<(), BoxError> {
    let mut driver = partitioned(Arc::new(|topic, key, _, partitions| {
        assert_eq!((topic, partitions), ("out", 1));
        match key.as_str() {
            "one" => Partitions::One(0),
            "several" => Partitions::Many(vec![0, 0]),
            "nowhere" => Partitions::Many(Vec::new()),
            _ => Partitions::Default,
        }
    }))?;
    let input = driver.input::<String, String>("in");
    for key in ["one", "several", "nowhere", "any"] {
        driver.pipe(&input, (key, "v"))?;
    }
    let sent: Vec<_> = driver
        .produced()
        .iter()
        .map(|record| (record.key.as_deref().unwrap_or_default(), record.partition))
        .collect();
    assert_eq!(
        sent,
        [
            (&b"one"[..], Some(0)),
            (b"several", Some(0)),
            (b"several", Some(0)),
            (b"any", None),
        ]
    );
    assert_eq!(driver.dropped(), 1);
    Ok(())
}

#[test]
fn a_closure_names_the_topic() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_dynamic_sink(
            "sink",
            |key: &String, _: &String, from| format!("{key}-of-{}", from.topic.as_deref().unwrap_or_default()),
            Produced::default(),
            &["source"],
        )?;
    assert!(topology.describe().contains("Sink: sink (extractor class: "));
    let mut driver = TopologyTestDriver::builder(topology).build()?;
    let input = driver.input::<String, String>("in");
    for key in ["a", "b", "a"] {
        driver.pipe(&input, record(key, "v").at(1))?;
    }
    let topics: Vec<&str> = driver.produced().iter().map(|record| record.topic.as_str()).collect();
    assert_eq!(topics, ["a-of-in", "b-of-in", "a-of-in"]);
    Ok(())
}

#[test]
fn headers_and_nulls_arrive() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::<Option<String>, Option<i64>>::default())?
        .add_sink(
            "sink",
            "out",
            Produced::<Option<String>, Option<i64>>::default(),
            &["source"],
        )?;
    let mut driver = TopologyTestDriver::builder(topology).build()?;
    let input = driver.input::<Option<String>, Option<i64>>("in");
    let output = driver.output::<Option<String>, Option<i64>>("out");
    driver.pipe(&input, record(None::<String>, None::<i64>).at(1).header("h", "1"))?;
    driver.pipe(&input, record("k".to_owned(), 2).at(2))?;
    let expected = [
        record(None, None).at(1).header("h", "1"),
        record(Some("k".to_owned()), Some(2)).at(2),
    ];
    assert_eq!(driver.read_all(&output)?, expected);
    Ok(())
}
