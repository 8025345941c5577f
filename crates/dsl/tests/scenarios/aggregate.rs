//! Counting, reducing and folding the records of each key.

use kstreams_dsl::{KGroupedStream, KTable, Materialized, StreamsBuilder};

use crate::harness::check;

type Text = Option<String>;

fn by_key(builder: &StreamsBuilder) -> KGroupedStream<String, Text> {
    builder.stream::<Text, Text>("in").group_by_key()
}

#[test]
fn counts() {
    check("agg-count", |b| {
        by_key(b).count().materialized("st").to_stream().to("out");
    });
    check("agg-headers", |b| {
        by_key(b).count().materialized("st").to_stream().to("out");
    });
    check("agg-groupby-null-key", |b| {
        let stream = b.stream::<Text, Text>("in");
        let grouped = stream.group_by(|_, value| value.clone().filter(|value| value != "n"));
        grouped.count().materialized("st").to_stream().to("out");
    });
}

#[test]
fn word_count() {
    check("agg-wordcount", |b| {
        b.stream::<Text, String>("streams-plaintext-input")
            .flat_map_values(|_, line| line.to_lowercase().split(' ').map(str::to_owned).collect::<Vec<_>>())
            .group_by(|_, word| word.clone())
            .count()
            .materialized("counts-store")
            .to_stream()
            .to("streams-wordcount-output");
    });
}

#[test]
fn caches_collapse_what_comes_of_one_record() {
    let counts = |b: &StreamsBuilder| -> KTable<String, i64> {
        let words = |line: Text| {
            line.unwrap_or_default()
                .split(' ')
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        b.stream::<Text, Text>("in")
            .flat_map_values(move |_, line| words(line))
            .group_by_key()
            .count()
    };
    check("agg-same-key-twice-in-one-record", |b| {
        counts(b).materialized("st").to_stream().to("out");
    });
    check("agg-caching-disabled", |b| {
        counts(b)
            .materialized(Materialized::named("st").uncached())
            .to_stream()
            .to("out");
    });
}

#[test]
fn combined_and_folded_values() {
    check("agg-reduce", |b| {
        let combined = by_key(b).reduce(|so_far, value| (value != "DEL").then(|| format!("{so_far}|{value}")));
        combined.materialized("st").to_stream().to("out");
    });
    check("agg-aggregate", |b| {
        let grouped = b.stream::<Text, Option<i32>>("in").group_by_key();
        let sums = grouped.aggregate(|| 0, |_, value, sum| Some(sum + value).filter(|sum| *sum <= 10));
        sums.materialized("st").to_stream().to("out");
    });
}
