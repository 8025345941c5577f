//! Windows that are emitted when they are closed: none is lost, none comes twice, whatever time does.

use std::time::Duration;

use kstreams_dsl::{
    BuildOptions, EmitStrategy, KGroupedStream, KTable, SessionWindows, SlidingWindows, StreamsBuilder, TimeWindows,
};
use kstreams_store::EngineKind;
use kstreams_test_driver::{TopologyTestDriver, record};
use kstreams_topology::{Window, Windowed};

type Counts = KTable<Windowed<String>, i64>;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn tumbling(grouped: &KGroupedStream<String, String>) -> Counts {
    let windows = TimeWindows::of_size(ms(10)).grace(ms(5));
    grouped.windowed_by(windows).emit(EmitStrategy::OnWindowClose).count()
}

fn sliding(grouped: &KGroupedStream<String, String>) -> Counts {
    let windows = SlidingWindows::of_time_difference(ms(10)).grace(ms(5));
    grouped.windowed_by(windows).emit(EmitStrategy::OnWindowClose).count()
}

fn sessions(grouped: &KGroupedStream<String, String>) -> Counts {
    let windows = SessionWindows::of_inactivity_gap(ms(5)).grace(ms(5));
    grouped.windowed_by(windows).emit(EmitStrategy::OnWindowClose).count()
}

/// A driver of the program, with stores on this engine.
fn driver(
    windowed: fn(&KGroupedStream<String, String>) -> Counts,
    engine: EngineKind,
    interval_ms: i64,
) -> TopologyTestDriver {
    let builder = StreamsBuilder::new();
    let counts = windowed(&builder.stream::<String, String>("in").group_by_key());
    let shown = |Windowed { key, window }: &Windowed<String>| {
        let Window { start, end } = window;
        format!("{key}@{start}/{end}")
    };
    counts
        .to_stream()
        .select_key(move |windowed, _| shown(windowed))
        .to("out");
    let options = BuildOptions::default().default_engine(engine);
    let topology = builder.build_with(options).expect("the program is right");
    let driver = TopologyTestDriver::builder(topology)
        .cache_bytes(0)
        .emit_interval_ms(interval_ms);
    driver.build().expect("the topology starts")
}

fn pipe(driver: &mut TopologyTestDriver, key: &str, timestamp: i64) {
    let input = driver.input::<String, String>("in");
    driver
        .pipe(&input, record(key, "x").at(timestamp))
        .expect("the record is taken");
}

fn emitted(driver: &mut TopologyTestDriver) -> Vec<(String, i64)> {
    let output = driver.output::<String, i64>("out");
    driver.read_key_values(&output).expect("the results can be read")
}

fn check(windowed: fn(&KGroupedStream<String, String>) -> Counts, records: &[(&str, i64)], expected: &[(&str, i64)]) {
    for engine in [EngineKind::Memory, EngineKind::Persistent] {
        let mut driver = driver(windowed, engine, 0);
        for (key, timestamp) in records {
            pipe(&mut driver, key, *timestamp);
        }
        let expected: Vec<_> = expected.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect();
        assert_eq!(emitted(&mut driver), expected, "{engine:?}");
    }
}

#[test]
fn a_jump_of_time_loses_no_window_of_time() {
    let records = [("a", 1), ("b", 2), ("a", 12), ("z", 1_000_000)];
    check(tumbling, &records, &[("a@0/10", 1), ("b@0/10", 1), ("a@10/20", 1)]);
}

#[test]
fn a_jump_of_time_loses_no_sliding_window() {
    let records = [("a", 20), ("a", 25), ("z", 1_000_000)];
    check(sliding, &records, &[("a@10/20", 1), ("a@15/25", 2), ("a@21/31", 1)]);
}

#[test]
fn a_jump_of_time_loses_no_session() {
    let records = [("a", 0), ("a", 3), ("b", 4), ("z", 10_000_000)];
    check(sessions, &records, &[("a@0/3", 2), ("b@4/4", 1)]);
}

#[test]
fn a_session_at_the_end_of_the_retention_is_not_lost() {
    // The session ends exactly as far behind stream time as the store keeps sessions: it closes a millisecond later.
    let records = [("a", 4), ("z", 14), ("z", 15)];
    check(sessions, &records, &[("a@4/4", 1)]);
}

#[test]
fn windows_that_close_between_two_sweeps_are_emitted_by_the_next() {
    let mut driver = driver(tumbling, EngineKind::Memory, 1000);
    pipe(&mut driver, "a", 1);
    pipe(&mut driver, "a", 101);
    pipe(&mut driver, "a", 1_000_001);
    assert_eq!(
        emitted(&mut driver),
        [],
        "the sweep at the first record was the last so far"
    );
    driver.advance_wall_clock(ms(1000)).expect("time passes");
    pipe(&mut driver, "a", 1_000_002);
    assert_eq!(
        emitted(&mut driver),
        [("a@0/10".to_owned(), 1), ("a@100/110".to_owned(), 1)]
    );
}

#[test]
fn what_was_emitted_is_not_emitted_again_after_a_restart() {
    for windowed in [tumbling, sliding, sessions] {
        let mut driver = driver(windowed, EngineKind::Persistent, 0);
        pipe(&mut driver, "a", 20);
        pipe(&mut driver, "b", 60);
        assert_eq!(emitted(&mut driver).len(), 1);
        driver.restart().expect("the task starts again");
        pipe(&mut driver, "c", 61);
        assert_eq!(emitted(&mut driver), []);
        pipe(&mut driver, "c", 100);
        let keys: Vec<String> = emitted(&mut driver).into_iter().map(|(key, _)| key).collect();
        assert!(keys.iter().all(|key| !key.starts_with('a')), "{keys:?}");
    }
}
