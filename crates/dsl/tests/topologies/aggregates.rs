//! Groups and what is made of them.

use kstreams_dsl::Materialized;

use super::harness::{Builder, check, input, table};

#[test]
fn aggregations_by_key() {
    check("group_by_key_count", |b| {
        input(b).group_by_key().count();
    });
    check("group_by_key_count_mat_serde_only", |b| {
        input(b).group_by_key().count().materialized(Materialized::new());
    });
    check("group_by_key_count_named_store", |b| {
        input(b).group_by_key().count().materialized("c");
    });
    check("group_by_key_count_named_op", |b| {
        input(b).group_by_key().count().named("cn");
    });
    check("group_by_key_reduce", |b| {
        input(b).group_by_key().reduce(|a, _| a);
    });
    check("group_by_key_aggregate", |b| {
        input(b).group_by_key().aggregate(String::new, |_, _, so_far| so_far);
    });
}

#[test]
fn aggregations_by_other_keys() {
    let grouped = |b: &Builder| input(b).group_by(|_, value| value.clone());
    check("group_by_count", |b| {
        grouped(b).count();
    });
    check("group_by_count_grouped", |b| {
        grouped(b).named("g").count();
    });
    check("group_by_count_store", |b| {
        grouped(b).count().materialized("c");
    });
    check("group_by_twice_same_grouped", |b| {
        let grouped = grouped(b).named("g");
        grouped.count();
        grouped.reduce(|a, _| a);
    });
    check("group_by_twice_unnamed", |b| {
        let grouped = grouped(b);
        grouped.count();
        grouped.reduce(|a, _| a);
    });
}

#[test]
fn tables_grouped_by_other_keys() {
    let grouped = |b: &Builder| table(b).group_by(|key: &String, value: String| (key.clone(), value));
    check("table_groupby_count", |b| {
        grouped(b).count();
    });
    check("table_groupby_reduce_store", |b| {
        grouped(b).reduce(|a, _| a, |a, _| a).materialized("r");
    });
    check("table_groupby_aggregate_named", |b| {
        let folded = grouped(b)
            .named("g")
            .aggregate(String::new, |_, _, so_far| so_far, |_, _, so_far| so_far);
        folded.named("n");
    });
}

#[test]
fn changelogs() {
    check("logging_disabled", |b| {
        let options = Materialized::named("c").unlogged();
        input(b).group_by_key().count().materialized(options);
    });
    check("log_config", |b| {
        let config = ("retention.bytes".to_owned(), "1".to_owned());
        let options = Materialized::named("c").logged([config]);
        input(b).group_by_key().count().materialized(options);
    });
}
