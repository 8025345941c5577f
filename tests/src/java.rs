//! Java's side: Kafka's own tools and the JVM's benchmark, run through the repository's scripts.

use std::io::Write;
use std::process::{Command, Output, Stdio};

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
    run(
        "Bench",
        &[
            "load",
            bootstrap,
            &records.to_string(),
            &keys.to_string(),
            &partitions.to_string(),
        ],
    );
}

/// Waits until the group has consumed and committed every topic that matches.
pub fn watch(bootstrap: &str, group: &str, topics: &str, timeout_s: u32) {
    run("Bench", &["watch", bootstrap, group, topics, &timeout_s.to_string()]);
}

/// The digest of the topic's latest value per key, as `name=value` fields.
pub fn digest(bootstrap: &str, topic: &str) -> Digest {
    let line = run("Bench", &["digest", bootstrap, topic]);
    let field = |name: &str| {
        line.split_whitespace()
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .to_owned()
    };
    Digest {
        records: field("records").parse().expect("digest prints the number of records"),
        keys: field("keys").parse().expect("digest prints the number of keys"),
        latest: field("latest"),
        long_sum: field("long_sum").parse().expect("digest prints the sum of long values"),
    }
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
    /// The sum of the latest values, where they are longs.
    pub long_sum: i64,
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
