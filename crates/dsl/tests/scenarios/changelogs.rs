//! What is written to changelogs, and to topics that fill global tables.

use std::time::Duration;

use kstreams_dsl::{SessionWindows, TimeWindows};

use crate::harness::check;

#[test]
fn changelogs() {
    check("store-changelog-capture", |b| {
        let counts = b.stream::<String, String>("in").group_by_key().count();
        counts.materialized("st").to_stream().to("out");
    });
    check("store-changelog-window", |b| {
        let windows = TimeWindows::of_size(Duration::from_millis(10));
        let grouped = b.stream::<String, String>("in").group_by_key();
        grouped.windowed_by(windows).count().materialized("w");
    });
    check("store-changelog-session", |b| {
        let sessions = SessionWindows::of_inactivity_gap(Duration::from_millis(5));
        let grouped = b.stream::<String, String>("in").group_by_key();
        grouped.windowed_by(sessions).count().materialized("s");
    });
}

#[test]
fn global_tables_are_fed() {
    check("global-table-feed", |b| {
        b.global_table::<String, String>("g").materialized("gs");
        b.stream::<String, Option<String>>("in").to("g");
    });
}
