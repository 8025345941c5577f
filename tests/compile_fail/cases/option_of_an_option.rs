//! Nothing can be absent twice.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, Option<Option<String>>>("in").to("out");
}
