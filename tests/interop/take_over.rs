//! A Java application is stopped half-way and continued by ours, and the other way round: the final counts are exact.

use kstreams_tests::program::Program;
use kstreams_tests::{java, kafka};

use super::{Side, running, turn};

const WORDS: i64 = 2 * 50_000 / 4 * 10;

fn java_word_count(bootstrap: &str, state: &str) -> Program {
    running(&mut Side::Java.command(bootstrap, "wordcount", "words", state))
}

fn rust_word_count(bootstrap: &str, state: &str) -> Program {
    running(&mut Side::Rust.command(bootstrap, "wordcount", "words", state))
}

fn consumed(bootstrap: &str) {
    java::watch(bootstrap, "words", "lines|words-.*-repartition", 120);
}

/// Where the second side keeps its state.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Apart,
    /// In the directory of the first one, as an operator does it who replaces a program by another.
    Same,
}

/// The input comes in two halves; each side counts one.
fn take_over(
    first: impl FnOnce(&str, &str) -> Program,
    second: impl FnOnce(&str, &str) -> Program,
    place: Place,
    test: &str,
) -> Vec<String> {
    let _turn = turn();
    let Some(kafka) = kafka::real(test) else {
        return Vec::new();
    };
    let state = tempfile::tempdir().expect("a temporary folder");
    let folder = |name: &str| match place {
        Place::Apart => state.path().join(name).display().to_string(),
        Place::Same => state.path().display().to_string(),
    };
    let bootstrap = kafka.bootstrap();
    java::create_topic(&bootstrap, "out", 4);
    java::load(&bootstrap, 50_000, 1000, 4);

    let program = first(&bootstrap, &folder("first"));
    consumed(&bootstrap);
    end(program);
    java::load(&bootstrap, 50_000, 1000, 4);
    let program = second(&bootstrap, &folder("second"));
    consumed(&bootstrap);
    let said = end(program);

    let digest = java::digest(&bootstrap, "out");
    assert_eq!(digest.long_sum, WORDS, "every word is counted exactly once: {digest:?}");
    said
}

/// Java ends with 143 after SIGTERM, so only the end itself is awaited. What the program said.
fn end(mut program: Program) -> Vec<String> {
    program.signal("TERM");
    program.wait();
    program.lines()
}

/// Starts our word count and waits until it runs.
#[test]
fn rust_continues_java() {
    take_over(java_word_count, rust_word_count, Place::Apart, "rust_continues_java");
}

#[test]
fn java_continues_rust() {
    take_over(rust_word_count, java_word_count, Place::Apart, "java_continues_rust");
}

#[test]
fn rust_continues_java_in_its_directory() {
    let test = "rust_continues_java_in_its_directory";
    let said = take_over(java_word_count, rust_word_count, Place::Same, test);
    let told = |line: &&String| line.contains("state that Kafka Streams in Java wrote is left as it is");
    // One line for each of the four tasks that have a store.
    assert!(said.is_empty() || said.iter().filter(told).count() == 4, "{said:#?}");
}

#[test]
fn java_continues_rust_in_its_directory() {
    let test = "java_continues_rust_in_its_directory";
    take_over(rust_word_count, java_word_count, Place::Same, test);
}
