//! Joins of streams with streams, tables and global tables.

use std::time::Duration;

use kstreams_dsl::{GlobalKTable, JoinWindows, KStream, KTable, Materialized, StreamsBuilder};

use crate::harness::check;

type Text = Option<String>;

fn stream(builder: &StreamsBuilder, topic: &str) -> KStream<Text, Text> {
    builder.stream(topic)
}

fn shown(text: Option<String>) -> String {
    text.unwrap_or_else(|| "null".to_owned())
}

fn shown_ref(text: Option<&String>) -> String {
    shown(text.cloned())
}

fn within(before: u64, after: u64, grace: u64) -> JoinWindows {
    JoinWindows::of_time_difference(Duration::from_millis(before))
        .after(Duration::from_millis(after))
        .grace(Duration::from_millis(grace))
}

fn inner(b: &StreamsBuilder, windows: JoinWindows) {
    let (left, right) = (stream(b, "l"), stream(b, "r"));
    left.join(&right, windows, |_, left, right| format!("{left}+{right}"))
        .to("out");
}

fn left(b: &StreamsBuilder, windows: JoinWindows) {
    let (left, right) = (stream(b, "l"), stream(b, "r"));
    left.left_join(&right, windows, |_, left, right| format!("{left}+{}", shown_ref(right)))
        .to("out");
}

fn outer(b: &StreamsBuilder, windows: JoinWindows) {
    let (left, right) = (stream(b, "l"), stream(b, "r"));
    let joined = left.outer_join(&right, windows, |_, left, right| {
        format!("{}+{}", shown_ref(left), shown_ref(right))
    });
    joined.to("out");
}

#[test]
fn inner_joins_of_two_streams() {
    check("ssj-inner", |b| inner(b, within(10, 10, 0)));
    check("ssj-inner-asymmetric", |b| inner(b, within(5, 20, 100)));
    check("ssj-inner-duplicates", |b| inner(b, within(10, 10, 10)));
    check("ssj-repartition", |b| {
        let rekeyed = stream(b, "l").select_key(|_, value| value.clone());
        rekeyed
            .join(&stream(b, "r"), within(10, 10, 0), |_, left, right| {
                format!("{left}+{right}")
            })
            .named("jn")
            .store_name("js")
            .to("out");
    });
}

#[test]
fn outer_joins_of_two_streams() {
    check("ssj-left", |b| left(b, within(10, 10, 0)));
    check("ssj-left-grace", |b| left(b, within(10, 10, 5)));
    check("ssj-left-asymmetric", |b| left(b, within(20, 5, 0)));
    check("ssj-left-order", |b| left(b, within(10, 10, 0)));
    check("ssj-left-throttle-1000", |b| left(b, within(10, 10, 0)));
    check("ssj-outer", |b| outer(b, within(10, 10, 0)));
    check("ssj-outer-asymmetric", |b| outer(b, within(5, 20, 0)));
    check("ssj-deprecated-of", |b| left(b, within(10, 10, 86_400_000).eager()));
}

#[test]
fn streams_with_themselves() {
    for id in ["ssj-self-none", "ssj-self-all"] {
        check(id, |b| {
            let stream = stream(b, "in");
            stream
                .join(&stream, within(10, 5, 10), |_, left, right| format!("{left}+{right}"))
                .to("out");
        });
    }
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
fn streams_with_versioned_tables() {
    let table = |b: &StreamsBuilder, history| {
        let history = Duration::from_millis(history);
        let table: KTable<String, String> = b.table("t");
        table.materialized(Materialized::named("v").versioned(history))
    };
    let grace = Duration::from_millis(10);
    check("stj-versioned-grace-inner", |b| {
        let joined = stream(b, "s").join_table(&table(b, 1000), |_, left, right| format!("{left}+{right}"));
        joined.named("jo").grace(grace).to("out");
    });
    check("stj-versioned-grace-left", |b| {
        let joined =
            stream(b, "s").left_join_table(&table(b, 1000), |_, left, right| format!("{left}+{}", shown(right)));
        joined.named("jo").grace(grace).to("out");
    });
    check("stj-versioned-nograce", |b| {
        let joined =
            stream(b, "s").left_join_table(&table(b, 100), |_, left, right| format!("{left}+{}", shown(right)));
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
