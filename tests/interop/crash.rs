//! Crashes of our process and of the broker: each guarantee holds, and a clean close leaves nothing to count twice.

use std::process::Command;
use std::time::Duration;

use kstreams_tests::{java, kafka};

use super::{bench, running, turn};

const RECORDS: u32 = 200_000;
const WORDS: i64 = RECORDS as i64 / 4 * 10;

fn word_count(bootstrap: &str, state: &str) -> Command {
    bench(bootstrap, "wordcount", "words", state, 1)
}

fn consumed(bootstrap: &str) {
    java::watch(bootstrap, "words", "lines|words-.*-repartition", 180);
}

/// Records restored, from the program's own log: a line for each task of the subtopology that has state.
fn restored(lines: &[String]) -> Vec<u64> {
    lines
        .iter()
        .filter(|line| line.contains("state restored task=1_"))
        .filter_map(|line| line.split(" records=").nth(1)?.split_whitespace().next()?.parse().ok())
        .collect()
}

#[test]
fn ten_kills_lose_no_word() {
    let _turn = turn();
    let Some(kafka) = kafka::real("ten_kills_lose_no_word") else {
        return;
    };
    let bootstrap = kafka.bootstrap();
    let state = tempfile::tempdir().expect("a temporary folder");
    let folder = state.path().display().to_string();
    java::create_topic(&bootstrap, "out", 4);
    java::load(&bootstrap, RECORDS, 1000, 4);
    for round in 0..10 {
        let program = running(&mut word_count(&bootstrap, &folder));
        // How far it gets is left to chance on purpose; the outcome does not depend on it.
        std::thread::sleep(Duration::from_millis(150 * round));
        program.kill();
    }
    let program = running(&mut word_count(&bootstrap, &folder));
    consumed(&bootstrap);
    program.terminate();
    let counted = java::digest(&bootstrap, "out").long_sum;
    assert!(counted >= WORDS, "{counted} of {WORDS} words were counted");

    let program = running(&mut word_count(&bootstrap, &folder));
    consumed(&bootstrap);
    let lines = program.terminate();
    assert_eq!(
        java::digest(&bootstrap, "out").long_sum,
        counted,
        "a clean close leaves nothing to count twice"
    );
    assert_eq!(
        restored(&lines),
        [0; 4],
        "a clean close leaves nothing to restore in any of the four tasks:\n{}",
        lines.join("\n")
    );
}

#[test]
fn ten_kills_count_every_word_exactly_once() {
    let _turn = turn();
    let Some(kafka) = kafka::real("ten_kills_count_every_word_exactly_once") else {
        return;
    };
    let bootstrap = kafka.bootstrap();
    let state = tempfile::tempdir().expect("a temporary folder");
    let folder = state.path().display().to_string();
    let word_count = || {
        let mut command = word_count(&bootstrap, &folder);
        command
            .arg("processing.guarantee=exactly_once_v2")
            .arg("commit.interval.ms=100");
        running(&mut command)
    };
    java::create_topic(&bootstrap, "out", 4);
    java::load(&bootstrap, RECORDS, 1000, 4);
    for round in 0..10 {
        let program = word_count();
        std::thread::sleep(Duration::from_millis(150 * round));
        program.kill();
    }
    let program = word_count();
    consumed(&bootstrap);
    program.terminate();
    assert_eq!(java::digest(&bootstrap, "out").long_sum, WORDS);
}

#[test]
fn a_run_survives_twenty_seconds_without_a_broker() {
    let _turn = turn();
    let Some(kafka) = kafka::real("a_run_survives_twenty_seconds_without_a_broker") else {
        return;
    };
    let bootstrap = kafka.bootstrap();
    let state = tempfile::tempdir().expect("a temporary folder");
    java::create_topic(&bootstrap, "out", 4);
    java::load(&bootstrap, RECORDS, 1000, 4);
    let program = running(&mut word_count(&bootstrap, &state.path().display().to_string()));
    kafka.stop();
    std::thread::sleep(Duration::from_secs(20));
    kafka.restart();
    consumed(&bootstrap);
    let lines = program.terminate();
    assert!(
        lines.iter().any(|line| line.contains("WARN")),
        "the client says what it waits for"
    );
    let counted = java::digest(&bootstrap, "out").long_sum;
    assert!(counted >= WORDS, "{counted} of {WORDS} words were counted");
}
