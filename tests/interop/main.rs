//! Rust and Java on one real Kafka: console tools, take-over, crashes, broker restarts,
//! shared work, exactly-once across both.
//!
//! Each test starts its own broker, so they take turns.

mod console;
mod crash;
mod embedded;
mod exactly_once;
mod reading;
mod several;
mod sharing;
mod take_over;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kstreams_tests::java;
use kstreams_tests::program::{self, Program};
use kstreams_tests::topics::Topics;

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(120);

/// One broker and its clients at a time: the machine is small.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The dead are noticed after six seconds, not forty-five.
const SHORT_SESSION: [&str; 2] = [
    "consumer.session.timeout.ms=6000",
    "consumer.heartbeat.interval.ms=1500",
];

/// Who runs an application.
#[derive(Clone, Copy, Debug)]
enum Side {
    Rust,
    Java,
}

impl Side {
    /// A run of the benchmark program, with one thread, that is not started yet.
    fn command(self, bootstrap: &str, workload: &str, application: &str, state: &str) -> Command {
        match self {
            Self::Rust => bench(bootstrap, workload, application, state, 1),
            Self::Java => {
                let mut command = java::command("Bench", &["run", bootstrap, workload, application, state, "1"]);
                command.args(SHORT_SESSION);
                command
            }
        }
    }
}

/// A run of ours that is not started yet.
fn bench(bootstrap: &str, workload: &str, application: &str, state: &str, threads: u32) -> Command {
    let mut command = program::bench();
    command.args(["run", bootstrap, workload, application, state, &threads.to_string()]);
    command.args(SHORT_SESSION);
    command
}

/// A run of the benchmark program that has reached RUNNING.
fn running(command: &mut Command) -> Program {
    let program = Program::start(command);
    program.line(PATIENCE, |line| line.contains("state RUNNING at"));
    program
}

/// Waits until it is so.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the program while it has a transaction open that has written to the topic.
fn kill_while_open(program: Program, topics: &Topics, topic: &str) {
    eventually("a transaction is open while the program stands still", || {
        program.signal("STOP");
        // What it had asked for before may still be done.
        std::thread::sleep(Duration::from_millis(200));
        let open = topics.is_open(topic);
        if !open {
            program.signal("CONT");
        }
        open
    });
    program.kill();
}
