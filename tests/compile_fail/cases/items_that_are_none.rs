//! A closure returns something that has no items.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("lines").flat_map_values(|_, line| line.len()).to("out");
}
