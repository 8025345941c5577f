//! Tables, and what their operators forward.

use std::sync::mpsc::Sender;

use kstreams_dsl::{KTable, StreamsBuilder, ValueTransformer};
use kstreams_topology::BoxError;
use kstreams_topology::processor::ProcessingContext;

use crate::harness::check;

type Text = Option<String>;

fn table(builder: &StreamsBuilder) -> KTable<String, String> {
    builder.table("in")
}

#[expect(clippy::ptr_arg, reason = "a table of strings hands out references to strings")]
fn starts_with_a(_: &String, value: &String) -> bool {
    value.starts_with('a')
}

#[test]
fn source_tables() {
    check("table-source", |b| {
        table(b).materialized("st").to_stream().to("out");
    });
    check("table-source-not-materialised", |b| {
        table(b).to_stream().to("out");
    });
    check("table-optimised-source-changelog", |b| {
        table(b).materialized("st").to_stream().to("out");
    });
    check("table-tostream-mapper", |b| {
        table(b).to_stream_with_key(|_, value| value.clone()).to("out");
    });
}

#[test]
fn streams_become_tables() {
    check("to-table", |b| {
        b.stream::<Text, Text>("in")
            .to_table()
            .materialized("st")
            .to_stream()
            .to("out");
    });
    check("to-table-repartition", |b| {
        let rekeyed = b.stream::<Text, Text>("in").select_key(|_, value| value.clone());
        rekeyed.to_table().named("tt").materialized("st").to_stream().to("out");
    });
}

#[test]
fn filters() {
    check("table-filter-plain", |b| {
        table(b).filter(starts_with_a).to_stream().to("out");
    });
    check("table-filter-materialised", |b| {
        table(b).filter(starts_with_a).materialized("f").to_stream().to("out");
    });
    check("table-filter-source-materialised", |b| {
        table(b).materialized("st").filter(starts_with_a).to_stream().to("out");
    });
}

#[test]
fn mapped_values() {
    check("table-filternot-mapvalues", |b| {
        let kept = table(b).materialized("st").filter_not(starts_with_a);
        kept.map_values(|_, value| value.to_uppercase()).to_stream().to("out");
    });
    check("table-mapvalues", |b| {
        let mapped = table(b).map_values(|_, value| (value != "n").then(|| value.to_uppercase()));
        mapped.materialized("mv").to_stream().to("out");
    });
}

/// Adds the key to the value, and tells of each call.
struct WithKey(Sender<String>);

impl ValueTransformer for WithKey {
    type K = String;
    type VIn = String;
    type VOut = String;

    fn transform(
        &mut self,
        _: &mut ProcessingContext<'_>,
        key: &String,
        value: Option<String>,
    ) -> Result<Option<String>, BoxError> {
        self.0.send(format!("{key}:{}", value.as_deref().unwrap_or("null")))?;
        Ok(value.map(|value| format!("{key}:{value}")))
    }
}

#[test]
fn transformed_values() {
    let (calls, called) = std::sync::mpsc::channel();
    check("table-transform-values", |b| {
        let calls = calls.clone();
        let table = table(b)
            .materialized("st")
            .transform_values(move || WithKey(calls.clone()));
        table.materialized("tv").to_stream().to("out");
    });
    let each = ["k:a", "k:b", "k:null"];
    let called: Vec<String> = called.try_iter().collect();
    assert!(!called.is_empty());
    assert!(called.chunks(3).all(|run| run == each), "{called:?}");
}

#[test]
fn rows_grouped_by_other_keys() {
    check("table-groupby-count", |b| {
        let grouped = table(b)
            .materialized("st")
            .group_by(|_, value: String| (value.clone(), value));
        grouped.count().materialized("c").to_stream().to("out");
    });
    check("table-groupby-null", |b| {
        let grouped = table(b).materialized("st").group_by(|_, value: String| {
            let key = (value != "nk").then(|| "g".to_owned());
            (key, (value != "nv").then_some(value))
        });
        grouped.count().materialized("c").to_stream().to("out");
    });
    check("table-groupby-reduce", |b| {
        let grouped = b
            .table::<String, i32>("in")
            .materialized("st")
            .group_by(|_, value: i32| ("all".to_owned(), value));
        let sums = grouped.reduce(|sum: i32, value| sum + value, |sum, value| sum - value);
        sums.materialized("r").to_stream().to("out");
    });
    check("table-groupby-aggregate-order", |b| {
        let grouped = table(b).materialized("st").group_by(|_, value: String| {
            let (group, value) = value.split_once(':').unwrap_or_default();
            (group.to_owned(), value.to_owned())
        });
        let trace = grouped.aggregate(
            String::new,
            |_, value, so_far: String| so_far + "+" + &value,
            |_, value, so_far| so_far + "-" + &value,
        );
        trace.materialized("ag").to_stream().to("out");
    });
}
