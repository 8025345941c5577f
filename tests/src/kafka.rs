//! A real Apache Kafka, started by the repository's own script and stopped by its pid.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A running Kafka. Dropping it stops it.
pub struct Kafka {
    folder: TempDir,
    port: u16,
}

/// A fresh Kafka, or `None` (said on standard error) where the tests are not asked to use one.
pub fn real(test: &str) -> Option<Kafka> {
    if std::env::var_os("TEST_KAFKA").is_none_or(|value| value != "1") {
        eprintln!("SKIPPED {test}: needs a real Kafka and Java 17; run `just test-kafka`");
        return None;
    }
    let kafka = Kafka {
        folder: tempfile::tempdir().expect("a temporary folder"),
        port: free_ports(),
    };
    kafka.start("0");
    Some(kafka)
}

impl Kafka {
    /// Its address, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops the broker and keeps its data.
    pub fn stop(&self) {
        let status = script()
            .arg("stop")
            .arg(self.folder.path())
            .status()
            .expect("bash runs");
        assert!(status.success(), "Kafka did not stop");
    }

    /// Starts a stopped broker again, on the same port and data.
    pub fn restart(&self) {
        self.start("1");
    }

    fn start(&self, keep_data: &str) {
        let output = script()
            .args([
                "start",
                &self.folder.path().display().to_string(),
                &self.port.to_string(),
            ])
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

impl Drop for Kafka {
    fn drop(&mut self) {
        // A failed stop must not hide the test's own failure.
        let _ = script().arg("stop").arg(self.folder.path()).status();
    }
}

fn script() -> Command {
    let mut command = Command::new("bash");
    let path: PathBuf = crate::root().join("scripts/kafka/kafka.sh");
    command.arg(path).stdout(Stdio::null());
    command
}

/// Two neighbouring free ports: Kafka's listener and its controller's.
fn free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = first.local_addr().expect("a bound socket has an address").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}
