//! The settings as types, by concern. Whoever holds one need not check anything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kstreams_assignor::ProcessId;
use kstreams_client::group::GroupConfig;
use kstreams_client::{ClientConfig, ConsumerConfig, OnLoss, ProducerConfig, TransactionalConfig};
use kstreams_store::{EngineKind, PersistentEngine, RocksDbOptions};
use kstreams_topology::blueprint::ResetPolicy;
use kstreams_topology::graph::ErrorHandlers;
use kstreams_wire::TopicName;

use uuid::Uuid;

use super::StreamsConfig;
use super::clients::{self, Role};
use super::error::ConfigError;
use super::keys::{self, Kind};

const RESET: &str = "auto.offset.reset";

/// All settings of an instance.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `application.id`.
    pub application_id: String,
    /// `client.id`, if it was set.
    pub client_id: Option<String>,
    /// Stream threads and their turns.
    pub thread: ThreadSettings,
    /// `processing.guarantee`.
    pub guarantee: Guarantee,
    /// When to commit.
    pub commit: CommitSettings,
    /// Local state.
    pub state: StateSettings,
    /// Internal topics.
    pub topics: TopicSettings,
    /// What errors of records lead to.
    pub errors: ErrorSettings,
    /// What a topology built for these settings is like.
    pub dsl: DslSettings,
    /// `auto.offset.reset`: where sources start that do not say it themselves.
    pub reset: ResetPolicy,
    /// The shared connections.
    pub client: ClientConfig,
    /// The consumers of the source topics.
    pub main_consumer: ConsumerConfig,
    /// The consumers of the changelogs.
    pub restore_consumer: ConsumerConfig,
    /// The consumer of the topics of global stores.
    pub global_consumer: ConsumerConfig,
    /// The producers; a thread's own comes from [`Settings::producer`].
    producer: ProducerConfig,
    transaction_timeout: Duration,
    /// Group membership.
    pub group: GroupConfig,
}

/// How often the effects of a record count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Once, and again after a failure.
    AtLeastOnce,
    /// Once, whatever happens: output, state and input offsets change together, in transactions.
    ExactlyOnce,
}

/// Stream threads and their turns.
#[derive(Clone, Debug)]
pub struct ThreadSettings {
    /// `num.stream.threads`.
    pub threads: usize,
    /// `poll.ms`.
    pub poll_timeout: Duration,
    /// `buffered.records.per.partition`.
    pub buffered_records_max: usize,
    /// `max.task.idle.ms`.
    pub task_idle_ms: i64,
    /// `task.timeout.ms`: how long a task may fail in a row by what time may heal. It counts from the first failure, which
    /// never ends the task itself: with 0 the second one does.
    pub task_timeout: Duration,
    /// `log.summary.interval.ms`; `None` is off.
    pub log_summary_interval: Option<Duration>,
}

/// When to commit.
#[derive(Clone, Debug)]
pub struct CommitSettings {
    /// `commit.interval.ms`.
    pub interval: Duration,
    /// `kstreams.uncommitted.max.bytes`: more uncommitted state than this asks for a commit before its time.
    pub uncommitted_bytes_max: usize,
    /// `repartition.purge.interval.ms`.
    pub purge_interval: Duration,
}

/// Local state.
#[derive(Clone, Debug)]
pub struct StateSettings {
    /// `state.dir`.
    pub directory: PathBuf,
    /// `kstreams.state.engine`; `None` keeps persistent stores in memory.
    pub engine: Option<PersistentEngine>,
    /// Changes the options of stores in RocksDB.
    pub rocksdb: RocksDbOptions,
    /// `statestore.cache.max.bytes`, for all threads together.
    pub cache_bytes: usize,
    /// `state.cleanup.delay.ms`.
    pub cleanup_delay: Duration,
}

/// Internal topics.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// `replication.factor`.
    pub replication_factor: i16,
    /// `topic.*`.
    pub defaults: BTreeMap<String, String>,
    /// `windowstore.changelog.additional.retention.ms`.
    pub additional_retention_ms: i64,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
}

