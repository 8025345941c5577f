//! Two instances with two threads each share eight partitions; one goes, the other completes.

use kstreams_tests::program::Program;
use kstreams_tests::{java, kafka};

use super::{bench, running, turn};

const RECORDS: u32 = 100_000;
const WORDS: i64 = 2 * RECORDS as i64 / 4 * 10;

fn consumed(bootstrap: &str) {
    java::watch(bootstrap, "words", "lines|words-.*-repartition", 180);
}

/// Loads the input in two halves; the first instance goes in between.
fn share(test: &str, leave: impl FnOnce(Program)) -> Option<i64> {
    let _turn = turn();
    let kafka = kafka::real(test)?;
    let bootstrap = kafka.bootstrap();
    let state = tempfile::tempdir().expect("a temporary folder");
    let instance = |name: &str| {
        let folder = state.path().join(name).display().to_string();
        running(&mut bench(&bootstrap, "wordcount", "words", &folder, 2))
    };
    java::create_topic(&bootstrap, "out", 4);
    java::load(&bootstrap, RECORDS, 1000, 8);
    let (first, second) = (instance("first"), instance("second"));
    java::load(&bootstrap, RECORDS / 2, 1000, 8);
    leave(first);
    java::load(&bootstrap, RECORDS / 2, 1000, 8);
    consumed(&bootstrap);
    second.terminate();
    Some(java::digest(&bootstrap, "out").long_sum)
}

#[test]
fn the_other_instance_takes_over_from_a_killed_one() {
    let counted = share("the_other_instance_takes_over_from_a_killed_one", |program| {
        program.kill();
    });
    assert!(
        counted.is_none_or(|counted| counted >= WORDS),
        "{counted:?} of {WORDS} words were counted"
    );
}

#[test]
fn counts_are_exact_when_an_instance_leaves() {
    let counted = share("counts_are_exact_when_an_instance_leaves", |program| {
        program.terminate();
    });
    assert!(
        counted.is_none_or(|counted| counted == WORDS),
        "{counted:?} of {WORDS} words were counted"
    );
}
