//! The table of Kafka Streams' keys: what each takes, and which of them this version acts on.

use kstreams_store::EngineKind;

use super::error::ConfigError;

/// The application's name.
pub const APPLICATION_ID: &str = "application.id";
/// The first brokers to contact.
pub const BOOTSTRAP_SERVERS: &str = "bootstrap.servers";
/// Prefix of thread names and client ids.
pub const CLIENT_ID: &str = "client.id";
/// Where local state lives.
pub const STATE_DIR: &str = "state.dir";
/// The number of stream threads.
pub const NUM_STREAM_THREADS: &str = "num.stream.threads";
/// Whether results count at least or exactly once.
pub const PROCESSING_GUARANTEE: &str = "processing.guarantee";
/// Time between commits.
pub const COMMIT_INTERVAL_MS: &str = "commit.interval.ms";
/// Bytes of record caches, over all threads.
pub const STATESTORE_CACHE_MAX_BYTES: &str = "statestore.cache.max.bytes";
/// The older name of [`STATESTORE_CACHE_MAX_BYTES`], used only if that is not set.
pub const CACHE_MAX_BYTES_BUFFERING: &str = "cache.max.bytes.buffering";
/// Records queued per partition before fetching pauses.
pub const BUFFERED_RECORDS_PER_PARTITION: &str = "buffered.records.per.partition";
/// How long to wait for an empty partition.
pub const MAX_TASK_IDLE_MS: &str = "max.task.idle.ms";
/// The longest wait for records.
pub const POLL_MS: &str = "poll.ms";
/// Time between deletions of consumed repartition records.
pub const REPARTITION_PURGE_INTERVAL_MS: &str = "repartition.purge.interval.ms";
/// Age of directories that are deleted, and the period of looking for them.
pub const STATE_CLEANUP_DELAY_MS: &str = "state.cleanup.delay.ms";
/// How long a task may keep failing with timeouts.
pub const TASK_TIMEOUT_MS: &str = "task.timeout.ms";
/// Replication of internal topics.
pub const REPLICATION_FACTOR: &str = "replication.factor";
/// Period of the summary log line.
pub const LOG_SUMMARY_INTERVAL_MS: &str = "log.summary.interval.ms";
/// Wait between retries.
pub const RETRY_BACKOFF_MS: &str = "retry.backoff.ms";
/// What a record that cannot be decoded leads to.
pub const DESERIALIZATION_HANDLER: &str = "deserialization.exception.handler";
/// The older name of [`DESERIALIZATION_HANDLER`], used only if that is not set.
pub const DEFAULT_DESERIALIZATION_HANDLER: &str = "default.deserialization.exception.handler";
/// What an error of a processor leads to.
pub const PROCESSING_HANDLER: &str = "processing.exception.handler";
/// Whether [`PROCESSING_HANDLER`] is asked about global stores, too.
pub const PROCESSING_HANDLER_GLOBAL: &str = "processing.exception.handler.global.enabled";
/// What a record that cannot be serialized or sent leads to.
pub const PRODUCTION_HANDLER: &str = "production.exception.handler";
/// The older name of [`PRODUCTION_HANDLER`], used only if that is not set.
pub const DEFAULT_PRODUCTION_HANDLER: &str = "default.production.exception.handler";
/// Where the built-in handlers put input records aside that could not be decoded, processed or sent.
pub const DEAD_LETTER_TOPIC: &str = "errors.dead.letter.queue.topic.name";
/// The engine of persistent stores; our own key. The default is RocksDB where it is compiled in, else fjall.
pub const STATE_ENGINE: &str = "kstreams.state.engine";
/// Uncommitted bytes per thread that ask for an early commit; our own key.
pub const UNCOMMITTED_MAX_BYTES: &str = "kstreams.uncommitted.max.bytes";

/// What a topology does for fewer topics; it takes effect where the topology is built.
pub const TOPOLOGY_OPTIMIZATION: &str = "topology.optimization";
/// Where tables are kept that do not say so; it takes effect where the topology is built.
pub const DEFAULT_DSL_STORE: &str = "default.dsl.store";
/// The same, by the name of one of Java's two classes; it wins over [`DEFAULT_DSL_STORE`].
pub const DSL_STORE_SUPPLIERS: &str = "dsl.store.suppliers.class";
/// How much longer than their stores the changelogs of window and session stores keep records.
pub const WINDOWSTORE_ADDITIONAL_RETENTION_MS: &str = "windowstore.changelog.additional.retention.ms";