/// What a topology is like that is built for an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DslSettings {
    /// `dsl.store.suppliers.class`, or `default.dsl.store`: where stores are kept that do not say so themselves.
    pub store: EngineKind,
    /// `topology.optimization`: `reuse.ktable.source.topics`.
    pub reuse_source_topics: bool,
    /// `topology.optimization`: `merge.repartition.topics`.
    pub merge_repartition_topics: bool,
    /// `topology.optimization`: `single.store.self.join`.
    pub single_store_self_join: bool,
}

/// What a record leads to that cannot be decoded or processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The error ends the thread.
    Fail,
    /// The record is counted as dropped.
    Continue,
}

/// What errors of records lead to.
#[derive(Clone, Debug)]
pub struct ErrorSettings {
    /// `deserialization.exception.handler`.
    pub deserialization: OnError,
    /// `processing.exception.handler`.
    pub processing: OnError,
    /// `processing.exception.handler.global.enabled`.
    pub processing_of_globals: bool,
    /// `errors.dead.letter.queue.topic.name`.
    pub dead_letter_topic: Option<TopicName>,
}

impl ErrorSettings {
    /// The handlers that tasks ask, if the program has none of its own.
    pub(crate) fn handlers(&self) -> ErrorHandlers {
        let continuing = ErrorHandlers::log_and_continue();
        let mut handlers = ErrorHandlers::default();
        if self.deserialization == OnError::Continue {
            handlers.deserialization = continuing.deserialization;
        }
        if self.processing == OnError::Continue {
            handlers.processing = continuing.processing;
        }
        match &self.dead_letter_topic {
            Some(topic) => handlers.with_dead_letters(topic.clone()),
            None => handlers,
        }
    }
}

impl Settings {
    /// Checks every key and value.
    pub fn parse(config: &StreamsConfig) -> Result<Self, ConfigError> {
        for (key, value) in config.values() {
            match keys::find(key) {
                Some((_, _, kind)) => kind.check(key, value)?,
                None => clients::check(key, value)?,
            }
        }
        let values = Values(config);
        let application_id = application_id(&values)?;
        let client = ClientConfig::from_properties(&clients::connection(config)).map_err(client_error)?;
        let guarantee = guarantee(&values);
        let properties = |role: Role| isolated(role.properties(config), guarantee);
        let main = properties(Role::MainConsumer)?;
        let restore = committed(properties(Role::RestoreConsumer)?);
        let producer = with_default(Role::Producer.properties(config), "linger.ms", "100");
        let commit = commit(&values, guarantee);
        Ok(Self {
            client_id: values
                .text(keys::CLIENT_ID)
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
            thread: thread(&values),
            transaction_timeout: transaction_timeout(&producer, guarantee, commit.interval)?,
            guarantee,
            commit,
            state: state(&values, config.rocksdb.clone()),
            topics: TopicSettings {
                replication_factor: values.number(keys::REPLICATION_FACTOR) as i16,
                defaults: clients::topics(config),
                additional_retention_ms: values.number(keys::WINDOWSTORE_ADDITIONAL_RETENTION_MS),
                retry_backoff: values.millis(keys::RETRY_BACKOFF_MS),
            },
            errors: errors(&values),
            group: group(&application_id, &main, &client)?,
            dsl: dsl(&values),
            reset: reset(&main)?,
            main_consumer: consumer(&main)?,
            restore_consumer: consumer(&restore)?,
            global_consumer: consumer(&properties(Role::GlobalConsumer)?)?,
            producer: ProducerConfig::from_properties(&producer).map_err(client_error)?,
            client,
            application_id,
        })
    }

    /// The settings of a thread's producer.
    pub fn producer(&self, process: ProcessId, thread: usize) -> ProducerConfig {
        // Tasks ask their production handler about what is lost.
        let mut producer = ProducerConfig {
            on_loss: OnLoss::Report,
            ..self.producer.clone()
        };
        if self.guarantee == Guarantee::ExactlyOnce {
            let process = Uuid::from_bytes(process.0);
            producer.transactional = Some(TransactionalConfig {
                id: format!("{}-{process}-{thread}", self.application_id),
                timeout: self.transaction_timeout,
            });
        }
        producer
    }
}

