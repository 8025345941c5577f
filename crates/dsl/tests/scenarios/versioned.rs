//! Versioned tables: late changes go to their place in history, and mean nothing to what knows only the latest rows.

use std::time::Duration;

use kstreams_dsl::{KTable, Materialized, StreamsBuilder};

use crate::harness::check;

fn versioned(builder: &StreamsBuilder, topic: &str, store: &str) -> KTable<String, String> {
    let history = Duration::from_millis(100);
    builder
        .table(topic)
        .materialized(Materialized::named(store).versioned(history))
}

#[test]
fn late_changes_are_changes() {
    check("table-versioned-source", |b| {
        let table = versioned(b, "in", "v");
        table.to_stream().to("out");
        table.filter(|_, value| value != "f").to_stream().to("out2");
    });
}

#[test]
fn late_changes_do_not_count() {
    check("table-versioned-groupby", |b| {
        let grouped = versioned(b, "in", "v").group_by(|_, value: String| (value.clone(), value));
        grouped.count().materialized("c").to_stream().to("out");
    });
    check("table-versioned-join", |b| {
        let (left, right) = (versioned(b, "a", "va"), versioned(b, "b", "vb"));
        let joined = left.join(&right, |left: String, right: String| left + "+" + &right);
        joined.to_stream().to("out");
    });
}