/// A rule of [`TOPOLOGY_OPTIMIZATION`]: stores of source tables are restored from the table's topic.
pub const REUSE_SOURCE_TOPICS: &str = "reuse.ktable.source.topics";
/// A rule of [`TOPOLOGY_OPTIMIZATION`]: repartition topics below one key change become one.
pub const MERGE_REPARTITION_TOPICS: &str = "merge.repartition.topics";
/// A rule of [`TOPOLOGY_OPTIMIZATION`]: joins of a stream with itself keep its records once.
pub const SINGLE_STORE_SELF_JOIN: &str = "single.store.self.join";

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text but the empty one.
    Text,
    /// Any text.
    AnyText,
    /// A whole number from this one up to that one.
    Number(i64, i64),
    /// One of these words; letter case matters not.
    OneOf(&'static [&'static str]),
    /// Whatever passes this check; the text says what does.
    Checked(fn(&str) -> bool, &'static str),
    /// The name of a handler: fail or continue. Java's class names are understood, with or without package.
    Handler(&'static str, &'static str),
    /// A feature of Kafka Streams that is not built: only this value, which means "off", is taken.
    Only(&'static str, &'static str),
    /// A key that makes no sense here, and why.
    Never(&'static str),
}

const MAX: i64 = i64::MAX;
const INT: i64 = i32::MAX as i64;

const DESERIALIZATION: Kind = Kind::Handler("LogAndFailExceptionHandler", "LogAndContinueExceptionHandler");
const PRODUCTION: Kind = Kind::Checked(
    |value| handler(value, "DefaultProductionExceptionHandler", "") == Some(false),
    "fail or DefaultProductionExceptionHandler; KafkaStreams::with_handlers takes handlers of your own",
);

/// Key, default (`""`: none) and what it takes.
pub const TABLE: &[(&str, &str, Kind)] = &[
    (APPLICATION_ID, "", Kind::Text),
    (BOOTSTRAP_SERVERS, "", Kind::Text),
    (CLIENT_ID, "", Kind::AnyText),
    (STATE_DIR, "", Kind::Text),
    (NUM_STREAM_THREADS, "1", Kind::Number(1, 1024)),
    (COMMIT_INTERVAL_MS, "30000", Kind::Number(0, MAX)),
    (STATESTORE_CACHE_MAX_BYTES, "10485760", Kind::Number(0, MAX)),
    (CACHE_MAX_BYTES_BUFFERING, "10485760", Kind::Number(0, MAX)),
    (BUFFERED_RECORDS_PER_PARTITION, "1000", Kind::Number(1, INT)),
    (MAX_TASK_IDLE_MS, "0", Kind::Number(-1, MAX)),
    (POLL_MS, "100", Kind::Number(1, INT)),
    (REPARTITION_PURGE_INTERVAL_MS, "30000", Kind::Number(0, MAX)),
    (STATE_CLEANUP_DELAY_MS, "600000", Kind::Number(1, MAX)),
    (TASK_TIMEOUT_MS, "300000", Kind::Number(0, MAX)),
    (REPLICATION_FACTOR, "-1", Kind::Number(-1, i16::MAX as i64)),
    (LOG_SUMMARY_INTERVAL_MS, "120000", Kind::Number(i64::MIN, MAX)),
    (RETRY_BACKOFF_MS, "100", Kind::Number(1, INT)),
    (DESERIALIZATION_HANDLER, "fail", DESERIALIZATION),
    (DEFAULT_DESERIALIZATION_HANDLER, "fail", DESERIALIZATION),
    (
        PROCESSING_HANDLER,
        "fail",
        Kind::Handler(
            "LogAndFailProcessingExceptionHandler",
            "LogAndContinueProcessingExceptionHandler",
        ),
    ),
    (
        STATE_ENGINE,
        "default",
        Kind::OneOf(&["default", "fjall", "rocksdb", "memory"]),
    ),
    (UNCOMMITTED_MAX_BYTES, "67108864", Kind::Number(1, MAX)),
    (
        PROCESSING_GUARANTEE,
        "at_least_once",
        Kind::OneOf(&["at_least_once", "exactly_once_v2"]),
    ),
    (
        "group.protocol",
        "classic",
        Kind::Only("classic", "the streams group protocol is not built yet"),
    ),
    (
        "num.standby.replicas",
        "0",
        Kind::Only("0", "standby tasks are not built yet"),
    ),
    (
        "security.protocol",
        "PLAINTEXT",
        Kind::Only("PLAINTEXT", "TLS and SASL are not built yet"),
    ),
    (
        TOPOLOGY_OPTIMIZATION,
        "none",
        Kind::Checked(
            is_optimization,
            "none, all, or a list of reuse.ktable.source.topics, merge.repartition.topics, single.store.self.join",
        ),
    ),
    (DEFAULT_DSL_STORE, "rocksDB", Kind::OneOf(&["rocksDB", "in_memory"])),
    (
        DSL_STORE_SUPPLIERS,
        "",
        Kind::Checked(
            |value| store_supplier(value).is_some(),
            "BuiltInDslStoreSuppliers.RocksDBDslStoreSuppliers or BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers",
        ),
    ),
    (WINDOWSTORE_ADDITIONAL_RETENTION_MS, "86400000", Kind::Number(0, MAX)),
    (
        "metrics.recording.level",
        "INFO",
        Kind::Only("INFO", "only metrics of level INFO are recorded"),
    ),
    (
        "application.server",
        "",
        Kind::Only("", "interactive queries are not built yet"),
    ),
    (
        "enable.metrics.push",
        "false",
        Kind::Only("false", "client telemetry is not built yet"),
    ),
    (
        "rack.aware.assignment.strategy",
        "none",
        Kind::Only("none", "rack-aware assignment is not built yet"),
    ),
    (
        "upgrade.from",
        "",
        Kind::Only("", "there is no older version to upgrade from"),
    ),
    (
        "ensure.explicit.internal.resource.naming",
        "false",
        Kind::Only("false", "this check is not built yet"),
    ),
    (
        "max.warmup.replicas",
        "2",
        Kind::Only("2", "warm-up replicas are not built yet"),
    ),
    (
        "acceptable.recovery.lag",
        "10000",
        Kind::Only("10000", "warm-up replicas are not built yet"),
    ),
    (
        "probing.rebalance.interval.ms",
        "600000",
        Kind::Only("600000", "warm-up replicas are not built yet"),
    ),
    (PROCESSING_HANDLER_GLOBAL, "false", Kind::OneOf(&["true", "false"])),
    (PRODUCTION_HANDLER, "fail", PRODUCTION),
    (DEFAULT_PRODUCTION_HANDLER, "fail", PRODUCTION),
    (
        DEAD_LETTER_TOPIC,
        "",
        Kind::Checked(
            is_topic,
            "a topic's name: at most 249 letters, digits, '.', '_' and '-'",
        ),
    ),
    (
        "default.key.serde",
        "",
        Kind::Never(
            "serdes belong to the types of a stream: give one with Consumed, Produced, Grouped or Materialized",
        ),
    ),
    (
        "default.value.serde",
        "",
        Kind::Never(
            "serdes belong to the types of a stream: give one with Consumed, Produced, Grouped or Materialized",
        ),
    ),
    (
        "default.timestamp.extractor",
        "",
        Kind::Never("give an extractor with Consumed"),
    ),
    (
        "rocksdb.config.setter",
        "",
        Kind::Never("RocksDB options cannot be set yet"),
    ),
    (
        "task.assignor.class",
        "",
        Kind::Never("own assignors are not built yet"),
    ),
    (
        "processor.wrapper.class",
        "",
        Kind::Never("processor wrappers are not built yet"),
    ),
    (
        "default.client.supplier",
        "",
        Kind::Never("the embedded clients cannot be replaced"),
    ),
    (
        "metric.reporters",
        "",
        Kind::Never("read metrics with KafkaStreams::metrics"),
    ),
];

/// What the table says about a key.
pub fn find(key: &str) -> Option<(&'static str, &'static str, Kind)> {
    TABLE.iter().find(|(name, ..)| *name == key).copied()
}

impl Kind {
    /// Whether the value is one that the key takes, or the error that says what is.
    pub fn check(self, key: &str, value: &str) -> Result<(), ConfigError> {
        let bad = |allowed: String| {
            Err(ConfigError::Value {
                key: key.to_owned(),
                value: value.to_owned(),
                allowed,
            })
        };
        let not_built = |reason: String| {
            Err(ConfigError::NotBuilt {
                key: key.to_owned(),
                value: value.to_owned(),
                reason,
            })
        };
        match self {
            Self::AnyText => Ok(()),
            Self::Text if value.trim().is_empty() => bad("a text that is not empty".to_owned()),
            Self::Text => Ok(()),
            Self::Number(least, most) => match value.trim().parse::<i64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                _ => bad(range(least, most)),
            },
            Self::OneOf(words) if words.iter().any(|w| w.eq_ignore_ascii_case(value)) => Ok(()),
            Self::OneOf(words) => bad(format!("one of {}", words.join(", "))),
            Self::Checked(check, _) if check(value) => Ok(()),
            Self::Checked(_, allowed) => bad(allowed.to_owned()),
            Self::Handler(fail, go_on) => match handler(value, fail, go_on) {
                Some(_) => Ok(()),
                None => bad(format!(
                    "fail, continue, {fail} or {go_on}; KafkaStreams::with_handlers takes handlers of your own"
                )),
            },
            Self::Only(off, _) if off.eq_ignore_ascii_case(value) => Ok(()),
            Self::Only("", reason) => not_built(format!("{reason}; leave it unset")),
            Self::Only(off, reason) => not_built(format!("{reason}; allowed is {off}")),
            Self::Never(reason) => not_built(reason.to_owned()),
        }
    }
}

