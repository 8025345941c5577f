//! A real Apache Kafka, started by the repository's own script and stopped by its pid.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Options of Java for a broker that is to answer soon, not to run for long.
const QUICK: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

/// A running Kafka. Dropping it stops it.
pub struct Kafka {
    folder: PathBuf,
    port: u16,
    /// Server properties of its own, one a line.
    properties: String,
    /// Options of its Java.
    java: &'static str,
    /// Deletes the folder with the broker, if it is one of nobody else's.
    _temporary: Option<TempDir>,
}

/// Whether the tests are asked to use a real Kafka; if not, that is said on standard error.
pub fn is_asked_for(test: &str) -> bool {
    let asked = std::env::var_os("TEST_KAFKA").is_some_and(|value| value == "1");
    if !asked {
        eprintln!("SKIPPED {test}: needs a real Kafka and Java 17; run `just test-kafka`");
    }
    asked
}

/// A fresh Kafka, or `None` (said on standard error) where the tests are not asked to use one.
pub fn real(test: &str) -> Option<Kafka> {
    if !is_asked_for(test) {
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut kafka = Kafka::start_in(folder.path(), "");
    kafka._temporary = Some(folder);
    Some(kafka)
}

impl Kafka {
    /// A fresh Kafka that keeps its data and its log in this folder, with these server properties, one a line.
    pub fn start_in(folder: &Path, properties: &str) -> Self {
        let kafka = Self {
            folder: folder.to_owned(),
            port: free_ports(),
            properties: properties.to_owned(),
            java: QUICK,
            _temporary: None,
        };
        kafka.start("0");
        kafka
    }

    /// Its address, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops the broker and keeps its data.
    pub fn stop(&self) {
        let status = script().arg("stop").arg(&self.folder).status().expect("bash runs");
        assert!(status.success(), "Kafka did not stop");
    }

    /// Kills the broker without warning, and waits until it is gone.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).expect("the script wrote down its pid");
        let alive = |signal: &str| {
            let status = Command::new("kill")
                .args([signal, pid.trim()])
                .stderr(Stdio::null())
                .status();
            status.expect("kill runs").success()
        };
        while alive("-KILL") {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a stopped broker again, on the same port and data.
    pub fn restart(&self) {
        self.start("1");
    }

    fn start(&self, keep_data: &str) {
        let output = script()
            .args(["start", &self.folder.display().to_string(), &self.port.to_string()])
            .env("EXTRA_PROPS", &self.properties)
            .env("KAFKA_JAVA", self.java)
            .env("KAFKA_KEEP_DATA", if keep_data == "1" { "1" } else { "" })
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        assert!(
            output.status.success(),
            "Kafka did not start: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Three brokers. Topics have three replicas, and take records while two are in step.
pub struct Cluster {
    nodes: Vec<Kafka>,
    /// Deletes the folder with the brokers, if it is one of nobody else's.
    _temporary: Option<TempDir>,
}

/// Which brokers decide who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controllers {
    /// The first alone: it must stay, the others may go.
    First,
    /// All: any of them may go, one at a time.
    All,
}

/// Three fresh brokers, or `None` (said on standard error) where the tests are not asked to use a real Kafka.
pub fn three(test: &str, controllers: Controllers) -> Option<Cluster> {
    if !is_asked_for(test) {
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cluster = Cluster::start_in(folder.path(), controllers, "");
    cluster._temporary = Some(folder);
    Some(cluster)
}

/// Three on a small machine: what they need to run long and fast only delays their start.
const SMALL: &str = "-Xms128m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1";

/// What a cluster of three wants in addition. Leaders and dead brokers are noticed soon.
const REPLICATED: &str = "\
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
";

/// Ports for three brokers and their controllers.
fn three_ports() -> Vec<u16> {
    let mut ports: Vec<u16> = Vec::new();
    while ports.len() < 3 {
        let port = free_ports();
        if ports.iter().all(|taken| taken.abs_diff(port) > 1) {
            ports.push(port);
        }
    }
    ports
}

impl Cluster {
    /// Three fresh brokers that keep their data and their logs in this folder, with these server properties, one a line.
    pub fn start_in(folder: &Path, controllers: Controllers, properties: &str) -> Self {
        let ports = three_ports();
        let votes = |id: u16| id == 1 || controllers == Controllers::All;
        let voters = (1..).zip(&ports).filter(|(id, _)| votes(*id));
        let voters = voters.map(|(id, port)| format!("{id}@127.0.0.1:{}", port + 1));
        let voters = voters.collect::<Vec<_>>().join(",");
        let nodes = (1..).zip(ports).map(|(id, port)| {
            let mut properties = format!("node.id={id}\ncontroller.quorum.voters={voters}\n{REPLICATED}{properties}\n");
            if !votes(id) {
                properties += &format!("process.roles=broker\nlisteners=PLAINTEXT://127.0.0.1:{port}\n");
            }
            Kafka {
                folder: folder.join(format!("node-{id}")),
                port,
                properties,
                java: SMALL,
                _temporary: None,
            }
        });
        let cluster = Self {
            nodes: nodes.collect(),
            _temporary: None,
        };
        // None of them answers before a majority is up.
        cluster.each(|node| node.start("0"));
        cluster
    }

    /// The brokers.
    pub fn nodes(&self) -> &[Kafka] {
        &self.nodes
    }

    /// Their addresses, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self.nodes.iter().map(Kafka::bootstrap).collect();
        addresses.join(",")
    }

    /// Does it to all brokers at once.
    fn each(&self, action: impl Fn(&Kafka) + Sync) {
        std::thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(|| action(node));
            }
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A broker alone would wait for a majority before it ends, and nobody needs its data any more.
        self.each(Kafka::kill);
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // A failed stop must not hide the test's own failure.
        let _ = script().arg("stop").arg(&self.folder).status();
    }
}

fn script() -> Command {
    let mut command = Command::new("bash");
    let path: PathBuf = crate::root().join("scripts/kafka/kafka.sh");
    command.arg(path).stdout(Stdio::null());
    command
}

/// Two neighbouring free ports: Kafka's listener and its controller's.
pub(crate) fn free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = first.local_addr().expect("a bound socket has an address").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}
