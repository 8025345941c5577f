//! Closures run in other threads, and handles of the builder stay where they are.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>("in");
    let other = stream.clone();
    stream.for_each(move |_, _| {
        other.to("out");
    });
}
