//! Values of a type that was never said to be one.

use kstreams::prelude::*;

#[derive(Clone)]
struct Order;

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, Order>("orders").to("out");
}
