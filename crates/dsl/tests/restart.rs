//! A restart changes nothing: whatever operator a program has, it goes on from its changelogs and committed offsets as if
//! it had never stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use kstreams_dsl::{
    Buffer, Consumed, EmitStrategy, JoinWindows, Materialized, SessionWindows, SlidingWindows, StreamsBuilder,
    Suppressed, TimeWindows,
};
use kstreams_test_driver::{ProducedRecord, TopologyTestDriver, record};

type Row = (&'static str, &'static str, Option<&'static str>, i64);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the program sends to `out`, with a restart before the record of this number.
fn run(program: fn(&StreamsBuilder), rows: &[Row], restart_at: Option<usize>) -> Vec<ProducedRecord> {
    let builder = StreamsBuilder::new();
    program(&builder);
    let topology = builder.build().expect("a good topology");
    let parts = topology.subtopologies("test");
    let all = parts.parts.iter().chain(&parts.globals);
    let reads: BTreeSet<String> = all
        .flat_map(|part| &part.source_topics)
        .map(|topic| topic.to_string())
        .collect();
    let mut driver = TopologyTestDriver::builder(topology).build().expect("a driver");
    for (at, (topic, key, value, timestamp)) in rows.iter().enumerate() {
        if !reads.contains(*topic) {
            continue;
        }
        if restart_at == Some(at) {
            driver.restart().expect("a restart");
        }
        let input = driver.input::<String, Option<String>>(topic);
        let value = value.map(str::to_owned);
        driver
            .pipe(&input, record((*key).to_owned(), value).at(*timestamp))
            .expect("no record fails");
    }
    let sent = driver.produced().iter();
    sent.filter(|record| &*record.topic == "out").cloned().collect()
}

fn restarts_do_not_show(name: &str, program: fn(&StreamsBuilder), rows: &[Row]) {
    let expected = run(program, rows, None);
    assert!(expected.len() > 2, "{name}: the rows show something: {expected:?}");
    for at in 1..rows.len() {
        assert_eq!(
            run(program, rows, Some(at)),
            expected,
            "{name}, restarted before row {at}"
        );
    }
}

/// The same for a program whose results may come in another order: an outer join looks for rows without a partner when
/// records let it, and a restart makes it look.
fn restarts_change_the_order_at_most(name: &str, program: fn(&StreamsBuilder), rows: &[Row]) {
    let sorted = |restart_at| {
        let mut sent = run(program, rows, restart_at);
        sent.sort_by(|a, b| (&a.key, &a.value, a.timestamp).cmp(&(&b.key, &b.value, b.timestamp)));
        sent
    };
    for at in 1..rows.len() {
        assert_eq!(sorted(Some(at)), sorted(None), "{name}, restarted before row {at}");
    }
}

/// Two topics whose records meet, come late, and let windows close. None comes too late: how late it is, operators, as
/// Java's, only know by what they saw since they started.
const ROWS: &[Row] = &[
    ("l", "a", Some("1"), 0),
    ("r", "a", Some("x"), 3),
    ("l", "b", Some("2"), 5),
    ("r", "c", Some("y"), 8),
    ("l", "a", Some("3"), 4),
    ("r", "b", None, 9),
    ("l", "a", Some("4"), 14),
    ("l", "c", Some("5"), 13),
    ("r", "c", Some("z"), 22),
    ("l", "b", None, 23),
    ("r", "a", Some("u"), 21),
    ("l", "d", Some("6"), 36),
    ("r", "d", Some("v"), 41),
    ("l", "e", Some("7"), 60),
    ("r", "e", Some("w"), 61),
];

fn text<A: std::fmt::Display, B: std::fmt::Debug>(left: A, right: B) -> String {
    format!("{left}+{right:?}")
}

#[test]
fn aggregates_and_windows() {
    restarts_do_not_show(
        "count",
        |b| {
            b.stream::<String, String>("l")
                .group_by_key()
                .count()
                .to_stream()
                .to("out")
                .pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "tumbling",
        |b| {
            let windows = TimeWindows::of_size(ms(10)).grace(ms(5));
            let counts = b
                .stream::<String, String>("l")
                .group_by_key()
                .windowed_by(windows)
                .count();
            counts.to_stream().to("out").pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "hopping, on close",
        |b| {
            let windows = TimeWindows::of_size(ms(10)).advance_by(ms(4)).grace(ms(2));
            let grouped = b.stream::<String, String>("l").group_by_key().windowed_by(windows);
            grouped
                .emit(EmitStrategy::OnWindowClose)
                .count()
                .to_stream()
                .to("out")
                .pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "sliding",
        |b| {
            let windows = SlidingWindows::of_time_difference(ms(10)).grace(ms(20));
            let counts = b
                .stream::<String, String>("l")
                .group_by_key()
                .windowed_by(windows)
                .count();
            counts.to_stream().to("out").pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "sessions",
        |b| {
            let windows = SessionWindows::of_inactivity_gap(ms(6)).grace(ms(20));
            let counts = b
                .stream::<String, String>("l")
                .group_by_key()
                .windowed_by(windows)
                .count();
            counts.to_stream().to("out").pass()
        },
        ROWS,
    );
}

#[test]
fn what_is_held_back() {
    restarts_do_not_show(
        "until windows close",
        |b| {
            let windows = TimeWindows::of_size(ms(10)).grace(ms(5));
            let counts = b
                .stream::<String, String>("l")
                .group_by_key()
                .windowed_by(windows)
                .count();
            let closed = counts.suppress(Suppressed::until_window_closes(Buffer::unbounded()));
            closed.to_stream().to("out").pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "for a time",
        |b| {
            let table = b.table::<String, String>("l").materialized("t");
            let held = table.suppress(Suppressed::until_time_limit(ms(10), Buffer::unbounded()));
            held.to_stream().to("out").pass()
        },
        ROWS,
    );
}

#[test]
fn joins() {
    restarts_change_the_order_at_most(
        "streams, outer",
        |b| {
            let windows = JoinWindows::of_time_difference(ms(5)).grace(ms(3));
            let right = b.stream::<String, String>("r");
            let joined = b.stream::<String, String>("l").outer_join(
                &right,
                windows,
                |_, l: Option<&String>, r: Option<&String>| format!("{l:?}+{r:?}"),
            );
            joined.to("out").pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "stream and versioned table, with grace",
        |b| {
            let table = b.table::<String, String>("r");
            let table = table.materialized(Materialized::named("versions").versioned(ms(100)));
            let joined = b
                .stream::<String, String>("l")
                .left_join_table(&table, |_, l, r: Option<String>| text(l, r));
            joined.grace(ms(5)).to("out").pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "tables, outer",
        |b| {
            let right = b.table::<String, String>("r").materialized("right");
            let left = b.table::<String, String>("l").materialized("left");
            let joined = left.outer_join(&right, |l: Option<String>, r: Option<String>| format!("{l:?}+{r:?}"));
            joined.to_stream().to("out").pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "tables, by foreign key",
        |b| {
            let right = b.table::<String, String>("r");
            let left = b.table::<String, String>("l");
            let joined = left.left_join_foreign_key(&right, |key, _| key.clone(), |l, r: Option<String>| text(l, r));
            joined.to_stream().to("out").pass()
        },
        ROWS,
    );
    restarts_do_not_show(
        "stream and global table",
        |b| {
            let global = b.global_table::<String, String>("r").materialized("everywhere");
            let joined = b.stream::<String, String>(Consumed::topic("l"));
            let joined = joined.left_join_global(&global, |key, _| key.clone(), |_, l, r: Option<String>| text(l, r));
            joined.to("out").pass()
        },
        ROWS,
    );
}

/// Lets an expression end a program.
trait Pass: Sized {
    fn pass(self) {}
}

impl<T> Pass for T {}
