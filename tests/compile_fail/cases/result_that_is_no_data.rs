//! A closure makes what no stream can carry.

use kstreams::prelude::*;

#[derive(Clone)]
struct Order;

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("orders").map_values(|_, _| Order);
}
