//! Runs the embedded broker as a program of its own.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kstreams_broker::{Broker, BrokerConfig};
use tokio::runtime;

/// Run a Kafka broker for development, in memory or in a directory, until Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9092")]
    listen: SocketAddr,
    /// Directory for topics, records and offsets; without it everything is in memory
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Do not create topics that clients ask for
    #[arg(long)]
    no_auto_create_topics: bool,
    /// Partitions of topics whose creator names no number
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    default_partitions: i32,
    /// Create a topic at the start, unless it exists
    #[arg(long = "topic", value_name = "NAME[:PARTITIONS]")]
    topics: Vec<String>,
    /// Change the default of a topic config
    #[arg(long = "topic-config", value_name = "KEY=VALUE", value_parser = key_value)]
    topic_configs: Vec<(String, String)>,
    /// How long an empty group waits for more members
    #[arg(long, value_name = "MS", default_value_t = 0)]
    group_initial_rebalance_delay_ms: u64,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once('=')
        .ok_or_else(|| format!("\"{text}\" is not KEY=VALUE"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// Runs until Ctrl-C or SIGTERM.
pub(crate) fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let default_partitions = arguments.default_partitions;
    let broker = Broker::start(BrokerConfig {
        listen: arguments.listen,
        data: arguments.data,
        auto_create_topics: !arguments.no_auto_create_topics,
        default_partitions,
        topic_defaults: arguments.topic_configs,
        group_initial_rebalance_delay: Duration::from_millis(arguments.group_initial_rebalance_delay_ms),
        ..BrokerConfig::default()
    })?;
    for topic in &arguments.topics {
        let (name, partitions) = match topic.split_once(':') {
            Some((name, partitions)) => (name, partitions.parse()?),
            None => (topic.as_str(), default_partitions),
        };
        if !broker.has_topic(name)? {
            broker.create_topic(name, partitions, &[])?;
        }
    }
    println!("listening on {}", broker.bootstrap_servers());
    runtime.block_on(asked_to_stop())?;
    broker.stop()?;
    Ok(())
}

async fn asked_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
