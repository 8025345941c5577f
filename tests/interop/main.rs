//! Rust and Java on one real Kafka: console tools, take-over, crashes, broker restarts, shared work.
//!
//! Each test starts its own broker, so they take turns.

mod console;
mod crash;
mod embedded;
mod several;
mod sharing;
mod take_over;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kstreams_tests::program::{self, Program};

/// Long enough for anything that is going to happen at all.
const PATIENCE: Duration = Duration::from_secs(120);

/// One broker and its clients at a time: the machine is small.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run of the benchmark program that is not started yet.
fn bench(bootstrap: &str, workload: &str, application: &str, state: &str, threads: u32) -> Command {
    let mut command = program::bench();
    command.args(["run", bootstrap, workload, application, state, &threads.to_string()]);
    // The dead are noticed after six seconds, not forty-five.
    command.args([
        "consumer.session.timeout.ms=6000",
        "consumer.heartbeat.interval.ms=1500",
    ]);
    command
}

/// A run of the benchmark program that has reached RUNNING.
fn running(command: &mut Command) -> Program {
    let program = Program::start(command);
    program.line(PATIENCE, |line| line.contains("state RUNNING at"));
    program
}
