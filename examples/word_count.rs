//! WordCount: lines in, the running count of each word out.
//!
//! Without arguments a broker is started inside the program, and lines are taken from standard input. With
//! `--bootstrap-server HOST:PORT` it is the demo of Kafka's quick start.

use kstreams::prelude::*;

mod demo;

fn main() -> demo::Outcome {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("streams-plaintext-input")
        .flat_map_values(|_, line| {
            line.to_lowercase()
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .group_by(|_, word| word.clone())
        .count()
        .materialized("counts-store")
        .to_stream()
        .to("streams-wordcount-output");

    demo::Demo::new("streams-wordcount", "streams-wordcount-output")
        .compacted()
        .printing(|word, count| format!("{}\t{}", demo::text(word), demo::long(count)))
        .run(builder.build()?)
}
