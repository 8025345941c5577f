//! Java's own tools and Java Kafka Streams on the embedded broker.

use kstreams_tests::program::{self, Program};
use kstreams_tests::{java, kafka};

use super::{PATIENCE, turn};

#[test]
fn javas_tools_and_streams_run_on_the_embedded_broker() {
    let _turn = turn();
    if std::env::var_os("TEST_KAFKA").is_none() {
        // Asks only for the message: no real broker is wanted here, but Java is.
        let _ = kafka::real("javas_tools_and_streams_run_on_the_embedded_broker");
        return;
    }
    let broker = Program::start(program::kstreams().args(["broker", "--listen", "127.0.0.1:0"]));
    let line = broker.line(PATIENCE, |line| line.starts_with("listening on "));
    let bootstrap = line.trim_start_matches("listening on ").to_owned();

    java::create_topic(&bootstrap, "greetings", 2);
    java::run_with_input(
        "org.apache.kafka.tools.ConsoleProducer",
        &["--bootstrap-server", &bootstrap, "--topic", "greetings"],
        "hello\nworld\n",
    );
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        "greetings",
        "--from-beginning",
        "--max-messages",
        "2",
        "--timeout-ms",
        "30000",
    ];
    let printed = java::run("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments);
    assert!(printed.contains("hello") && printed.contains("world"), "{printed}");
    let topics = java::run(
        "org.apache.kafka.tools.TopicCommand",
        &["--bootstrap-server", &bootstrap, "--list"],
    );
    assert!(topics.contains("greetings"), "{topics}");

    java::create_topic(&bootstrap, "out", 4);
    java::load(&bootstrap, 20_000, 1000, 4);
    let state = tempfile::tempdir().expect("a temporary folder");
    let folder = state.path().display().to_string();
    let pipe = Program::start(&mut java::command(
        "Bench",
        &["run", &bootstrap, "pipe", "java-pipe", &folder, "1"],
    ));
    java::watch(&bootstrap, "java-pipe", "events", 120);
    drop(pipe);
    assert_eq!(java::digest(&bootstrap, "out").records, 20_000);
    let groups = java::run(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        &["--bootstrap-server", &bootstrap, "--describe", "--group", "java-pipe"],
    );
    assert!(groups.contains("events"), "{groups}");
    broker.signal("INT");
    broker.terminate_after_signal();
}