fn guarantee(values: &Values<'_>) -> Guarantee {
    match values.text(keys::PROCESSING_GUARANTEE) {
        Some(text) if text.eq_ignore_ascii_case("exactly_once_v2") => Guarantee::ExactlyOnce,
        _ => Guarantee::AtLeastOnce,
    }
}

const ISOLATION_LEVEL: &str = "isolation.level";
const READ_COMMITTED: &str = "read_committed";

/// The restore consumer's properties: it reads what is committed under either guarantee. The application may have run under
/// exactly-once before, and what a transaction of that time wrote and aborted was never state.
fn committed(mut properties: BTreeMap<String, String>) -> BTreeMap<String, String> {
    properties.insert(ISOLATION_LEVEL.to_owned(), READ_COMMITTED.to_owned());
    properties
}

/// A consumer's properties: under exactly-once it reads what is committed, and nothing else.
fn isolated(
    mut properties: BTreeMap<String, String>,
    guarantee: Guarantee,
) -> Result<BTreeMap<String, String>, ConfigError> {
    if guarantee == Guarantee::AtLeastOnce {
        return Ok(properties);
    }
    match properties.insert(ISOLATION_LEVEL.to_owned(), READ_COMMITTED.to_owned()) {
        Some(value) if value.trim() != READ_COMMITTED => Err(ConfigError::Value {
            key: ISOLATION_LEVEL.to_owned(),
            value,
            allowed: "read_committed with exactly_once_v2".to_owned(),
        }),
        _ => Ok(properties),
    }
}

/// How long a transaction may be open: long enough for the time between two commits.
fn transaction_timeout(
    producer: &BTreeMap<String, String>,
    guarantee: Guarantee,
    commit_interval: Duration,
) -> Result<Duration, ConfigError> {
    const KEY: &str = "transaction.timeout.ms";
    let producer = with_default(producer.clone(), KEY, "10000");
    let value = producer
        .get(KEY)
        .map(|value| value.trim().to_owned())
        .unwrap_or_default();
    let timeout = value.parse().ok().map(Duration::from_millis);
    let fits = timeout.filter(|timeout| guarantee == Guarantee::AtLeastOnce || *timeout >= commit_interval);
    fits.ok_or_else(|| ConfigError::Value {
        key: KEY.to_owned(),
        value,
        allowed: format!(
            "a whole number of milliseconds, at least commit.interval.ms, which is {}",
            commit_interval.as_millis()
        ),
    })
}

fn thread(values: &Values<'_>) -> ThreadSettings {
    let summary = values.number(keys::LOG_SUMMARY_INTERVAL_MS);
    ThreadSettings {
        threads: values.number(keys::NUM_STREAM_THREADS) as usize,
        poll_timeout: values.millis(keys::POLL_MS),
        buffered_records_max: values.number(keys::BUFFERED_RECORDS_PER_PARTITION) as usize,
        task_idle_ms: values.number(keys::MAX_TASK_IDLE_MS),
        task_timeout: values.millis(keys::TASK_TIMEOUT_MS),
        log_summary_interval: (summary > 0).then(|| Duration::from_millis(summary as u64)),
    }
}

/// Under exactly-once nothing is seen before the commit, so commits are frequent.
const EXACTLY_ONCE_COMMIT_INTERVAL: Duration = Duration::from_millis(100);

fn commit(values: &Values<'_>, guarantee: Guarantee) -> CommitSettings {
    let interval = match guarantee {
        Guarantee::ExactlyOnce if !values.is_set(keys::COMMIT_INTERVAL_MS) => EXACTLY_ONCE_COMMIT_INTERVAL,
        _ => values.millis(keys::COMMIT_INTERVAL_MS),
    };
    CommitSettings {
        interval,
        uncommitted_bytes_max: values.number(keys::UNCOMMITTED_MAX_BYTES) as usize,
        purge_interval: values.millis(keys::REPARTITION_PURGE_INTERVAL_MS),
    }
}

