//! Tables and their operators.

use std::time::Duration;

use kstreams_dsl::{Materialized, Optimization};

use super::harness::{check, check_with, table};

#[test]
fn tables() {
    check("table", |b| {
        table(b);
    });
    check("table_mat", |b| {
        table(b).materialized("ts");
    });
    check("table_mat_serde_only", |b| {
        table(b).materialized(Materialized::new());
    });
    check_with("table_mat_optimized", Optimization::ALL, |b| {
        table(b).materialized("ts");
    });
    check("table_named", |b| {
        table(b).named("n").materialized("ts");
    });
    check("table_ops", |b| {
        let kept = table(b).filter(|_, _| true).filter_not(|_, _| false);
        kept.map_values(|_, value| value).to_stream().to("o");
    });
    check("table_filter_mat_serde_only", |b| {
        table(b)
            .filter(|_, _| true)
            .materialized(Materialized::new())
            .to_stream()
            .to("o");
    });
    check("table_filter_mat", |b| {
        table(b).filter(|_, _| true).materialized("f").to_stream().to("o");
    });
    check("table_mapvalues_mat_serde_only", |b| {
        table(b).map_values(|_, value| value).materialized(Materialized::new());
    });
    check("table_tostream_map", |b| {
        table(b).to_stream().select_key(|key, _| key.clone()).to("o");
    });
}

#[test]
fn versioned_tables() {
    check("versioned_table", |b| {
        let options = Materialized::named("vt").versioned(Duration::from_secs(300));
        table(b).materialized(options);
    });
}
