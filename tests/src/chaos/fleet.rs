//! The processes of the application: started, killed, frozen.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::application::APPLICATION;
use super::brokers::{Fall, signal};

/// How long a process may take to end when it is asked to.
const STOP_MAX: Duration = Duration::from_secs(60);

/// A process of the application, with a state directory and a log to itself. Dropping it kills it.
pub struct Process {
    program: PathBuf,
    bootstrap: String,
    folder: PathBuf,
    more: Vec<String>,
    child: Option<Child>,
    /// What its state directory was seen to hold.
    holds: BTreeSet<String>,
    /// What went wrong with it that nobody did to it.
    failures: Vec<String>,
}

impl Process {
    /// A process that keeps what it has in `folder`; not started. `more` are settings of its own.
    pub fn new(program: &Path, bootstrap: &str, folder: PathBuf, more: &[String]) -> Self {
        fs::create_dir_all(&folder).expect("the folder can be made");
        Self {
            program: program.to_owned(),
            bootstrap: bootstrap.to_owned(),
            folder,
            more: more.to_vec(),
            child: None,
            holds: BTreeSet::new(),
            failures: Vec::new(),
        }
    }

    /// Where it logs.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Its `state.dir`.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Starts it.
    pub fn start(&mut self) {
        self.child = Some(self.spawn(&[]));
    }

    /// Starts it, and waits until it has died at this fault point, written as `commit:3@7`.
    pub fn die_at(&mut self, point: &str) {
        let mut child = self.spawn(&[("KSTREAMS_FAULT", point)]);
        let deadline = Instant::now() + STOP_MAX;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let log = self.log();
        assert!(
            status.code().is_none() && Instant::now() < deadline,
            "{point} was not reached, see {}",
            log.display()
        );
    }

    fn spawn(&self, environment: &[(&str, &str)]) -> Child {
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("the folder can be written to");
        writeln!(log, "=== started").expect("the log can be written to");
        Command::new(&self.program)
            .envs(environment.iter().copied())
            .args(["app", &self.bootstrap])
            .arg(self.state())
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the process starts")
    }

    /// Ends it.
    pub fn fall(&mut self, fall: Fall) {
        self.look();
        let Some(mut child) = self.child.take() else { return };
        signal(&child, if fall == Fall::Kill { "KILL" } else { "TERM" });
        let deadline = Instant::now() + STOP_MAX;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                break status;
            }
            if Instant::now() > deadline {
                self.failures.push("it did not end when it was asked to".to_owned());
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.compare_state();
        if fall == Fall::Stop && !status.success() {
            self.failures.push(format!("asked to end, it ended with {status}"));
        }
    }

    /// Lets it stand still, or go on.
    pub fn freeze(&mut self, frozen: bool) {
        self.look();
        if let Some(child) = &self.child {
            signal(child, if frozen { "STOP" } else { "CONT" });
        }
    }

    /// Sees whether it has ended by itself, which it must not.
    pub fn look(&mut self) {
        let ended = self
            .child
            .as_mut()
            .and_then(|child| child.try_wait().expect("a child can be asked"));
        if let Some(status) = ended {
            self.child = None;
            self.failures.push(format!("it ended by itself with {status}"));
        }
    }

    /// Sees whether its state directory still is what it was: the same process id, and every store that was there.
    fn compare_state(&mut self) {
        let directory = self.state().join(APPLICATION);
        let mut holds: BTreeSet<String> = fs::read_dir(directory.join("fjall/keyspaces"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| format!("store {}", entry.file_name().display()))
            .collect();
        let id = fs::read_to_string(directory.join("kafka-streams-process-metadata"));
        holds.extend(id.map(|id| format!("process id {id}")));
        let gone = self.holds.difference(&holds);
        self.failures
            .extend(gone.map(|gone| format!("{gone} is gone from its state directory")));
        self.holds = holds;
    }

    /// What went wrong with it that nobody did to it.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