fn state(values: &Values<'_>, rocksdb: RocksDbOptions) -> StateSettings {
    let cache = if values.is_set(keys::STATESTORE_CACHE_MAX_BYTES) {
        keys::STATESTORE_CACHE_MAX_BYTES
    } else {
        keys::CACHE_MAX_BYTES_BUFFERING
    };
    let engine = match values
        .text(keys::STATE_ENGINE)
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "memory" => None,
        "rocksdb" => Some(PersistentEngine::RocksDb),
        "fjall" => Some(PersistentEngine::Fjall),
        _ => Some(PersistentEngine::default()),
    };
    StateSettings {
        directory: values
            .text(keys::STATE_DIR)
            .map_or_else(|| std::env::temp_dir().join("kafka-streams"), PathBuf::from),
        engine,
        rocksdb,
        cache_bytes: values.number(cache) as usize,
        cleanup_delay: values.millis(keys::STATE_CLEANUP_DELAY_MS),
    }
}

fn errors(values: &Values<'_>) -> ErrorSettings {
    let renamed = |old: &'static str, new: &'static str| match (values.is_set(old), values.is_set(new)) {
        (true, true) => {
            tracing::warn!(ignored = old, used = new, "both names of a setting are set");
            new
        }
        (true, false) => old,
        (false, _) => new,
    };
    // The one built-in handler of production is the same under either name.
    renamed(keys::DEFAULT_PRODUCTION_HANDLER, keys::PRODUCTION_HANDLER);
    let deserialization = renamed(keys::DEFAULT_DESERIALIZATION_HANDLER, keys::DESERIALIZATION_HANDLER);
    let global = values.text(keys::PROCESSING_HANDLER_GLOBAL).unwrap_or_default();
    ErrorSettings {
        deserialization: values.on_error(deserialization),
        processing: values.on_error(keys::PROCESSING_HANDLER),
        processing_of_globals: global.eq_ignore_ascii_case("true"),
        dead_letter_topic: values.text(keys::DEAD_LETTER_TOPIC).map(TopicName::from),
    }
}

fn dsl(values: &Values<'_>) -> DslSettings {
    let store = match values.text(keys::DSL_STORE_SUPPLIERS).map(keys::store_supplier) {
        Some(Some(engine)) => engine,
        _ => match values.text(keys::DEFAULT_DSL_STORE) {
            Some(name) if name.eq_ignore_ascii_case("in_memory") => EngineKind::Memory,
            _ => EngineKind::Persistent,
        },
    };
    let optimization = values.text(keys::TOPOLOGY_OPTIMIZATION).unwrap_or_default();
    let applies = |rule: &str| {
        optimization
            .split(',')
            .any(|named| matches!(named.trim(), "all") || named.trim() == rule)
    };
    DslSettings {
        store,
        reuse_source_topics: applies(keys::REUSE_SOURCE_TOPICS),
        merge_repartition_topics: applies(keys::MERGE_REPARTITION_TOPICS),
        single_store_self_join: applies(keys::SINGLE_STORE_SELF_JOIN),
    }
}

/// The id becomes part of topic names, so it must be fit for one.
fn application_id(values: &Values<'_>) -> Result<String, ConfigError> {
    let id = values.text(keys::APPLICATION_ID).ok_or(ConfigError::Missing {
        key: keys::APPLICATION_ID,
        allowed: "a name of letters, digits, '.', '_' and '-'",
    })?;
    if values.text(keys::BOOTSTRAP_SERVERS).is_none() {
        return Err(ConfigError::Missing {
            key: keys::BOOTSTRAP_SERVERS,
            allowed: "a list of host:port",
        });
    }
    let fit = id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if !fit || id.len() > 200 {
        return Err(ConfigError::Value {
            key: keys::APPLICATION_ID.to_owned(),
            value: id.to_owned(),
            allowed: "at most 200 letters, digits, '.', '_' and '-', because topics are named after it".to_owned(),
        });
    }
    Ok(id.to_owned())
}

