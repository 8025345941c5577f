//! Changes of tables that are held back.

use std::time::Duration;

use kstreams_dsl::{
    Buffer, BuildOptions, KStream, KTable, Materialized, SessionWindows, StreamsBuilder, Suppressed, TimeWindows,
};
use kstreams_test_driver::{TopologyTestDriver, record};
use kstreams_topology::Windowed;
use kstreams_topology::serde::{SessionWindowedSerde, StringSerde};

use crate::harness::{check, check_quirk};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn held_back(builder: &StreamsBuilder, wait: Duration) -> KTable<String, String> {
    let table = builder.table("in");
    table.suppress(Suppressed::until_time_limit(wait, Buffer::unbounded()))
}

/// What was added and subtracted, one after the other.
fn traced(table: &KTable<String, String>) -> KTable<String, String> {
    let grouped = table.group_by(|_, value: String| ("g".to_owned(), value));
    grouped
        .aggregate(
            String::new,
            |_, value, so_far: String| so_far + "+" + &value,
            |_, value, so_far| so_far + "-" + &value,
        )
        .materialized("ag")
}

#[test]
fn changes_wait_for_their_time() {
    check("suppress-time-limit", |b| {
        held_back(b, ms(10)).to_stream().to("out");
    });
    check("suppress-zero", |b| {
        held_back(b, ms(0)).to_stream().to("out");
    });
}

/// The results of windows, each under its key and window as the golden file writes them.
fn named(results: &KTable<Windowed<String>, i64>) -> KStream<String, Option<i64>> {
    let results = results.to_stream();
    results.select_key(|Windowed { key, window }, _| format!("{key}@{}/{}", window.start, window.end))
}

#[test]
fn windows_wait_until_they_are_closed() {
    let finals = || Suppressed::until_window_closes(Buffer::unbounded());
    check("suppress-window-close", |b| {
        let windows = TimeWindows::of_size(ms(10)).grace(ms(5));
        let grouped = b.stream::<Option<String>, Option<String>>("in").group_by_key();
        let counts = grouped.windowed_by(windows).count().materialized("w");
        named(&counts.suppress(finals())).to("out");
    });
    check("suppress-session-close", |b| {
        let sessions = SessionWindows::of_inactivity_gap(ms(5)).grace(ms(5));
        let grouped = b.stream::<Option<String>, Option<String>>("in").group_by_key();
        let counts = grouped.windowed_by(sessions).count().materialized("s");
        named(&counts.suppress(finals())).to("out");
    });
}

#[test]
fn a_full_buffer_lets_the_first_changes_pass() {
    check("suppress-max-records", |b| {
        let two = Buffer::max_records(2).emit_early_when_full();
        let table = b.table::<String, String>("in");
        table
            .suppress(Suppressed::until_time_limit(ms(1000), two))
            .to_stream()
            .to("out");
    });
}

#[test]
fn a_full_buffer_may_end_the_application() {
    let builder = StreamsBuilder::new();
    let one = Buffer::max_records(1).shut_down_when_full();
    let table = builder.table::<String, String>("in");
    let suppressed = table
        .suppress(Suppressed::until_time_limit(ms(1000), one))
        .named("hold");
    suppressed.to_stream().to("out");
    let topology = builder.build().expect("the program is right");
    let mut driver = TopologyTestDriver::builder(topology).build().expect("it starts");
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, record("a", "1").at(5)).expect("one fits");
    driver
        .pipe(&input, record("a", "2").at(5))
        .expect("and takes its place");
    let error = driver.pipe(&input, record("b", "1").at(6)).expect_err("two do not");
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let told = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(told.contains("the buffer of hold is full: 2 of 1 records"), "{told}");
}

#[test]
fn nodes_below_are_told_the_old_value_that_they_know() {
    check_quirk("suppress-downstream-aggregate", |b| {
        traced(&held_back(b, ms(10))).to_stream().to("out");
    });
    let builder = StreamsBuilder::new();
    traced(&held_back(&builder, ms(10))).to_stream().to("out");
    let topology = builder
        .build_with(BuildOptions::default())
        .expect("the program is right");
    let mut driver = TopologyTestDriver::builder(topology).build().expect("it starts");
    let input = driver.input::<String, String>("in");
    let output = driver.output::<String, String>("out");
    for (key, value, at) in [
        ("a", "1", 0),
        ("a", "2", 5),
        ("x", "x1", 10),
        ("a", "3", 11),
        ("a", "4", 12),
        ("y", "", 40),
    ] {
        driver.pipe(&input, record(key, value).at(at)).expect("it is processed");
    }
    let last = driver.read_key_values(&output).expect("texts").pop();
    assert_eq!(last, Some(("g".to_owned(), "+2+x1-2+4".to_owned())));
}

#[test]
fn what_cannot_be_held_back_is_refused() {
    let refused = |program: &dyn Fn(&StreamsBuilder)| {
        let builder = StreamsBuilder::new();
        program(&builder);
        builder.build().expect_err("the program is wrong").to_string()
    };
    let wait = || Suppressed::until_time_limit(ms(10), Buffer::unbounded());
    let no_windows = refused(&|b| {
        let table = b.table::<Windowed<String>, String>("in");
        let table = table.key_serde(SessionWindowedSerde::new(StringSerde));
        table
            .suppress(Suppressed::until_window_closes(Buffer::unbounded()))
            .named("hold");
    });
    assert!(no_windows.contains("hold waits for windows to close"), "{no_windows}");
    let versions = refused(&|b| {
        let options = Materialized::named("rows").versioned(ms(1000));
        let table = b.table::<String, String>("in").materialized(options);
        table.suppress(wait()).named("hold");
    });
    assert!(
        versions.contains("hold cannot hold back the changes of a versioned table"),
        "{versions}"
    );
    let stored = refused(&|b| {
        b.table::<String, String>("in")
            .suppress(wait())
            .named("hold")
            .materialized("st");
    });
    assert!(stored.contains("hold only holds changes back"), "{stored}");
}
