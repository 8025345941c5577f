//! Aggregations in windows of time, sliding windows and sessions.

use std::time::Duration;

use kstreams_dsl::{
    EmitStrategy, KGroupedStream, KStream, KTable, Materialized, SessionWindows, SlidingWindows, StreamsBuilder,
    TimeWindows, UnlimitedWindows,
};
use kstreams_topology::{Data, Windowed};

use crate::harness::{check_closing, check_windows, name};

type Text = Option<String>;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn by_key(builder: &StreamsBuilder) -> KGroupedStream<String, Text> {
    builder.stream::<Text, Text>("in").group_by_key()
}

fn tumbling(size: u64, grace: u64) -> TimeWindows {
    TimeWindows::of_size(ms(size)).grace(ms(grace))
}

fn sliding(difference: u64, grace: u64) -> SlidingWindows {
    SlidingWindows::of_time_difference(ms(difference)).grace(ms(grace))
}

fn sessions(gap: u64, grace: u64) -> SessionWindows {
    SessionWindows::of_inactivity_gap(ms(gap)).grace(ms(grace))
}

/// The changes of a windowed table, with keys as the golden file shows them.
pub(crate) fn shown<V: Data>(table: KTable<Windowed<String>, V>) -> KStream<String, Option<V>> {
    table.to_stream().select_key(|windowed, _| name(windowed))
}

fn appended(_: &String, value: Text, so_far: String) -> Option<String> {
    let value = value.unwrap_or_default();
    (value != "DEL").then(|| so_far + &value)
}

#[test]
fn time_windows() {
    check_windows("win-tumbling-grace", |b| {
        shown(by_key(b).windowed_by(tumbling(10, 5)).count().materialized("w")).to("out");
    });
    check_windows("win-tumbling-nograce", |b| {
        let combined = by_key(b)
            .windowed_by(tumbling(10, 0))
            .reduce(|so_far, value| so_far + &value.unwrap_or_default());
        shown(combined.materialized("w")).to("out");
    });
    check_windows("win-hopping", |b| {
        let hopping = tumbling(10, 0).advance_by(ms(4));
        shown(by_key(b).windowed_by(hopping).count().materialized("w")).to("out");
    });
    check_windows("win-unlimited", |b| {
        let unlimited = UnlimitedWindows::starting_on(5);
        shown(by_key(b).windowed_by(unlimited).count().materialized("w")).to("out");
    });
    check_windows("win-aggregate-delete", |b| {
        let folded = by_key(b)
            .windowed_by(tumbling(10, 100))
            .aggregate(|| "i".to_owned(), appended);
        shown(folded.materialized("w")).to("out");
    });
    check_windows("win-retention-longer-update", |b| {
        let counts = by_key(b).windowed_by(tumbling(10, 5)).count();
        shown(counts.materialized(Materialized::named("w").retention(ms(1000)))).to("out");
    });
}

#[test]
fn sliding_windows() {
    let appended = |_: &String, value: String, so_far: String| so_far + &value;
    check_windows("win-sliding-basic", |b| {
        let windowed = by_key(b).windowed_by(sliding(10, 50));
        shown(windowed.aggregate(String::new, appended).materialized("w")).to("out");
    });
    check_windows("win-sliding-early", |b| {
        let windowed = by_key(b).windowed_by(sliding(10, 100));
        shown(windowed.aggregate(String::new, appended).materialized("w")).to("out");
    });
    check_windows("win-sliding-late", |b| {
        shown(by_key(b).windowed_by(sliding(10, 5)).count().materialized("w")).to("out");
    });
    check_windows("win-sliding-reduce-out-of-order", |b| {
        let windowed = by_key(b).windowed_by(sliding(10, 100));
        shown(windowed.reduce(|so_far, value| so_far + &value).materialized("w")).to("out");
    });
}

#[test]
fn session_windows() {
    check_windows("win-session-merge", |b| {
        shown(by_key(b).windowed_by(sessions(10, 100)).count().materialized("s")).to("out");
    });
    check_windows("win-session-aggregate-merger", |b| {
        let folded = by_key(b).windowed_by(sessions(5, 100)).aggregate(
            || "i".to_owned(),
            appended,
            |_, one, other| format!("({one}&{other})"),
        );
        shown(folded.materialized("s")).to("out");
    });
    check_windows("win-session-same-window", |b| {
        shown(by_key(b).windowed_by(sessions(5, 0)).count().materialized("s")).to("out");
    });
    check_windows("win-session-late", |b| {
        shown(by_key(b).windowed_by(sessions(10, 5)).count().materialized("s")).to("out");
    });
}

#[test]
fn closed_windows_are_emitted_once() {
    let on_close = EmitStrategy::OnWindowClose;
    check_closing("win-retention-longer-close", |b| {
        let counts = by_key(b).windowed_by(tumbling(10, 5)).emit(on_close).count();
        shown(counts.materialized(Materialized::named("w").retention(ms(1000)))).to("out");
    });
    for id in ["win-emit-close-tumbling-0", "win-emit-close-tumbling-1000"] {
        check_closing(id, |b| {
            let counts = by_key(b).windowed_by(tumbling(10, 5)).emit(on_close).count();
            shown(counts.materialized("w")).to("out");
        });
    }
    for id in ["win-emit-close-sliding-0", "win-emit-close-sliding-1000"] {
        // Java loses windows on a jump of time here, cached or not: see `tests/closing.rs`.
        check_windows(id, |b| {
            let counts = by_key(b).windowed_by(sliding(10, 5)).emit(on_close).count();
            shown(counts.materialized("w")).to("out");
        });
    }
    for id in ["win-emit-close-session-0", "win-emit-close-session-1000"] {
        check_closing(id, |b| {
            let counts = by_key(b).windowed_by(sessions(5, 5)).emit(on_close).count();
            shown(counts.materialized("s")).to("out");
        });
    }
    check_closing("win-emit-close-hopping-0", |b| {
        let hopping = tumbling(10, 0).advance_by(ms(5));
        let counts = by_key(b).windowed_by(hopping).emit(on_close).count();
        shown(counts.materialized("w")).to("out");
    });
}

#[test]
fn windowed_keys_have_javas_bytes() {
    check_windows("win-serde-bytes", |b| {
        let grouped = by_key(b);
        grouped.windowed_by(tumbling(10, 0)).count().to_stream().to("out");
        grouped.windowed_by(sessions(10, 0)).count().to_stream().to("out2");
    });
}