/// Whether this is `none`, `all`, or a list of rules without these two words.
fn is_optimization(value: &str) -> bool {
    let rules = [REUSE_SOURCE_TOPICS, MERGE_REPARTITION_TOPICS, SINGLE_STORE_SELF_JOIN];
    matches!(value.trim(), "none" | "all") || value.split(',').all(|rule| rules.contains(&rule.trim()))
}

/// Whether a topic can have this name.
fn is_topic(name: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name.chars().all(fit) && name != "." && name != ".."
}

/// Where the stores of one of Java's two built-in suppliers are kept; the package may be left out.
pub(super) fn store_supplier(class: &str) -> Option<EngineKind> {
    match class.trim().rsplit(['.', '$']).next()? {
        "RocksDBDslStoreSuppliers" => Some(EngineKind::Persistent),
        "InMemoryDslStoreSuppliers" => Some(EngineKind::Memory),
        _ => None,
    }
}

/// Whether the named handler continues (`true`) or fails.
pub(super) fn handler(value: &str, fail: &str, go_on: &str) -> Option<bool> {
    let simple = value.rsplit('.').next().unwrap_or(value);
    match simple {
        name if name == go_on || name.eq_ignore_ascii_case("continue") => Some(true),
        name if name == fail || name.eq_ignore_ascii_case("fail") => Some(false),
        _ => None,
    }
}

fn range(least: i64, most: i64) -> String {
    match (least, most) {
        (i64::MIN, MAX) => "a whole number".to_owned(),
        (least, MAX) => format!("a whole number of at least {least}"),
        (least, most) => format!("a whole number from {least} to {most}"),
    }
}

/// The key that an environment variable stands for; `name` comes without the prefix.
pub fn from_variable(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', ".")
}

/// The keys nearest to a misspelt one.
pub fn similar(key: &str) -> String {
    let mut near: Vec<(usize, &str)> = TABLE
        .iter()
        .map(|(name, ..)| *name)
        .chain(super::clients::keys())
        .map(|name| (distance(key, name), name))
        .filter(|(distance, name)| *distance <= 3.max(name.len() / 4))
        .collect();
    near.sort_unstable();
    near.dedup();
    let names: Vec<&str> = near.into_iter().take(3).map(|(_, name)| name).collect();
    if names.is_empty() {
        "no key of Kafka Streams or of its clients is called so".to_owned()
    } else {
        format!("did you mean {}?", names.join(" or "))
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            *cell = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
