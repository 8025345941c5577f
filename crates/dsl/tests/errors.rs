//! What is wrong with a program is told when it is built, and names the node.

use std::time::Duration;

use kstreams_dsl::{
    Consumed, EmitStrategy, Error, JoinWindows, KGroupedStream, Materialized, SessionWindows, SlidingWindows,
    StreamsBuilder, TimeWindows, UnlimitedWindows,
};
use kstreams_test_driver::TopologyTestDriver;
use kstreams_topology::blueprint::ResetPolicy;
use kstreams_topology::{Data, Topology};

/// A type without a serde.
#[derive(Clone, Debug, PartialEq)]
struct Opaque;

impl Data for Opaque {}

#[test]
fn a_type_without_a_serde_is_named_with_its_node() {
    check(
        "KSTREAM-SINK-0000000002 needs a serde for its value: errors::Opaque has none",
        |b| {
            b.stream::<String, String>("in").map_values(|_, _| Opaque).to("out");
        },
    );
    check(
        "KSTREAM-AGGREGATE-0000000002 needs a serde for its value: errors::Opaque has none",
        |b| {
            b.stream::<String, String>("in")
                .group_by_key()
                .aggregate(|| Opaque, |_, _, so_far| so_far);
        },
    );
}

#[test]
fn names_are_checked() {
    check("invalid name \"a b\": only ASCII letters", |b| {
        b.stream::<String, String>("in").filter(|_, _| true).named("a b");
    });
    check("invalid name \"\": it is empty", |b| {
        b.table::<String, String>("in").materialized("");
    });
    check("the name of KSTREAM-FILTER- is set twice", |b| {
        b.stream::<String, String>("in")
            .filter(|_, _| true)
            .named("a")
            .named("b");
    });
    check(
        "could not build the topology: invalid topology: node same is already added",
        |b| {
            let stream = b.stream::<String, String>("in");
            stream.filter(|_, _| true).named("same");
            stream.filter(|_, _| true).named("same");
        },
    );
}

#[test]
fn sources_of_the_same_topics_have_to_agree() {
    check(
        "sources KSTREAM-SOURCE-0000000000 and KSTREAM-SOURCE-0000000001 read topic a and also other topics",
        |b| {
            b.stream::<String, String>("a");
            b.stream::<String, String>(["a", "b"]);
        },
    );
    check("read the same topics with different offset reset policies", |b| {
        b.stream::<String, String>("a");
        b.stream::<String, String>(Consumed::topic("a").offset_reset(ResetPolicy::Latest));
    });
    check("read the same topics with different key or value types", |b| {
        b.stream::<String, String>("a");
        b.stream::<String, i64>("a");
    });
}

#[test]
fn a_table_has_one_topic() {
    check("table users is read from several topics", |b| {
        b.table::<String, String>(["a", "b"]).named("users");
    });
}

#[test]
fn versioned_tables_have_a_named_store_and_are_not_global() {
    let history = Duration::from_secs(1);
    check("the versioned store of KTABLE-FILTER- needs a name", |b| {
        let table = b.table::<String, String>("in").filter(|_, _| true);
        table.materialized(Materialized::new().versioned(history));
    });
    check("global table g cannot be versioned", |b| {
        let table = b.global_table::<String, String>("in").named("g");
        table.materialized(Materialized::named("st").versioned(history));
    });
}

#[test]
fn streams_of_two_builders_do_not_mix() {
    let other = StreamsBuilder::new();
    let foreign = other.stream::<String, String>("a");
    check(
        "KSTREAM-MERGE-0000000001 mixes streams or tables of two builders",
        |b| {
            b.stream("b").merge(&foreign);
        },
    );
}

/// An error of user code comes out of the driver with the name of the node.
#[test]
fn a_failing_closure_is_named() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .map_values(|_, text| text.parse::<i64>())
        .named("parse")
        .to("out");
    let mut driver = TopologyTestDriver::builder(builder.build().expect("the program is right"))
        .build()
        .expect("starts");
    let input = driver.input::<String, String>("in");
    let error = driver.pipe(&input, ("k", "no number")).expect_err("the closure fails");
    assert!(chain(&error).contains("parse"), "{}", chain(&error));
    assert!(
        chain(&error).ends_with("invalid digit found in string"),
        "{}",
        chain(&error)
    );
    driver.pipe(&input, ("k", "1")).expect("the driver goes on");
}

#[test]
fn joins_that_cannot_be_are_refused() {
    check("j joins with a grace period, which takes a versioned table", |b| {
        let stream = b.stream::<String, String>("in");
        let joined = stream.join_table(&b.table::<String, String>("t"), |_, value, _| value);
        joined.named("j").grace(Duration::from_secs(1));
    });
    check("the windows of j-merge have a size of -1 ms", |b| {
        let stream = b.stream::<String, String>("in");
        let windows = JoinWindows::of_time_difference(Duration::ZERO).older_by(Duration::from_millis(1));
        stream.join(&stream, windows, |_, left, _| left.clone()).named("j");
    });
}

#[test]
fn windows_that_are_none_are_refused() {
    let ms = Duration::from_millis;
    let grouped =
        |b: &StreamsBuilder| -> KGroupedStream<String, String> { b.stream::<String, String>("in").group_by_key() };
    check(
        "the windows of KSTREAM-AGGREGATE-STATE-STORE-0000000001 have a size of 0 ms",
        |b| {
            grouped(b).windowed_by(TimeWindows::of_size(ms(0))).count();
        },
    );
    check(
        "the windows of w have an advance of 11 ms, 1 ms to the size of 10 ms expected",
        |b| {
            let windows = TimeWindows::of_size(ms(10)).advance_by(ms(11));
            grouped(b).windowed_by(windows).count().materialized("w");
        },
    );
    check("the windows of w have a gap of 0 ms", |b| {
        let windows = SessionWindows::of_inactivity_gap(ms(0));
        grouped(b).windowed_by(windows).count().materialized("w");
    });
    check("the windows of w have a start at -1 ms", |b| {
        let windows = UnlimitedWindows::starting_on(-1);
        grouped(b).windowed_by(windows).count().materialized("w");
    });
    check(
        "KSTREAM-AGGREGATE-0000000002 is to emit when its windows close, which unlimited",
        |b| {
            let windowed = grouped(b).windowed_by(UnlimitedWindows::new());
            windowed.emit(EmitStrategy::OnWindowClose).count();
        },
    );
}

#[test]
fn stores_have_to_keep_windows_that_count() {
    let ms = Duration::from_millis;
    check(
        "store w keeps windows for 14 ms, but with the grace they count for 15 ms",
        |b| {
            let grouped = b.stream::<String, String>("in").group_by_key();
            let windowed = grouped.windowed_by(TimeWindows::of_size(ms(10)).grace(ms(5)));
            windowed
                .count()
                .materialized(Materialized::named("w").retention(ms(14)));
        },
    );
    check(
        "store w keeps windows for 24 ms, but with the grace they count for 25 ms",
        |b| {
            let grouped = b.stream::<String, String>("in").group_by_key();
            let windowed = grouped.windowed_by(SlidingWindows::of_time_difference(ms(10)).grace(ms(5)));
            windowed
                .count()
                .materialized(Materialized::named("w").retention(ms(24)));
        },
    );
}

fn check(expected: &str, program: impl Fn(&StreamsBuilder)) {
    let builder = StreamsBuilder::new();
    program(&builder);
    let built: Result<Topology, Error> = builder.build();
    let error = built.err().unwrap_or_else(|| panic!("built, though {expected}"));
    assert!(chain(&error).contains(expected), "{}", chain(&error));
}

/// The error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text
}
