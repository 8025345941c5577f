//! Kills, freezes and broker restarts, and what they must not do: a short run on each broker. `just chaos` makes long ones.

use kstreams_tests::chaos::brokers::Kind;
use kstreams_tests::chaos::run::{Plan, run};

fn survives(kind: Kind, rounds: usize, seed: u64) {
    let tally = run(&Plan {
        rounds,
        seed,
        kind,
        program: env!("CARGO_BIN_EXE_chaos").into(),
    });
    assert!(tally.is_good(), "{tally}");
    println!("{tally}");
}

#[test]
fn rounds_on_the_embedded_broker_change_nothing_that_is_committed() {
    survives(Kind::Embedded, 8, 3);
}

#[test]
fn rounds_on_a_real_kafka_change_nothing_that_is_committed() {
    if kstreams_tests::kafka::is_asked_for("rounds_on_a_real_kafka_change_nothing_that_is_committed") {
        survives(Kind::Kafka, 6, 3);
    }
}
