//! Java's side: Kafka's own tools and the JVM's benchmark, run through the repository's scripts.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Runs a Java class with Kafka's jars; gives what it printed. Panics with its standard error if it fails.
pub fn run(class: &str, arguments: &[&str]) -> String {
    finish(
        class,
        command(class, arguments)
            .stdin(Stdio::null())
            .output()
            .expect("bash runs"),
    )
}

/// Like [`run`], with text on standard input.
pub fn run_with_input(class: &str, arguments: &[&str], input: &str) -> String {
    let mut child = command(class, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash runs");
    child
        .stdin
        .take()
        .expect("stdin was piped")
        .write_all(input.as_bytes())
        .expect("the tool reads its input");
    finish(class, child.wait_with_output().expect("the tool ends"))
}

/// The command that runs a Java class with Kafka's jars and `Bench` on its class path.
pub fn command(class: &str, arguments: &[&str]) -> Command {
    let script = crate::root().join("scripts/bench/java.sh");
    let mut command = Command::new("bash");
    command.args([
        "-c",
        r#". "$0"; exec java -Xmx1g -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$class_path" "$@""#,
    ]);
    command.arg(script).arg(class).args(arguments);
    command
}

/// Creates a topic with Kafka's own tool.
pub fn create_topic(bootstrap: &str, topic: &str, partitions: u32) {
    let partitions = partitions.to_string();
    let arguments = [
        "--bootstrap-server",
        bootstrap,
        "--create",
        "--if-not-exists",
        "--topic",
        topic,
        "--partitions",
        &partitions,
    ];
    run("org.apache.kafka.tools.TopicCommand", &arguments);
}

/// Loads the benchmark's deterministic input into its topics.
pub fn load(bootstrap: &str, records: u32, keys: u32, partitions: u32) {
    let numbers = [records, keys, partitions].map(|number| number.to_string());
    run("Bench", &["load", bootstrap, &numbers[0], &numbers[1], &numbers[2]]);
}

/// An input that is loaded in slices, one after the other.
pub struct Slices {
    keys: u32,
    partitions: u32,
    loaded: u32,
    begins_ms: u128,
}

impl Slices {
    /// Nothing of it is loaded yet.
    pub fn new(keys: u32, partitions: u32) -> Self {
        // Recent, or retention deletes the changelogs of windows; and the same for all slices.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock that is right");
        Self {
            keys,
            partitions,
            loaded: 0,
            begins_ms: (now - Duration::from_secs(3600)).as_millis(),
        }
    }

    /// Loads the next so many records.
    pub fn load(&mut self, bootstrap: &str, records: u32) {
        let numbers = [records, self.keys, self.partitions, self.loaded].map(|number| number.to_string());
        let [records_text, keys, partitions, from] = numbers.each_ref().map(String::as_str);
        let base = self.begins_ms.to_string();
        run(
            "Bench",
            &["load", bootstrap, records_text, keys, partitions, from, &base],
        );
        self.loaded += records;
    }
}

/// Waits until the group has consumed and committed every topic that matches.
pub fn watch(bootstrap: &str, group: &str, topics: &str, timeout_s: u32) {
    run("Bench", &["watch", bootstrap, group, topics, &timeout_s.to_string()]);
}

/// The digest of what is committed in a topic.
pub fn digest(bootstrap: &str, topic: &str) -> Digest {
    Digest::parse(&run("Bench", &["digest", bootstrap, topic]))
}

/// The digest of one undisturbed pass over the input, by Java's test driver.
pub fn expect(bootstrap: &str, workload: &str) -> Digest {
    Digest::parse(&run("Bench", &["expect", bootstrap, workload]))
}

/// What a topic holds, however often its values were updated on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// All records, superseded ones too.
    pub records: u64,
    /// Different keys.
    pub keys: u64,
    /// A hash over the latest value of each key.
    pub latest: String,
    /// A hash over all records, in any order.
    pub all: String,
    /// The sum of the latest values, where they are longs.
    pub long_sum: i64,
    /// Like `latest`, of longs alone.
    pub longs: String,
    /// Records whose values are not longs.
    pub texts: u64,
    /// Like `all`, of records whose values are not longs.
    pub text_sum: String,
    /// Longs that are not greater than the one before them under the same key.
    pub falls: u64,
}

impl Digest {
    fn parse(line: &str) -> Self {
        let field = |name: &str| {
            line.split_whitespace()
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                .unwrap_or_else(|| panic!("no {name} in {line}"))
                .to_owned()
        };
        let number = |name: &str| field(name).parse().expect("a number");
        Self {
            records: number("records"),
            keys: number("keys"),
            latest: field("latest"),
            all: field("all"),
            long_sum: field("long_sum").parse().expect("a number"),
            longs: field("longs"),
            texts: number("texts"),
            text_sum: field("text_sum"),
            falls: number("falls"),
        }
    }

    /// What is the same however outputs were cached: the latest of each count, each other output, and that no count falls.
    pub fn outcome(&self) -> (&str, u64, &str, u64) {
        (&self.longs, self.texts, &self.text_sum, self.falls)
    }
}

fn finish(class: &str, output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{class} failed: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
