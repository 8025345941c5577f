//! Short runs on each broker: rounds drawn from a seed, and zombies that come back.

use std::time::Duration;

use kstreams_tests::chaos::brokers::Kind;
use kstreams_tests::chaos::event::{Blow, Dice, Event, PROCESSES, Round, Target};
use kstreams_tests::chaos::run::{Plan, Tally, run};
use kstreams_tests::kafka;

fn survives(kind: Kind, seed: u64, rounds: Vec<Round>) -> Tally {
    let tally = run(&Plan {
        rounds,
        seed,
        kind,
        program: env!("CARGO_BIN_EXE_chaos").into(),
    });
    assert!(tally.is_good(), "{tally}");
    println!("{tally}");
    tally
}

#[test]
fn rounds_on_the_embedded_broker_change_nothing_that_is_committed() {
    survives(Kind::Embedded, 3, Dice::rounds(3, 8));
}

#[test]
fn rounds_on_a_real_kafka_change_nothing_that_is_committed() {
    if kafka::is_asked_for("rounds_on_a_real_kafka_change_nothing_that_is_committed") {
        survives(Kind::Kafka, 3, Dice::rounds(3, 6));
    }
}

#[test]
fn a_zombie_on_the_embedded_broker_writes_nothing_that_is_seen_and_works_again() {
    zombies_come_back(Kind::Embedded);
}

#[test]
fn a_zombie_on_a_real_kafka_writes_nothing_that_is_seen_and_works_again() {
    if kafka::is_asked_for("a_zombie_on_a_real_kafka_writes_nothing_that_is_seen_and_works_again") {
        zombies_come_back(Kind::KafkaAlone);
    }
}

/// Each process in turn stands still for longer than its session; others have its tasks when it goes on, full of what it
/// had read before.
fn zombies_come_back(kind: Kind) {
    let freeze = |number| Round {
        events: vec![Event {
            target: Target::Process(number),
            blow: Blow::Freeze,
            lasts: Duration::from_secs(7),
        }],
        pause: Duration::from_secs(1),
        settles: true,
    };
    let tally = survives(kind, 0, (0..PROCESSES).map(freeze).collect());
    let returned = tally.evidence().returned;
    assert!(returned >= PROCESSES, "{returned} zombies came back to life");
}
