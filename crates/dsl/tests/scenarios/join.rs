//! Joins of streams with streams, tables and global tables.

use kstreams_dsl::{GlobalKTable, KStream, KTable, StreamsBuilder};

use crate::harness::check;

type Text = Option<String>;

fn stream(builder: &StreamsBuilder, topic: &str) -> KStream<Text, Text> {
    builder.stream(topic)
}

fn shown(text: Option<String>) -> String {
    text.unwrap_or_else(|| "null".to_owned())
}

#[test]
fn streams_with_tables() {
    let table = |b: &StreamsBuilder| -> KTable<String, String> { b.table("t") };
    check("stj-inner", |b| {
        let joined = stream(b, "s").join_table(&table(b), |key, left, right| {
            format!("{}:{left}+{right}", shown(key.clone()))
        });
        joined.to("out");
    });
    check("stj-left", |b| {
        let joined = stream(b, "s").left_join_table(&table(b), |key, left, right| {
            format!("{}:{left}+{}", shown(key.clone()), shown(right))
        });
        joined.to("out");
    });
}

#[test]
fn streams_with_global_tables() {
    let table = |b: &StreamsBuilder| -> GlobalKTable<String, String> { b.global_table("g").materialized("gs") };
    let select = |_: &Text, value: &Text| {
        let chosen = value.as_deref().filter(|value| *value != "n");
        chosen.and_then(|value| Some(value.split_once(':')?.0.to_owned()))
    };
    check("sgj-inner", |b| {
        let stream = stream(b, "s");
        stream
            .join_global(&table(b), select, |_, left, right| format!("{left}+{right}"))
            .to("out");
    });
    check("sgj-left", |b| {
        let stream = stream(b, "s");
        stream
            .left_join_global(&table(b), select, |_, left, right| format!("{left}+{}", shown(right)))
            .to("out");
    });
}
