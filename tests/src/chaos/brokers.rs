//! The broker under the processes: embedded or a real Kafka, both to be killed and started again on their data.

use std::error::Error;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kstreams_broker::BrokerConfig;

use crate::kafka::{Cluster, Controllers, Kafka, free_ports};

/// How long a broker may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(30);

/// What a real Kafka is told besides: what the short time-outs need.
const KAFKA_PROPERTIES: &str = "group.min.session.timeout.ms=1000\n\
    transaction.abort.timed.out.transaction.cleanup.interval.ms=500\n\
    broker.heartbeat.interval.ms=500\n\
    broker.session.timeout.ms=3000";

/// Which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The embedded one, in a process of its own.
    Embedded,
    /// A real Kafka of three brokers, started by the repository's script: what Kafka's own settings want for transactions.
    Kafka,
    /// A real Kafka of one broker. It starts sooner, but may forget committed offsets when it is killed (ADR 9).
    KafkaAlone,
}

/// How something is brought down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fall {
    /// `kill -9`.
    Kill,
    /// SIGTERM, and waited for.
    Stop,
}

/// A broker with a directory and a port to itself. Dropping it ends it.
pub enum Broker {
    /// See [`Kind::Embedded`].
    Embedded(Embedded),
    /// See [`Kind::Kafka`].
    Kafka(Nodes),
    /// See [`Kind::KafkaAlone`].
    KafkaAlone(Kafka),
}

/// Three brokers, of which one at a time is down.
pub struct Nodes {
    cluster: Cluster,
    /// How many times one of them fell.
    falls: usize,
}

/// The embedded broker as a child process.
pub struct Embedded {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    /// Starts a broker with nothing on it. `program` is the one that [serves](serve) under `broker`.
    pub fn start(kind: Kind, program: &Path, folder: &Path) -> Self {
        match kind {
            Kind::Embedded => {
                let mut embedded = Embedded {
                    program: program.to_owned(),
                    folder: folder.to_owned(),
                    port: free_ports(),
                    child: None,
                };
                embedded.start();
                Self::Embedded(embedded)
            }
            Kind::Kafka => Self::Kafka(Nodes {
                cluster: Cluster::start_in(folder, Controllers::All, KAFKA_PROPERTIES),
                falls: 0,
            }),
            Kind::KafkaAlone => Self::KafkaAlone(Kafka::start_in(folder, KAFKA_PROPERTIES)),
        }
    }

    /// Its address, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        match self {
            Self::Embedded(embedded) => format!("127.0.0.1:{}", embedded.port),
            Self::Kafka(nodes) => nodes.cluster.bootstrap(),
            Self::KafkaAlone(kafka) => kafka.bootstrap(),
        }
    }

    /// Brings it down, or of several the one whose turn it is; its data stays.
    pub fn fall(&mut self, fall: Fall) {
        let kafka = match self {
            Self::Embedded(embedded) => return embedded.end(fall),
            Self::Kafka(nodes) => {
                nodes.falls += 1;
                nodes.fallen()
            }
            Self::KafkaAlone(kafka) => kafka,
        };
        match fall {
            Fall::Kill => kafka.kill(),
            Fall::Stop => kafka.stop(),
        }
    }

    /// Starts it again, on the same port and data, and waits until it answers.
    pub fn rise(&mut self) {
        match self {
            Self::Embedded(embedded) => embedded.start(),
            Self::Kafka(nodes) => nodes.fallen().restart(),
            Self::KafkaAlone(kafka) => kafka.restart(),
        }
    }
}

impl Nodes {
    /// The one that fell last.
    fn fallen(&self) -> &Kafka {
        let mut in_turn = self.cluster.nodes().iter().cycle();
        in_turn.nth(self.falls).expect("there are three")
    }
}

impl Embedded {
    fn start(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("broker.log"))
            .expect("the folder can be written to");
        let child = Command::new(&self.program)
            .arg("broker")
            .arg(self.folder.join("data"))
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the broker starts");
        let child = self.child.insert(child);
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = child.try_wait().expect("a child can be asked");
            assert!(
                ended.is_none(),
                "the broker ended with {ended:?}, see {}",
                self.folder.display()
            );
            assert!(Instant::now() < deadline, "the broker does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(&mut self, fall: Fall) {
        let Some(mut child) = self.child.take() else { return };
        signal(&child, if fall == Fall::Kill { "KILL" } else { "TERM" });
        child.wait().expect("a child can be waited for");
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.end(Fall::Kill);
    }
}

/// Sends a signal, by name, to a child that lives.
pub(super) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success(), "kill -{name} failed");
}

/// Runs the embedded broker in this process until SIGTERM, with the short time-outs that the processes ask for.
pub fn serve(directory: &str, port: u16) -> Result<(), Box<dyn Error>> {
    let broker = kstreams_broker::Broker::start(BrokerConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        data: Some(PathBuf::from(directory)),
        group_session_timeout_min: Duration::from_secs(1),
        transaction_check_interval: Duration::from_millis(500),
        ..BrokerConfig::default()
    })?;
    let (ended, end) = std::sync::mpsc::channel();
    ctrlc::set_handler(move || {
        // Nobody waits any more: it ends already.
        let _ = ended.send(());
    })?;
    // A handler that is gone is an end, too.
    let _ = end.recv();
    Ok(broker.stop()?)
}
