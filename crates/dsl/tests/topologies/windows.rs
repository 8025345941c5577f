//! Windows, what is aggregated in them, cogroups, and suppression.

use std::time::Duration;

use kstreams_dsl::{Buffer, Materialized, SessionWindows, SlidingWindows, Suppressed, TimeWindows};

use super::harness::{Builder, check, input, stream, table};

const MINUTE: Duration = Duration::from_secs(60);

fn tumbling() -> TimeWindows {
    TimeWindows::of_size(MINUTE)
}

fn late() -> TimeWindows {
    tumbling().grace(MINUTE)
}

fn sliding() -> SlidingWindows {
    SlidingWindows::of_time_difference(MINUTE).grace(MINUTE)
}

fn sessions() -> SessionWindows {
    SessionWindows::of_inactivity_gap(MINUTE).grace(MINUTE)
}

#[test]
fn windows_of_time() {
    check("window_count", |b| {
        input(b).group_by_key().windowed_by(tumbling()).count();
    });
    check("window_count_mat", |b| {
        let counts = input(b).group_by_key().windowed_by(tumbling()).count();
        counts.materialized(Materialized::new());
    });
    check("window_reduce", |b| {
        input(b).group_by_key().windowed_by(late()).reduce(|a, _| a);
    });
    check("window_aggregate", |b| {
        let windowed = input(b).group_by_key().windowed_by(late());
        windowed.aggregate(String::new, |_, _, so_far| so_far);
    });
    check("window_retention", |b| {
        let options = Materialized::named("w").retention(Duration::from_secs(600));
        let counts = input(b).group_by_key().windowed_by(tumbling()).count();
        counts.materialized(options);
    });
    check("sliding_count", |b| {
        input(b).group_by_key().windowed_by(sliding()).count();
    });
    check("sliding_count_mat", |b| {
        let counts = input(b).group_by_key().windowed_by(sliding()).count();
        counts.materialized(Materialized::new());
    });
}

#[test]
fn sessions_of_activity() {
    check("session_count", |b| {
        input(b).group_by_key().windowed_by(sessions()).count();
    });
    check("session_count_mat", |b| {
        let counts = input(b).group_by_key().windowed_by(sessions()).count();
        counts.materialized(Materialized::new());
    });
    check("session_reduce", |b| {
        input(b).group_by_key().windowed_by(sessions()).reduce(|a, _| a);
    });
    check("session_aggregate", |b| {
        let windowed = input(b).group_by_key().windowed_by(sessions());
        windowed.aggregate(String::new, |_, _, so_far| so_far, |_, so_far, _| so_far);
    });
}

#[test]
fn cogroups() {
    let first = |b: &Builder| {
        let grouped = stream(b, "a").group_by_key();
        grouped.cogroup(|_, _, so_far: String| so_far)
    };
    check("cogroup", |b| {
        let both = first(b).cogroup(&stream(b, "b").group_by_key(), |_, _, so_far| so_far);
        both.aggregate(String::new);
    });
    check("cogroup_repartition", |b| {
        let grouped = stream(b, "a").group_by(|_, value| value.clone());
        let both = grouped
            .cogroup(|_, _, so_far: String| so_far)
            .cogroup(&stream(b, "b").group_by_key(), |_, _, so_far| so_far);
        both.aggregate(String::new);
    });
    check("cogroup_named", |b| {
        let both = first(b).cogroup(&stream(b, "b").group_by_key(), |_, _, so_far| so_far);
        both.aggregate(String::new).named("cg").materialized("st");
    });
    check("cogroup_windowed", |b| {
        first(b).windowed_by(tumbling()).aggregate(String::new);
    });
}

#[test]
fn suppressions() {
    check("suppress", |b| {
        let counts = input(b).group_by_key().windowed_by(tumbling()).count();
        counts.suppress(Suppressed::until_window_closes(Buffer::unbounded()));
    });
    check("suppress_named", |b| {
        let held = table(b).suppress(Suppressed::until_time_limit(MINUTE, Buffer::unbounded()));
        held.named("sup");
    });
}