fn group(id: &str, main: &BTreeMap<String, String>, client: &ClientConfig) -> Result<GroupConfig, ConfigError> {
    let millis = |key: &str, default: Duration| match main.get(key) {
        None => Ok(default),
        Some(value) => match value.trim().parse::<u64>() {
            Ok(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
            _ => Err(ConfigError::Value {
                key: key.to_owned(),
                value: value.clone(),
                allowed: "a whole number of at least 1".to_owned(),
            }),
        },
    };
    let mut group = GroupConfig::new(id);
    group.instance_id = main.get("group.instance.id").cloned();
    group.rack = main.get("client.rack").cloned();
    group.session_timeout = millis("session.timeout.ms", group.session_timeout)?;
    group.heartbeat_interval = millis("heartbeat.interval.ms", group.heartbeat_interval)?;
    group.poll_interval_max = millis("max.poll.interval.ms", group.poll_interval_max)?;
    group.retry_backoff = client.retry_backoff;
    group.retry_backoff_max = client.retry_backoff_max;
    group.request_timeout = client.request_timeout;
    if group.heartbeat_interval >= group.session_timeout {
        return Err(ConfigError::Value {
            key: "heartbeat.interval.ms".to_owned(),
            value: group.heartbeat_interval.as_millis().to_string(),
            allowed: format!(
                "less than session.timeout.ms, which is {}",
                group.session_timeout.as_millis()
            ),
        });
    }
    Ok(group)
}

/// `earliest`, `latest`, `none`, or `by_duration:` and a duration as ISO 8601 writes them.
fn reset(main: &BTreeMap<String, String>) -> Result<ResetPolicy, ConfigError> {
    let value = main.get(RESET).map_or("earliest", |value| value.trim());
    let policy = match value.to_ascii_lowercase().as_str() {
        "earliest" => Some(ResetPolicy::Earliest),
        "latest" => Some(ResetPolicy::Latest),
        "none" => Some(ResetPolicy::None),
        other => other
            .strip_prefix("by_duration:")
            .and_then(super::duration::parse)
            .map(ResetPolicy::ByDuration),
    };
    policy.ok_or_else(|| ConfigError::Value {
        key: RESET.to_owned(),
        value: value.to_owned(),
        allowed: "earliest, latest, none or by_duration:<duration>, such as by_duration:PT1H30M".to_owned(),
    })
}

/// A consumer never starts anywhere by itself: the thread knows each source's policy.
fn consumer(properties: &BTreeMap<String, String>) -> Result<ConsumerConfig, ConfigError> {
    let mut properties = properties.clone();
    properties.insert(RESET.to_owned(), "none".to_owned());
    ConsumerConfig::from_properties(&properties).map_err(client_error)
}

fn with_default(mut properties: BTreeMap<String, String>, key: &str, value: &str) -> BTreeMap<String, String> {
    properties.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    properties
}

fn client_error(error: kstreams_client::ConfigError) -> ConfigError {
    ConfigError::Value {
        key: error.key,
        value: error.value,
        allowed: error.allowed,
    }
}

/// Typed reading of values that were checked.
struct Values<'a>(&'a StreamsConfig);

impl Values<'_> {
    fn is_set(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(str::trim)
    }

    fn number(&self, key: &str) -> i64 {
        let default = keys::find(key).map_or("", |(_, default, _)| default);
        let text = self.text(key).unwrap_or(default);
        text.parse()
            .expect("the value was checked against the table, whose defaults are good")
    }

    fn millis(&self, key: &str) -> Duration {
        Duration::from_millis(self.number(key).max(0) as u64)
    }

    fn on_error(&self, key: &str) -> OnError {
        match (keys::find(key), self.text(key)) {
            (Some((_, _, Kind::Handler(fail, go_on))), Some(value))
                if keys::handler(value, fail, go_on) == Some(true) =>
            {
                OnError::Continue
            }
            _ => OnError::Fail,
        }
    }
}
