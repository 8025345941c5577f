//! LineSplit: lines in, their words out.

use kstreams::prelude::*;

mod demo;

fn main() -> demo::Outcome {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("streams-plaintext-input")
        .flat_map_values(|_, line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .to("streams-linesplit-output");

    demo::Demo::new("streams-linesplit", "streams-linesplit-output").run(builder.build()?)
}
