//! Streams of different values are merged.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("numbers");
    builder.stream::<String, String>("texts").merge(&numbers).to("out");
}
