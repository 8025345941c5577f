//! How a topology is tested: without a broker, without threads, with a clock that only the test moves. What `main` does here
//! would be the body of a `#[test]`.
//!
//! ```text
//! as it should be
//! ```

use std::time::Duration;

use kstreams::prelude::*;
use kstreams::stores::TimestampedKeyValueStore;
use kstreams_test_driver::{TopologyTestDriver, record};

/// The program under test: payments of a customer are added up, and large ones reported.
fn program() -> StreamsBuilder {
    let builder = StreamsBuilder::new();
    let payments = builder.stream::<String, i64>("payments");
    payments.filter(|_, amount| *amount >= 1_000).to("large-payments");
    payments
        .group_by_key()
        .reduce(|sum, amount| sum + amount)
        .materialized("sums")
        .to_stream()
        .to("sums");
    builder
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut driver = TopologyTestDriver::builder(program().build()?).start_at(0).build()?;
    let payments = driver.input::<String, i64>("payments");
    let large = driver.output::<String, i64>("large-payments");
    let sums = driver.output::<String, i64>("sums");

    driver.pipe(&payments, record("ann", 20).at(5))?;
    driver.advance_wall_clock(Duration::from_secs(1))?;
    driver.pipe(&payments, ("ann", 2_000))?;
    assert_eq!(driver.read_all(&large)?, [record("ann", 2_000).at(0)]);
    assert_eq!(
        driver.read_key_values(&sums)?,
        [("ann".to_owned(), 20), ("ann".to_owned(), 2_020)]
    );

    // A table is a store, and can be looked into.
    let mut rows = driver.store_named::<TimestampedKeyValueStore<String, i64>>("sums")?;
    assert_eq!(rows.get(&"ann".to_owned())?.map(|row| row.value), Some(2_020));

    // A restart must not lose anything.
    driver.restart()?;
    driver.pipe(&payments, ("ann", 1))?;
    assert_eq!(driver.read_value(&sums)?, 2_021);
    println!("as it should be");
    Ok(())
}
