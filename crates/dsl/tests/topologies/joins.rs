//! Joins, and global tables.

use std::time::Duration;

use kstreams_dsl::{JoinWindows, Materialized, Optimization};

use super::harness::{Builder, check, check_with, input, stream, table};

#[test]
fn global_tables() {
    check("stream_global_table_join", |b| {
        let visits = stream(b, "a");
        let rows = b.global_table::<String, String>("t");
        visits.join_global(&rows, |key, _| key.clone(), |_, value, _| value);
    });
    check("stream_global_table_left_join", |b| {
        let visits = stream(b, "a");
        let rows = b.global_table::<String, String>("t").materialized("gs");
        visits.left_join_global(&rows, |_, value| Some(value.clone()), |_, value, _| value);
    });
    check("global_table_named", |b| {
        b.global_table::<String, String>("t").named("n").materialized("gs");
    });
    check("global_then_table_order", |b| {
        b.global_table::<String, String>("g");
        input(b).to("out");
    });
}

#[test]
fn joins_of_streams_with_tables() {
    check("stream_table_join", |b| {
        stream(b, "a").join_table(&table(b), |_, value, _| value);
    });
    check("stream_table_left_join", |b| {
        stream(b, "a").left_join_table(&table(b), |_, value, _| value);
    });
    let rekeyed = |b: &Builder| stream(b, "a").select_key(|_, value| value.clone());
    check("stream_table_join_repartition", |b| {
        rekeyed(b).join_table(&table(b), |_, value, _| value);
    });
    check("stream_table_join_repartition_named", |b| {
        rekeyed(b).join_table(&table(b), |_, value, _| value).named("j");
    });
    check("stream_table_join_grace", |b| {
        let versions = Materialized::named("vt").versioned(Duration::from_secs(300));
        let joined = stream(b, "a").join_table(&table(b).materialized(versions), |_, value, _| value);
        joined.named("j").grace(Duration::from_secs(5));
    });
    check("null_key_left_join_repartition", |b| {
        rekeyed(b).left_join_table(&table(b), |_, value, _| value);
    });
}

#[test]
fn joins_of_two_streams() {
    let minute = || JoinWindows::of_time_difference(Duration::from_secs(60));
    check("stream_stream_join", |b| {
        stream(b, "a").join(&stream(b, "b"), minute(), |_, left, _| left.clone());
    });
    check("stream_stream_left_join", |b| {
        stream(b, "a").left_join(&stream(b, "b"), minute(), |_, left, _| left.clone());
    });
    check("stream_stream_outer_join", |b| {
        stream(b, "a").outer_join(&stream(b, "b"), minute(), |_, left, _| left.cloned());
    });
    check("stream_stream_left_join_named", |b| {
        let joined = stream(b, "a").left_join(&stream(b, "b"), minute(), |_, left, _| left.clone());
        joined.named("n").store_name("j");
    });
    check("stream_stream_outer_join_named", |b| {
        let joined = stream(b, "a").outer_join(&stream(b, "b"), minute(), |_, left, _| left.cloned());
        joined.named("n").store_name("j");
    });
    let mapped = |b: &Builder, topic| stream(b, topic).map(|key, value| (key, value));
    check("stream_stream_join_repartition", |b| {
        mapped(b, "a").join(&mapped(b, "b"), minute(), |_, left, _| left.clone());
    });
    check("stream_stream_join_repartition_named", |b| {
        let joined = mapped(b, "a").join(&mapped(b, "b"), minute(), |_, left, _| left.clone());
        joined.named("n");
    });
    for (golden, optimization) in [
        ("self_join", Optimization::NONE),
        ("self_join_optimized", Optimization::ALL),
    ] {
        check_with(golden, optimization, |b| {
            let stream = stream(b, "a");
            stream.join(&stream, minute(), |_, left, _| left.clone());
        });
    }
}

#[test]
fn foreign_key_joins() {
    let sides = |b: &Builder| (b.table::<String, String>("t1"), b.table::<String, String>("t2"));
    check("fk_join", |b| {
        let (left, right) = sides(b);
        left.join_foreign_key(&right, |_, value| value.clone(), |left: String, _| left);
    });
    check("fk_left_join_named", |b| {
        let (left, right) = sides(b);
        left.left_join_foreign_key(&right, |_, value| value.clone(), |left: String, _| left)
            .named("fj")
            .materialized("st");
    });
}

#[test]
fn table_joins() {
    let sides = |b: &Builder| (b.table::<String, String>("t1"), b.table::<String, String>("t2"));
    check("table_table_join", |b| {
        let (left, right) = sides(b);
        left.join(&right, |left: String, _| left);
    });
    check("table_table_left_join_mat", |b| {
        let (left, right) = sides(b);
        left.left_join(&right, |left: String, _| left)
            .materialized(Materialized::new());
    });
    check("table_table_outer_join_named", |b| {
        let (left, right) = sides(b);
        left.outer_join(&right, |left: Option<String>, _| left)
            .named("j")
            .materialized("st");
    });
}
