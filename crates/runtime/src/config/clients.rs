//! What is handed to the embedded clients: the keys each role knows, and the prefixes that single a role out.
//!
//! All clients of an instance share their connections, so the keys of a connection are set once and without a prefix.
//! A key with a role's prefix wins over one with a wider prefix, and that over one without.

use std::collections::BTreeMap;

use kstreams_client::{ClientConfig, ConsumerConfig, ProducerConfig};

use super::StreamsConfig;
use super::error::ConfigError;

/// The keys of group membership, which belongs to the main consumer.
pub const GROUP_KEYS: &[&str] = &[
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "group.instance.id",
    "client.rack",
];

/// Keys whose value the runtime decides.
const FIXED: &[(&str, &str)] = &[
    ("group.id", "it is the application.id"),
    ("enable.auto.commit", "offsets are committed together with state"),
    (
        "transactional.id",
        "it is made of the application.id, the process id and the thread's number",
    ),
    ("partition.assignment.strategy", "the assignor is our own"),
    ("allow.auto.create.topics", "source topics must exist"),
    ("key.deserializer", "serdes belong to the types of a stream"),
    ("value.deserializer", "serdes belong to the types of a stream"),
    ("key.serializer", "serdes belong to the types of a stream"),
    ("value.serializer", "serdes belong to the types of a stream"),
    (
        "max.poll.records",
        "whole batches are handed over: bound them with buffered.records.per.partition",
    ),
];

/// The embedded clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads the source topics, as a member of the group.
    MainConsumer,
    /// Reads changelogs.
    RestoreConsumer,
    /// Reads the topics of global stores.
    GlobalConsumer,
    /// Writes sinks and changelogs.
    Producer,
}

impl Role {
    /// Its prefixes, the widest first.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::MainConsumer => &["consumer.", "main.consumer."],
            Self::RestoreConsumer => &["consumer.", "restore.consumer."],
            Self::GlobalConsumer => &["consumer.", "global.consumer."],
            Self::Producer => &["producer."],
        }
    }

    fn knows(self, key: &str) -> bool {
        match self {
            Self::MainConsumer => ConsumerConfig::KEYS.contains(&key) || GROUP_KEYS.contains(&key),
            Self::RestoreConsumer | Self::GlobalConsumer => ConsumerConfig::KEYS.contains(&key),
            Self::Producer => ProducerConfig::KEYS.contains(&key),
        }
    }

    /// The settings of this role.
    pub fn properties(self, config: &StreamsConfig) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        let prefixes = std::iter::once(&"").chain(self.prefixes());
        for prefix in prefixes {
            for (key, value) in config.values() {
                if let Some(key) = key.strip_prefix(prefix)
                    && self.knows(key)
                {
                    properties.insert(key.to_owned(), value.clone());
                }
            }
        }
        properties
    }
}

/// The prefixes of the embedded clients' keys, and who knows the rest of the key.
const PREFIXES: [(&str, &[Role]); 5] = [
    ("main.consumer.", &[Role::MainConsumer]),
    ("restore.consumer.", &[Role::RestoreConsumer]),
    ("global.consumer.", &[Role::GlobalConsumer]),
    (
        "consumer.",
        &[Role::MainConsumer, Role::RestoreConsumer, Role::GlobalConsumer],
    ),
    ("producer.", &[Role::Producer]),
];

/// All client keys that may stand without a prefix.
pub fn keys() -> impl Iterator<Item = &'static str> {
    let keys = [
        ClientConfig::KEYS,
        ConsumerConfig::KEYS,
        ProducerConfig::KEYS,
        GROUP_KEYS,
    ];
    keys.into_iter().flatten().copied()
}

/// The settings of the shared connections.
pub fn connection(config: &StreamsConfig) -> BTreeMap<String, String> {
    let known = |key: &String| ClientConfig::KEYS.contains(&key.as_str());
    let mut properties: BTreeMap<String, String> = config
        .values()
        .iter()
        .filter(|(key, _)| known(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(timeout) = config.get("admin.default.api.timeout.ms") {
        properties.insert("default.api.timeout.ms".to_owned(), timeout.to_owned());
    }
    properties
}

/// The settings of internal topics: everything that begins with `topic.`.
pub fn topics(config: &StreamsConfig) -> BTreeMap<String, String> {
    config
        .values()
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix("topic.")?.to_owned(), value.clone())))
        .collect()
}

/// Whether a key that is not in the table of Kafka Streams' keys belongs to a client.
pub fn check(key: &str, value: &str) -> Result<(), ConfigError> {
    let error = |reason: &str| ConfigError::NotBuilt {
        key: key.to_owned(),
        value: value.to_owned(),
        reason: reason.to_owned(),
    };
    if key.starts_with("topic.") || key == "admin.default.api.timeout.ms" {
        return Ok(());
    }
    let (bare, roles) = PREFIXES
        .into_iter()
        .find_map(|(prefix, roles)| Some((key.strip_prefix(prefix)?, Some(roles))))
        .or_else(|| Some((key.strip_prefix("admin.")?, Some(&[][..]))))
        .unwrap_or((key, None));
    if let Some((_, reason)) = FIXED.iter().find(|(fixed, _)| *fixed == bare) {
        return Err(error(reason));
    }
    let known = match roles {
        Some(roles) => roles.iter().any(|role| role.knows(bare)),
        None => keys().any(|known| known == bare),
    };
    match roles {
        _ if known => Ok(()),
        Some(_) if ClientConfig::KEYS.contains(&bare) => Err(error(
            "the clients of an instance share their connections: set the key without a prefix",
        )),
        _ => Err(ConfigError::Unknown {
            key: key.to_owned(),
            value: value.to_owned(),
            allowed: super::keys::similar(key),
        }),
    }
}
