//! Hurts an exactly-once application for a number of rounds and compares what it committed with one pass over its input.
//!
//! ```text
//! chaos run ROUNDS SEED [BROKER]                  the driver; see `just chaos`
//! chaos app BOOTSTRAP STATE [KEY=VALUE...]        one process of the application
//! chaos broker DIRECTORY PORT                     the embedded broker
//! ```

use std::error::Error;
use std::process::ExitCode;

use kstreams_tests::chaos::application;
use kstreams_tests::chaos::brokers::{self, Kind};
use kstreams_tests::chaos::event::Dice;
use kstreams_tests::chaos::run::{Plan, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", kstreams::with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[&str]) -> Result<ExitCode, Box<dyn Error>> {
    match arguments {
        ["run", rounds, seed, rest @ ..] => {
            let kind = match rest {
                [] | ["embedded"] => Kind::Embedded,
                ["kafka"] => Kind::Kafka,
                ["kafka-alone"] => Kind::KafkaAlone,
                _ => return Err("the broker is \"embedded\", \"kafka\" or \"kafka-alone\"".into()),
            };
            let seed = seed.parse()?;
            let plan = Plan {
                rounds: Dice::rounds(seed, rounds.parse()?),
                seed,
                kind,
                program: std::env::current_exe()?,
            };
            let tally = run(&plan);
            println!("{tally}");
            Ok(if tally.is_good() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        ["app", bootstrap, state, more @ ..] => {
            log();
            let more: Vec<String> = more.iter().map(|&setting| setting.to_owned()).collect();
            application::run(bootstrap, state, &more)?;
            Ok(ExitCode::SUCCESS)
        }
        ["broker", directory, port] => {
            log();
            brokers::serve(directory, port.parse()?)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(
            "chaos run ROUNDS SEED [BROKER] | chaos app BOOTSTRAP STATE [KEY=VALUE...] | chaos broker DIRECTORY PORT"
                .into(),
        ),
    }
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,kstreams_runtime::restore=debug"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
