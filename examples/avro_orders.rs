//! Avro, with its schemas in a registry: here one that runs inside the program, as tests have it. What the registry is asked
//! comes before the first record; no record waits for it.
//!
//! ```text
//! asked at the start: ["POST /subjects/large-orders-value/versions"]
//! asked since, by who writes orders: ["POST /subjects/orders-value/versions"]
//! large-orders: [00, 00, 00, 00, 01, 06, 74, 65, 61, 14]
//! large-orders: [00, 00, 00, 00, 01, 08, 63, 61, 6b, 65, 3c]
//! ```

use kstreams::prelude::*;
use kstreams::schema_registry::{AvroSerde, Registry};
use kstreams_test_driver::{TopologyTestDriver, record};
use serde::{Deserialize, Serialize};

#[path = "../crates/schema-registry/tests/serdes/server.rs"]
#[allow(dead_code, reason = "tests of the registry's client want more of it")]
mod server;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    item: String,
    amount: i64,
}

impl Data for Order {}

const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "item", "type": "string"},
    {"name": "amount", "type": "long"}]}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = server::Server::start();
    let registry = Registry::new(server.url())?;
    let orders = AvroSerde::<Order>::new(&registry, ORDER)?;

    let builder = StreamsBuilder::new();
    builder
        .stream::<String, Order>("orders")
        .value_serde(orders.clone())
        .filter(|_, order| order.amount >= 10)
        .to("large-orders");

    let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    println!("asked at the start: {:?}", server.requests());
    let string = String::serde().ok_or("texts have a serde")?;
    let input = driver.input_with::<String, Order>("orders", string, std::sync::Arc::new(orders));
    for (at, (item, amount)) in [("book", 2), ("tea", 10), ("cake", 30)].into_iter().enumerate() {
        let item = item.to_owned();
        driver.pipe(&input, record(format!("order {at}"), Order { item, amount }))?;
    }
    println!(
        "asked since, by who writes orders: {:?}",
        server.requests().get(1..).unwrap_or_default()
    );
    for record in driver.produced() {
        println!("{}: {:02x?}", record.topic, record.value.as_deref().unwrap_or_default());
    }
    Ok(())
}
