//! Serdes with a registry in a running topology: when the registry is asked.

use std::sync::Arc;

use kstreams_dsl::{Materialized, StreamsBuilder};
use kstreams_schema_registry::{AvroSerde, Registry};
use kstreams_test_driver::{TopologyTestDriver, record};
use kstreams_topology::Data;
use kstreams_topology::serde::StringSerde;
use serde::{Deserialize, Serialize};

use crate::server::Server;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sum {
    sum: i64,
}

impl Data for Sum {}

const SUM: &str = r#"{"type": "record", "name": "Sum", "fields": [{"name": "sum", "type": "long"}]}"#;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Adds up numbers, in a store and to a topic of Avro.
fn sums(serde: &AvroSerde<Sum>) -> StreamsBuilder {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("numbers").group_by_key();
    let sums = numbers.aggregate(
        || Sum { sum: 0 },
        |_, number, before| Sum {
            sum: before.sum + number,
        },
    );
    let sums = sums.materialized(Materialized::named("sums").value_serde(serde.clone()));
    sums.to_stream().to("sums");
    builder
}

#[test]
fn no_record_waits_for_the_registry() -> Outcome {
    let server = Server::start();
    let serde = AvroSerde::<Sum>::new(&Registry::new(server.url())?, SUM)?;
    let builder = TopologyTestDriver::builder(sums(&serde).build()?).application_id("app");
    let mut driver = builder.build()?;
    let mut asked = server.requests();
    asked.sort();
    let subjects = ["app-sums-changelog-value", "sums-value"];
    assert_eq!(
        asked,
        subjects.map(|subject| format!("POST /subjects/{subject}/versions"))
    );

    let numbers = driver.input::<String, i64>("numbers");
    driver.pipe(&numbers, record("a", 1))?;
    driver.pipe(&numbers, record("a", 2))?;
    let out = driver.output_with::<String, Sum>("sums", Arc::new(StringSerde), Arc::new(serde));
    assert_eq!(driver.read_values(&out)?, [Sum { sum: 1 }, Sum { sum: 3 }]);
    assert_eq!(server.requests().len(), asked.len());
    Ok(())
}

#[test]
fn a_task_does_not_start_without_its_schemas() -> Outcome {
    let server = Server::start();
    server.require("a password");
    let serde = AvroSerde::<Sum>::new(&Registry::new(server.url())?, SUM)?;
    let started = TopologyTestDriver::builder(sums(&serde).build()?).build();
    let error = started.err().ok_or("it started")?;
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        told += &format!(": {error}");
        cause = error.source();
    }
    assert!(
        told.contains("could not register a schema for subject sums-value"),
        "{told}"
    );
    Ok(())
}
