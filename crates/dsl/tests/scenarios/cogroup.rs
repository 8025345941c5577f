//! Several streams aggregated together.

use std::time::Duration;

use kstreams_dsl::{CogroupedKStream, SessionWindows, StreamsBuilder, TimeWindows};

use crate::harness::{check, check_windows};
use crate::window::shown;

type Text = Option<String>;

fn cogrouped(builder: &StreamsBuilder) -> CogroupedKStream<String, String> {
    let one = builder.stream::<Text, Text>("in1").group_by_key();
    let other = builder.stream::<Text, Text>("in2").group_by_key();
    one.cogroup(|_, value: Text, so_far: String| so_far + "1" + &value.unwrap_or_default())
        .cogroup(&other, |_, value: Text, so_far| {
            so_far + "2" + &value.unwrap_or_default()
        })
}

#[test]
fn plain() {
    check("cogroup-basic", |b| {
        let table = cogrouped(b).aggregate(String::new);
        table.materialized("st").to_stream().to("out");
    });
}

#[test]
fn each_input_keeps_its_own_time() {
    check_windows("cogroup-tumbling", |b| {
        let windowed = cogrouped(b).windowed_by(TimeWindows::of_size(Duration::from_millis(10)));
        shown(windowed.aggregate(String::new).materialized("st")).to("out");
    });
}

#[test]
fn sessions() {
    check_windows("cogroup-session", |b| {
        let sessions = SessionWindows::of_inactivity_gap(Duration::from_millis(5)).grace(Duration::from_millis(100));
        let windowed = cogrouped(b).windowed_by(sessions);
        let table = windowed.aggregate(String::new, |_, one, other| one + "&" + &other);
        shown(table.materialized("st")).to("out");
    });
}
