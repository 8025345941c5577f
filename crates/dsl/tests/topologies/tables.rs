//! Tables and their operators.

use std::time::Duration;

use kstreams_dsl::{Materialized, Optimization, ValueTransformer};
use kstreams_topology::BoxError;
use kstreams_topology::processor::ProcessingContext;

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
        table(b).to_stream_with_key(|key, _| key.clone()).to("o");
    });
    check("table_transformvalues", |b| {
        table(b).transform_values(|| Unchanged);
    });
}

#[test]
fn versioned_tables() {
    check("versioned_table", |b| {
        let options = Materialized::named("vt").versioned(Duration::from_secs(300));
        table(b).materialized(options);
    });
}

struct Unchanged;

impl ValueTransformer for Unchanged {
    type K = String;
    type VIn = String;
    type VOut = String;

    fn transform(
        &mut self,
        _: &mut ProcessingContext<'_>,
        _: &String,
        value: Option<String>,
    ) -> Result<Option<String>, BoxError> {
        Ok(value)
    }
}
