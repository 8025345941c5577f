//! A Java application is stopped half-way and continued by ours, and the other way round: the final counts are exact.

use kstreams_tests::program::Program;
use kstreams_tests::{java, kafka};

use super::{PATIENCE, bench, running, turn};

const WORDS: i64 = 2 * 50_000 / 4 * 10;

/// Starts Java's word count and waits until it runs.
fn java_word_count(bootstrap: &str, state: &str) -> Program {
    let program = Program::start(&mut java::command(
        "Bench",
        &["run", bootstrap, "wordcount", "words", state, "1"],
    ));
    program.line(PATIENCE, |line| line.contains("state RUNNING at"));
    program
}

fn consumed(bootstrap: &str) {
    java::watch(bootstrap, "words", "lines|words-.*-repartition", 120);
}

/// The input comes in two halves; each side counts one.
fn take_over(first: impl FnOnce(&str, &str) -> Program, second: impl FnOnce(&str, &str) -> Program, test: &str) {
    let _turn = turn();
    let Some(kafka) = kafka::real(test) else { return };
    let bootstrap = kafka.bootstrap();
    let state = tempfile::tempdir().expect("a temporary folder");
    let folder = |name: &str| state.path().join(name).display().to_string();
    java::create_topic(&bootstrap, "out", 4);
    java::load(&bootstrap, 50_000, 1000, 4);

    let program = first(&bootstrap, &folder("first"));
    consumed(&bootstrap);
    program.signal("TERM");
    drop_when_ended(program);
    java::load(&bootstrap, 50_000, 1000, 4);
    let program = second(&bootstrap, &folder("second"));
    consumed(&bootstrap);
    program.signal("TERM");
    drop_when_ended(program);

    let digest = java::digest(&bootstrap, "out");
    assert_eq!(digest.long_sum, WORDS, "every word is counted exactly once: {digest:?}");
}

/// Java ends with 143 after SIGTERM, so only the end itself is awaited.
fn drop_when_ended(mut program: Program) {
    program.wait();
}

#[test]
fn rust_continues_java() {
    take_over(
        java_word_count,
        |bootstrap, state| running(&mut bench(bootstrap, "wordcount", "words", state, 1)),
        "rust_continues_java",
    );
}

#[test]
fn java_continues_rust() {
    take_over(
        |bootstrap, state| running(&mut bench(bootstrap, "wordcount", "words", state, 1)),
        java_word_count,
        "java_continues_rust",
    );
}
