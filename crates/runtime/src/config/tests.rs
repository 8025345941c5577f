//! Promises of the configuration: what is taken, what is refused, and what the refusal says.

use std::time::Duration;

use kstreams_store::EngineKind;
use kstreams_topology::blueprint::ResetPolicy;

use super::settings::OnError;
use super::*;

fn base() -> StreamsConfig {
    StreamsConfig::new("app", "localhost:9092")
}

fn refusal(key: &str, value: &str) -> String {
    match base().set(key, value).check() {
        Ok(()) => format!("{key}={value} was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_refusal_names_key_value_and_what_is_allowed() {
    let cases = [
        (
            "num.stream.threads",
            "0",
            "num.stream.threads=\"0\" is not allowed: expected a whole number from 1 to 1024",
        ),
        (
            "commit.interval.ms",
            "soon",
            "commit.interval.ms=\"soon\" is not allowed: expected a whole number of at least 0",
        ),
        (
            "comit.interval.ms",
            "1",
            "comit.interval.ms=\"1\" is unknown: did you mean commit.interval.ms?",
        ),
        (
            "nonsense",
            "1",
            "nonsense=\"1\" is unknown: no key of Kafka Streams or of its clients is called so",
        ),
        (
            "kstreams.state.engine",
            "sled",
            "kstreams.state.engine=\"sled\" is not allowed: expected one of default, fjall, rocksdb, memory",
        ),
        (
            "processing.guarantee",
            "exactly_once",
            "processing.guarantee=\"exactly_once\" is not allowed: expected one of at_least_once, exactly_once_v2",
        ),
        (
            "processing.exception.handler",
            "com.example.Mine",
            "processing.exception.handler=\"com.example.Mine\" is not allowed: expected fail, continue, LogAndFailProcessingExceptionHandler or LogAndContinueProcessingExceptionHandler; KafkaStreams::with_handlers takes handlers of your own",
        ),
        (
            "default.production.exception.handler",
            "continue",
            "default.production.exception.handler=\"continue\" is not allowed: expected fail or DefaultProductionExceptionHandler; KafkaStreams::with_handlers takes handlers of your own",
        ),
        (
            "errors.dead.letter.queue.topic.name",
            "a b",
            "errors.dead.letter.queue.topic.name=\"a b\" is not allowed: expected a topic's name: at most 249 letters, digits, '.', '_' and '-'",
        ),
        (
            "num.standby.replicas",
            "1",
            "num.standby.replicas=\"1\" is not supported by this version: standby tasks are not built yet; allowed is 0",
        ),
        (
            "consumer.group.id",
            "x",
            "consumer.group.id=\"x\" is not supported by this version: it is the application.id",
        ),
        (
            "application.id",
            "a b",
            "application.id=\"a b\" is not allowed: expected at most 200 letters, digits, '.', '_' and '-', because topics are named after it",
        ),
    ];
    for (key, value, message) in cases {
        assert_eq!(refusal(key, value), message);
    }
    assert!(refusal("bootstrap.servers", "nowhere").contains("host:port"));
    assert!(refusal("producer.session.timeout.ms", "1").contains("unknown"));
    assert!(refusal("consumer.request.timeout.ms", "1").contains("without a prefix"));
}

#[test]
fn what_is_off_may_be_said() {
    for (key, value) in [
        ("processing.guarantee", "at_least_once"),
        ("group.protocol", "CLASSIC"),
        ("num.standby.replicas", "0"),
        (
            "deserialization.exception.handler",
            "org.apache.kafka.streams.errors.LogAndContinueExceptionHandler",
        ),
        ("topic.segment.bytes", "1048576"),
        ("producer.linger.ms", "5"),
        ("main.consumer.session.timeout.ms", "10000"),
    ] {
        assert!(base().set(key, value).check().is_ok(), "{}", refusal(key, value));
    }
}

#[test]
fn the_new_name_of_a_handlers_key_wins() {
    let chosen = |settings: &[(&str, &str)]| {
        let config = settings
            .iter()
            .fold(base(), |config, (key, value)| config.set(key, value));
        let settings = Settings::parse(&config).unwrap_or_else(|error| panic!("{error}"));
        settings.errors.deserialization
    };
    let (old, new) = (
        "default.deserialization.exception.handler",
        "deserialization.exception.handler",
    );
    assert_eq!(chosen(&[]), OnError::Fail);
    assert_eq!(chosen(&[(old, "continue")]), OnError::Continue);
    assert_eq!(chosen(&[(old, "continue"), (new, "fail")]), OnError::Fail);
    assert_eq!(chosen(&[(old, "fail"), (new, "continue")]), OnError::Continue);
}

#[test]
fn rules_and_stores_of_topologies() {
    let dsl = |settings: &[(&str, &str)]| {
        let config = settings
            .iter()
            .fold(base(), |config, (key, value)| config.set(key, value));
        let dsl = Settings::parse(&config).map(|settings| settings.dsl);
        let dsl = dsl.unwrap_or_else(|error| panic!("{error}"));
        let rules = [
            dsl.reuse_source_topics,
            dsl.merge_repartition_topics,
            dsl.single_store_self_join,
        ];
        (rules, dsl.store)
    };
    let (on_disk, in_memory) = (EngineKind::Persistent, EngineKind::Memory);
    assert_eq!(dsl(&[]), ([false; 3], on_disk));
    assert_eq!(dsl(&[("topology.optimization", "all")]), ([true; 3], on_disk));
    let list = "single.store.self.join, reuse.ktable.source.topics";
    assert_eq!(dsl(&[("topology.optimization", list)]), ([true, false, true], on_disk));
    assert_eq!(dsl(&[("default.dsl.store", "IN_MEMORY")]), ([false; 3], in_memory));
    let suppliers = |class: &str| format!("org.apache.kafka.streams.state.BuiltInDslStoreSuppliers${class}");
    let both = [
        ("default.dsl.store", "in_memory"),
        ("dsl.store.suppliers.class", &*suppliers("RocksDBDslStoreSuppliers")),
    ];
    assert_eq!(dsl(&both), ([false; 3], on_disk));
    let class = suppliers("InMemoryDslStoreSuppliers");
    assert_eq!(dsl(&[("dsl.store.suppliers.class", &*class)]), ([false; 3], in_memory));
    for value in ["none,reuse.ktable.source.topics", "everything", ""] {
        assert!(refusal("topology.optimization", value).contains("single.store.self.join"));
    }
    assert!(refusal("dsl.store.suppliers.class", "com.example.Own").contains("InMemoryDslStoreSuppliers"));
}

#[test]
fn offsets_are_reset_by_four_policies() {
    let reset = |value: &str| Settings::parse(&base().set("auto.offset.reset", value)).map(|settings| settings.reset);
    let hours = ResetPolicy::ByDuration(Duration::from_secs(2 * 3600));
    assert_eq!(reset("latest").ok(), Some(ResetPolicy::Latest));
    assert_eq!(reset("none").ok(), Some(ResetPolicy::None));
    assert_eq!(reset("by_duration:PT2H").ok(), Some(hours));
    assert_eq!(
        Settings::parse(&base()).map(|settings| settings.reset).ok(),
        Some(ResetPolicy::Earliest)
    );
    assert!(refusal("auto.offset.reset", "by_duration:soon").contains("PT1H30M"));
}

#[test]
fn what_is_required_must_be_there() {
    let error = StreamsConfig::default().check().map_err(|e| e.to_string());
    assert_eq!(
        error,
        Err("application.id is required and was not set: a name of letters, digits, '.', '_' and '-'".to_owned())
    );
}

#[test]
fn a_longer_prefix_wins_whatever_the_order() {
    let settings = Settings::parse(
        &base()
            .set("main.consumer.session.timeout.ms", 7000)
            .set("consumer.session.timeout.ms", 8000)
            .set("session.timeout.ms", 9000),
    )
    .unwrap();
    assert_eq!(settings.group.session_timeout, Duration::from_secs(7));
}

#[test]
fn the_environment_wins_over_what_came_before() {
    let variables = [
        ("KSTREAMS_COMMIT_INTERVAL_MS", "77"),
        ("OTHER", "1"),
        ("KSTREAMS_NUM_STREAM_THREADS", "3"),
    ];
    let config = base()
        .set("commit.interval.ms", 1)
        .environment(variables.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let settings = Settings::parse(&config).unwrap();
    assert_eq!(settings.commit.interval, Duration::from_millis(77));
    assert_eq!(settings.thread.threads, 3);
}

#[test]
fn a_file_is_read() {
    let path = std::env::temp_dir().join(format!("kstreams-config-{}.properties", std::process::id()));
    std::fs::write(
        &path,
        "application.id=from-file\nbootstrap.servers=a:1,b:2\ncache.max.bytes.buffering=5\n",
    )
    .unwrap();
    let settings = Settings::parse(&StreamsConfig::from_file(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(settings.application_id, "from-file");
    assert_eq!(settings.state.cache_bytes, 5);
    let missing = StreamsConfig::from_file("no-such.properties").map_err(|e| e.to_string());
    assert_eq!(
        missing,
        Err("could not read the configuration file no-such.properties".to_owned())
    );
}
