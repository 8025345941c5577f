//! Measures kstreams; the counterpart of the JVM's `Bench.java`, run by `scripts/bench/`.

mod workload;

use std::error::Error;
use std::time::Instant;

use clap::{Parser, Subcommand, ValueEnum};
use kstreams::prelude::*;

use workload::{Topics, Workload};

#[derive(Parser)]
#[command(name = "kstreams-bench", about = "Measures kstreams side by side with the JVM")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a workload until SIGTERM or Ctrl-C.
    Run(Run),
}

#[derive(clap::Args)]
struct Run {
    /// The engine of persistent stores.
    #[arg(long, default_value = "fjall")]
    engine: Engine,
    /// host:port of a broker.
    bootstrap: String,
    /// The topology.
    workload: Workload,
    /// application.id
    application_id: String,
    /// state.dir
    state_dir: String,
    /// num.stream.threads
    threads: u32,
    /// Further settings, key=value; topic.NAME=OTHER renames a topic.
    settings: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    Fjall,
    Rocksdb,
    Memory,
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(log_filter())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let Command::Run(run) = Arguments::parse().command;
    let (config, topics) = run.config()?;
    let builder = StreamsBuilder::new();
    run.workload.build(&builder, &topics);
    let start = Instant::now();
    let mut streams = KafkaStreams::new(builder.build()?, config)?
        .on_state_change(move |change| println!("state {} at {:.3} s", change.to, start.elapsed().as_secs_f64()));
    streams.start()?;
    let ended = streams.wait_for_ctrl_c();
    println!("commits {}", commits(&streams));
    Ok(ended?)
}

/// How often the stream threads have committed.
fn commits(streams: &KafkaStreams) -> f64 {
    let metrics = streams.metrics().into_iter();
    let totals = metrics.filter(|metric| metric.group == "stream-thread-metrics" && metric.name == "commit-total");
    totals.map(|metric| metric.value).sum()
}

impl Run {
    /// The settings of the JVM's side, then the caller's, and the topics' names.
    fn config(&self) -> Result<(StreamsConfig, Topics), Box<dyn Error>> {
        let mut topics = Topics::default();
        let mut config = StreamsConfig::new(&self.application_id, &self.bootstrap)
            .set("state.dir", &self.state_dir)
            .set("num.stream.threads", self.threads)
            .set("commit.interval.ms", 1000)
            .set("auto.offset.reset", "earliest");
        config = match self.engine {
            Engine::Fjall => config.set("kstreams.state.engine", "fjall"),
            Engine::Rocksdb => config.set("kstreams.state.engine", "rocksdb"),
            Engine::Memory => config.set("kstreams.state.engine", "memory"),
        };
        for setting in &self.settings {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| format!("{setting} is not key=value"))?;
            if let Some(topic) = key.strip_prefix("topic.") {
                topics.0.insert(topic.to_owned(), value.to_owned());
            } else {
                config = config.set(key, value);
            }
        }
        Ok((config, topics))
    }
}

fn log_filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"))
}
