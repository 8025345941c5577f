//! Pipe: what comes in goes out.

use kstreams::prelude::*;

mod demo;

fn main() -> demo::Outcome {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("streams-plaintext-input")
        .to("streams-pipe-output");

    demo::Demo::new("streams-pipe", "streams-pipe-output").run(builder.build()?)
}
