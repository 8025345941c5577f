//! A store of values that have no serde of their own.

use kstreams::prelude::*;
use kstreams::stores::Stores;

#[derive(Clone)]
struct Order;

impl Data for Order {}

fn main() {
    let builder = StreamsBuilder::new();
    builder.add_store(Stores::in_memory("orders").key_value::<String, Order>());
}
