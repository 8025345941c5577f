//! A predicate that returns a number.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("amounts").filter(|_, amount| *amount).to("out");
}
