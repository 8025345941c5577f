//! The classic demo: Java's console producer writes lines, our word count counts, Java's console consumer prints.

use std::collections::BTreeMap;
use std::time::Instant;

use kstreams_tests::program::{self, Program};
use kstreams_tests::{java, kafka};

use super::{PATIENCE, turn};

const PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const CONFIGS: &str = "kafka.admin.ConfigCommand";

#[test]
fn java_reads_the_counts_of_lines_that_java_wrote() {
    let _turn = turn();
    let Some(kafka) = kafka::real("java_reads_the_counts_of_lines_that_java_wrote") else {
        return;
    };
    let bootstrap = kafka.bootstrap();
    let state = tempfile::tempdir().expect("a temporary folder");
    let mut command = program::example("word_count");
    command
        .args(["--bootstrap-server", &bootstrap])
        .env("KSTREAMS_STATE_DIR", state.path());
    let demo = Program::start(&mut command);
    demo.line(PATIENCE, |line| line.contains("Ctrl-C ends it"));
    let input = "all streams lead to kafka\nhello kafka streams\n";
    java::run_with_input(
        PRODUCER,
        &["--bootstrap-server", &bootstrap, "--topic", "streams-plaintext-input"],
        input,
    );

    let mut counts = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    while counts.get("streams") != Some(&2) || counts.get("kafka") != Some(&2) || counts.len() < 6 {
        assert!(
            Instant::now() < deadline,
            "only {counts:?} came; the demo said {:?}",
            demo.lines()
        );
        let printed = consume(&bootstrap);
        counts.extend(printed.lines().filter_map(|line| {
            let (word, count) = line.split_once('\t')?;
            Some((word.to_owned(), count.parse::<i64>().ok()?))
        }));
    }
    let expected = [
        ("all", 1),
        ("hello", 1),
        ("kafka", 2),
        ("lead", 1),
        ("streams", 2),
        ("to", 1),
    ];
    assert_eq!(counts, expected.map(|(word, count)| (word.to_owned(), count)).into());

    internal_topics_have_javas_configs(&bootstrap);
    demo.signal("INT");
    demo.terminate_after_signal();
}

fn consume(bootstrap: &str) -> String {
    let arguments = [
        "--bootstrap-server",
        bootstrap,
        "--topic",
        "streams-wordcount-output",
        "--from-beginning",
        "--timeout-ms",
        "3000",
        "--property",
        "print.key=true",
        "--property",
        "key.deserializer=org.apache.kafka.common.serialization.StringDeserializer",
        "--property",
        "value.deserializer=org.apache.kafka.common.serialization.LongDeserializer",
    ];
    java::run(CONSUMER, &arguments)
}

fn internal_topics_have_javas_configs(bootstrap: &str) {
    let describe = |topic: &str| {
        java::run(
            CONFIGS,
            &[
                "--bootstrap-server",
                bootstrap,
                "--describe",
                "--entity-type",
                "topics",
                "--entity-name",
                topic,
            ],
        )
    };
    let repartition = describe("streams-wordcount-counts-store-repartition");
    for config in [
        "cleanup.policy=delete",
        "segment.bytes=52428800",
        "retention.ms=-1",
        "message.timestamp.type=CreateTime",
    ] {
        assert!(repartition.contains(config), "{config} is missing: {repartition}");
    }
    let changelog = describe("streams-wordcount-counts-store-changelog");
    for config in ["cleanup.policy=compact", "message.timestamp.type=CreateTime"] {
        assert!(changelog.contains(config), "{config} is missing: {changelog}");
    }
}
