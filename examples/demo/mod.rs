//! What surrounds the topology in the examples: a broker if none is named, topics, standard input and output.

mod drain;
mod lines;

use kstreams::prelude::*;
use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::admin::{NewTopic, OffsetSpec};
use kstreams_client::{Client, ClientConfig};

use drain::Printer;

/// How examples end.
pub(crate) type Outcome = Result<(), Failure>;

/// Why an example failed. `main` prints it by `Debug`, so that is where it is told in words, with its causes.
pub(crate) struct Failure(Box<dyn std::error::Error>);

impl<E: Into<Box<dyn std::error::Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&kstreams::with_causes(&*self.0))
    }
}

/// The topic that all examples read.
pub(crate) const INPUT: &str = "streams-plaintext-input";

/// How a record of the output is printed.
type Print = fn(key: Option<&[u8]>, value: Option<&[u8]>) -> String;

/// An example: its name, where it writes, and how that is printed.
pub(crate) struct Demo {
    application: &'static str,
    output: &'static str,
    compacted: bool,
    print: Print,
}

impl Demo {
    /// An example whose output is printed as text.
    pub(crate) fn new(application: &'static str, output: &'static str) -> Self {
        Self {
            application,
            output,
            compacted: false,
            print: |_, value| text(value),
        }
    }

    /// The output is a table: only the latest record of each key has to be kept.
    #[allow(
        dead_code,
        reason = "each example compiles this file for itself, and not each has a table"
    )]
    pub(crate) fn compacted(mut self) -> Self {
        self.compacted = true;
        self
    }

    /// Prints records in another way.
    #[allow(
        dead_code,
        reason = "each example compiles this file for itself, and not each prints in its own way"
    )]
    pub(crate) fn printing(mut self, print: Print) -> Self {
        self.print = print;
        self
    }

    /// Runs the topology: on the brokers that the arguments name, until Ctrl-C; else on a broker of its own, until the
    /// end of standard input.
    pub(crate) fn run(self, topology: Topology) -> Outcome {
        tracing_subscriber::fmt()
            .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned()))
            .with_writer(std::io::stderr)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
        match bootstrap_server()? {
            Some(servers) => self.run_on_cluster(topology, &servers),
            None => self.run_embedded(topology),
        }
    }

    fn run_on_cluster(self, topology: Topology, servers: &str) -> Outcome {
        self.create_topics(&connect(servers)?)?;
        let mut streams = KafkaStreams::new(topology, self.config(servers))?;
        streams.start()?;
        eprintln!("{} runs on {servers}; Ctrl-C ends it", self.application);
        Ok(streams.wait_for_ctrl_c()?)
    }

    fn run_embedded(self, topology: Topology) -> Outcome {
        let broker = Broker::start(BrokerConfig::default())?;
        let servers = broker.bootstrap_servers();
        eprintln!("an embedded broker listens on {servers}; type lines, end with Ctrl-D");
        let client = connect(&servers)?;
        self.create_topics(&client)?;

        // The broker keeps nothing either.
        let config = self.config(&servers).set("kstreams.state.engine", "memory");
        let mut streams = KafkaStreams::new(topology, config)?;
        streams.start()?;
        let typed = lines::send(&client, INPUT);
        let mut printer = Printer::new(&client, self.output, self.print)?;
        while !typed.is_finished() && !streams.state().is_final() {
            printer.print_next()?;
        }
        if typed.is_finished() {
            typed
                .join()
                .map_err(|_| Failure::from("the thread that reads lines panicked"))??;
        }
        while !streams.state().is_final() && !drain::is_consumed(&client, self.application)? {
            printer.print_next()?;
        }
        printer.print_rest()?;
        let failed = streams.state() == State::Error;
        streams.close(None)?;
        broker.stop()?;
        if failed {
            Err("the application ended by an error".into())
        } else {
            Ok(())
        }
    }

    /// As Java's demo has it: every count is seen, because nothing is cached.
    fn config(&self, servers: &str) -> StreamsConfig {
        StreamsConfig::new(self.application, servers)
            .set("statestore.cache.max.bytes", 0)
            .set("commit.interval.ms", 100)
            .set("producer.linger.ms", 5)
            .environment(std::env::vars())
    }

    /// Creates the topics that are missing.
    fn create_topics(&self, client: &Client) -> Outcome {
        let mut output = NewTopic::new(self.output, 1);
        if self.compacted {
            output = output.with_config("cleanup.policy", "compact");
        }
        for (topic, outcome) in client.admin().create_topics(&[NewTopic::new(INPUT, 1), output])? {
            match outcome {
                Ok(()) => eprintln!("created topic {topic}"),
                Err(error) if error.code() == Some(kstreams_wire::code::ErrorCode::TOPIC_ALREADY_EXISTS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Bytes as text.
pub(crate) fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(
        || "null".to_owned(),
        |bytes| String::from_utf8_lossy(bytes).into_owned(),
    )
}

/// Bytes as Java's `LongSerializer` writes them.
#[allow(
    dead_code,
    reason = "each example compiles this file for itself, and not each has numbers"
)]
pub(crate) fn long(bytes: Option<&[u8]>) -> String {
    let long = bytes.and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)));
    long.map_or_else(|| "null".to_owned(), |long| long.to_string())
}

/// The value of `--bootstrap-server`, if it is there.
fn bootstrap_server() -> Result<Option<String>, String> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => Ok(None),
        Some("--bootstrap-server") => {
            let servers = arguments.next().ok_or("--bootstrap-server needs HOST:PORT")?;
            Ok(Some(servers))
        }
        Some(other) => Err(format!("{other} is unknown; allowed is --bootstrap-server HOST:PORT")),
    }
}

fn connect(servers: &str) -> Result<Client, Failure> {
    let properties = [("bootstrap.servers".to_owned(), servers.to_owned())].into();
    Ok(Client::start(ClientConfig::from_properties(&properties)?)?)
}

/// The offsets behind the last records of these topics.
fn ends(
    client: &Client,
    partitions: &[kstreams::TopicPartition],
) -> Result<std::collections::BTreeMap<kstreams::TopicPartition, i64>, Failure> {
    let wanted: Vec<_> = partitions
        .iter()
        .map(|partition| (partition.clone(), OffsetSpec::Latest))
        .collect();
    let listed = client
        .admin()
        .list_offsets(&wanted, kstreams_client::consume::Isolation::ReadUncommitted)?;
    let mut ends = std::collections::BTreeMap::new();
    for (partition, end) in listed {
        ends.insert(partition, end?.offset.unwrap_or(0));
    }
    Ok(ends)
}
