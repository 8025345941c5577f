//! Which timestamp a record gets, and what becomes of records without a usable one.

use kstreams_test_driver::{ProducedRecord, TopologyTestDriver, record};
use kstreams_topology::graph::ErrorHandlers;
use kstreams_topology::{BoxError, Consumed, Produced, TimestampExtractor, Topology};
use kstreams_wire::{Headers, TopicName};

type Extractor = TimestampExtractor<String, i64>;

fn driver(extractor: Extractor) -> Result<TopologyTestDriver, BoxError> {
    let mut topology = Topology::new();
    topology
        .add_source("source", "in", Consumed::default().timestamp(extractor))?
        .add_sink("sink", "out", Produced::<String, i64>::default(), &["source"])?;
    let builder = TopologyTestDriver::builder(topology).start_at(77);
    Ok(builder.handlers(ErrorHandlers::log_and_continue()).build()?)
}

/// Pipes values at timestamps, which may be negative; the timestamps that come out.
fn run(driver: &mut TopologyTestDriver, records: &[(i64, i64)]) -> Result<Vec<i64>, BoxError> {
    for (value, timestamp) in records {
        driver.pipe_raw(ProducedRecord {
            topic: TopicName::new("in"),
            partition: None,
            key: Some("k".into()),
            value: Some(value.to_be_bytes().to_vec().into()),
            timestamp: Some(*timestamp),
            headers: Headers::new(),
        })?;
    }
    Ok(driver.produced().iter().filter_map(|record| record.timestamp).collect())
}

#[test]
fn a_negative_timestamp_fails_by_default() -> Result<(), BoxError> {
    let mut driver = driver(Extractor::FailOnInvalid)?;
    assert_eq!(run(&mut driver, &[(1, 5)])?, [5]);
    assert!(run(&mut driver, &[(1, -1)]).is_err());
    Ok(())
}

#[test]
fn a_negative_timestamp_is_skipped_if_so_wished() -> Result<(), BoxError> {
    let mut driver = driver(Extractor::LogAndSkip)?;
    assert_eq!(run(&mut driver, &[(1, 5), (1, -1), (1, 6)])?, [5, 6]);
    assert_eq!(driver.dropped(), 1);
    Ok(())
}

#[test]
fn the_partitions_time_may_stand_in() -> Result<(), BoxError> {
    let mut driver = driver(Extractor::UsePartitionTime)?;
    assert_eq!(run(&mut driver, &[(1, -1), (1, 5), (1, 3), (1, -1)])?, [5, 3, 5]);
    assert_eq!(driver.dropped(), 1);
    Ok(())
}

#[test]
fn the_wall_clock_may_be_the_time() -> Result<(), BoxError> {
    let mut driver = driver(Extractor::WallClock)?;
    assert_eq!(run(&mut driver, &[(1, 5), (1, -1)])?, [77, 77]);
    Ok(())
}

#[test]
fn a_closure_reads_it_from_the_record() -> Result<(), BoxError> {
    let mut driver = driver(Extractor::custom(|record, partition_time| match record.value {
        0 => partition_time,
        value => value,
    }))?;
    assert_eq!(run(&mut driver, &[(0, 1), (9, 1), (0, 1), (-4, 1), (3, 1)])?, [9, 9, 3]);
    assert_eq!(driver.dropped(), 2);
    Ok(())
}

#[test]
fn headers_pass_through_a_source_that_looks_ahead() -> Result<(), BoxError> {
    let mut driver = driver(Extractor::custom(|record, _| record.value))?;
    let input = driver.input::<String, i64>("in");
    let output = driver.output::<String, i64>("out");
    driver.pipe(&input, record("k", 4).header("h", "1"))?;
    driver.pipe(&input, record("k", 5))?;
    let expected = [record("k", 4).at(4).header("h", "1"), record("k", 5).at(5)];
    assert_eq!(driver.read_all(&output)?, expected);
    Ok(())
}
