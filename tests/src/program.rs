//! Programs of ours as child processes: built once per run, their output collected line by line.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Lines a child has printed so far, on both of its outputs, and whether it has closed them.
#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    open: usize,
}

/// A running program. Dropping it kills it.
pub struct Program {
    child: Child,
    printed: Arc<(Mutex<Printed>, Condvar)>,
}

impl Program {
    /// Starts the command and collects what it prints.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let printed = Arc::new((
            Mutex::new(Printed {
                lines: Vec::new(),
                open: 2,
            }),
            Condvar::new(),
        ));
        collect(child.stdout.take().expect("stdout was piped"), Arc::clone(&printed));
        collect(child.stderr.take().expect("stderr was piped"), Arc::clone(&printed));
        Self { child, printed }
    }

    /// Standard input, once.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input is taken once")
    }

    /// Waits for a line that fulfils the predicate and gives it. Panics with all output if it does not come.
    pub fn line(&self, timeout: Duration, mut predicate: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + timeout;
        let (lock, changed) = &*self.printed;
        let mut printed = lock.lock().expect("collectors do not panic");
        loop {
            if let Some(line) = printed.lines.iter().find(|line| predicate(line)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                printed.open > 0 && !left.is_zero(),
                "the line did not come; printed was:\n{}",
                printed.lines.join("\n")
            );
            printed = changed.wait_timeout(printed, left).expect("collectors do not panic").0;
        }
    }

    /// All lines printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.printed.0.lock().expect("collectors do not panic").lines.clone()
    }

    /// Sends a signal, by name: `TERM`, `INT`, `KILL`, `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -{name} failed");
    }

    /// Waits for the program's end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }

    /// Asks the program to end (SIGTERM) and waits; it must end well.
    pub fn terminate(self) -> Vec<String> {
        self.signal("TERM");
        self.terminate_after_signal()
    }

    /// Waits for the end of a program that was signalled; it must end well.
    pub fn terminate_after_signal(mut self) -> Vec<String> {
        let status = self.wait();
        let lines = self.lines();
        assert!(status.success(), "ended with {status}:\n{}", lines.join("\n"));
        lines
    }

    /// Kills the program without warning.
    pub fn kill(mut self) -> Vec<String> {
        self.signal("KILL");
        self.wait();
        self.lines()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(output: impl Read + Send + 'static, printed: Arc<(Mutex<Printed>, Condvar)>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            printed.0.lock().expect("readers do not panic").lines.push(line);
            printed.1.notify_all();
        }
        printed.0.lock().expect("readers do not panic").open -= 1;
        printed.1.notify_all();
    });
}

/// A command that runs `kstreams-bench`.
pub fn bench() -> Command {
    Command::new(built("kstreams-bench"))
}

/// A command that runs the `kstreams` tool.
pub fn kstreams() -> Command {
    Command::new(built("kstreams"))
}

/// A command that runs an example.
pub fn example(name: &str) -> Command {
    Command::new(built("examples").join(name))
}

/// The path of a program, all of them built once per test run, as the tests themselves are: nothing is compiled twice.
fn built(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--bins",
                "--examples",
                // Those of this crate, so that libraries are not built a second time.
                "--features=kstreams/json,kstreams/avro,kstreams/protobuf,kstreams/fault-injection",
                "-p",
                "kstreams",
                "-p",
                "kstreams-cli",
                "-p",
                "kstreams-bench",
            ])
            .current_dir(crate::root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the programs under test do not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
        target.join("debug")
    });
    folder.join(name)
}
