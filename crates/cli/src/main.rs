//! The kstreams command.

mod broker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kstreams::with_causes;
use tracing_subscriber::EnvFilter;

/// Kafka Streams in Rust: the tools around it.
#[derive(Parser)]
#[command(name = "kstreams", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Broker(broker::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let done = match arguments.command {
        Command::Broker(arguments) => broker::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kstreams: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}
