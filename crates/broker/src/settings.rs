//! The configs of a topic: Kafka's keys, their defaults, and the typed form the log works with.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// What values a topic config takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Boolean,
    Int(i64),
    Long(i64),
    Double,
    Choice(&'static [&'static str]),
    List(&'static [&'static str]),
    Text,
}

/// One topic config.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
}

const fn setting(key: &'static str, default: &'static str, kind: Kind) -> Setting {
    Setting { key, default, kind }
}

/// Every topic config of Kafka 4.1, in order of the key. `Int` and `Long` carry the smallest allowed value.
pub(crate) const SETTINGS: &[Setting] = &[
    setting("cleanup.policy", "delete", Kind::List(&["compact", "delete"])),
    setting("compression.gzip.level", "-1", Kind::Int(-1)),
    setting("compression.lz4.level", "9", Kind::Int(1)),
    setting(
        "compression.type",
        "producer",
        Kind::Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
    ),
    setting("compression.zstd.level", "3", Kind::Int(-131_072)),
    setting("delete.retention.ms", "86400000", Kind::Long(0)),
    setting("file.delete.delay.ms", "60000", Kind::Long(0)),
    setting("flush.messages", "9223372036854775807", Kind::Long(1)),
    setting("flush.ms", "9223372036854775807", Kind::Long(0)),
    setting("follower.replication.throttled.replicas", "", Kind::Text),
    setting("index.interval.bytes", "4096", Kind::Int(0)),
    setting("leader.replication.throttled.replicas", "", Kind::Text),
    setting("local.retention.bytes", "-2", Kind::Long(-2)),
    setting("local.retention.ms", "-2", Kind::Long(-2)),
    setting("max.compaction.lag.ms", "9223372036854775807", Kind::Long(1)),
    setting("max.message.bytes", "1048588", Kind::Int(0)),
    setting("message.timestamp.after.max.ms", "3600000", Kind::Long(0)),
    setting("message.timestamp.before.max.ms", "9223372036854775807", Kind::Long(0)),
    setting(
        "message.timestamp.type",
        "CreateTime",
        Kind::Choice(&["CreateTime", "LogAppendTime"]),
    ),
    setting("min.cleanable.dirty.ratio", "0.5", Kind::Double),
    setting("min.compaction.lag.ms", "0", Kind::Long(0)),
    setting("min.insync.replicas", "1", Kind::Int(1)),
    setting("preallocate", "false", Kind::Boolean),
    setting("remote.log.copy.disable", "false", Kind::Boolean),
    setting("remote.log.delete.on.disable", "false", Kind::Boolean),
    setting("remote.storage.enable", "false", Kind::Boolean),
    setting("retention.bytes", "-1", Kind::Long(-1)),
    setting("retention.ms", "604800000", Kind::Long(-1)),
    setting("segment.bytes", "1073741824", Kind::Int(14)),
    setting("segment.index.bytes", "10485760", Kind::Int(4)),
    setting("segment.jitter.ms", "0", Kind::Long(0)),
    setting("segment.ms", "604800000", Kind::Long(1)),
    setting("unclean.leader.election.enable", "false", Kind::Boolean),
];

/// The config of this key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Whether timestamps are the producer's or the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// A topic's configs: what was set, and what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    explicit: BTreeMap<String, String>,
    defaults: BTreeMap<String, String>,
    pub(crate) delete: bool,
    pub(crate) compact: bool,
    pub(crate) retention_ms: Option<i64>,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
    pub(crate) message_bytes_max: usize,
    /// Who asks for all replicas gets nothing written while there are fewer than these: more than the one there is.
    pub(crate) insync_replicas_min: i64,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) timestamp_after_max_ms: i64,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) dirty_ratio_min: f64,
    pub(crate) compaction_lag_min_ms: i64,
    pub(crate) compaction_lag_max_ms: i64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) compression: String,
}

impl Settings {
    /// Settings of a topic: `explicit` over the broker's `defaults` over Kafka's.
    pub(crate) fn parse(explicit: BTreeMap<String, String>, defaults: &BTreeMap<String, String>) -> Result<Self> {
        for (key, value) in explicit.iter().chain(defaults) {
            check(key, value)?;
        }
        let text = |key: &str| effective(&explicit, defaults, key).to_owned();
        let long = |key: &str| text(key).trim().parse::<i64>().unwrap_or_default();
        let policy = text("cleanup.policy");
        let has = |name: &str| policy.split(',').any(|part| part.trim() == name);
        Ok(Self {
            delete: has("delete"),
            compact: has("compact"),
            retention_ms: Some(long("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(long("retention.bytes")).ok(),
            segment_bytes: u64::try_from(long("segment.bytes")).unwrap_or(u64::MAX),
            segment_ms: long("segment.ms"),
            message_bytes_max: usize::try_from(long("max.message.bytes")).unwrap_or(usize::MAX),
            insync_replicas_min: long("min.insync.replicas"),
            timestamp_type: match text("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            dirty_ratio_min: text("min.cleanable.dirty.ratio").trim().parse().unwrap_or(0.5),
            compaction_lag_min_ms: long("min.compaction.lag.ms"),
            compaction_lag_max_ms: long("max.compaction.lag.ms"),
            delete_retention_ms: long("delete.retention.ms"),
            compression: text("compression.type"),
            defaults: defaults.clone(),
            explicit,
        })
    }

    /// What the topic's creator or an alteration has set.
    pub(crate) fn explicit(&self) -> &BTreeMap<String, String> {
        &self.explicit
    }

    /// Every config with the value in force and where it comes from, in order of the key.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&'static Setting, &str, Source)> {
        SETTINGS.iter().map(|setting| {
            let source = match () {
                () if self.explicit.contains_key(setting.key) => Source::Topic,
                () if self.defaults.contains_key(setting.key) => Source::Broker,
                () => Source::Default,
            };
            (setting, effective(&self.explicit, &self.defaults, setting.key), source)
        })
    }
}

/// Where the value of a config comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Topic,
    Broker,
    Default,
}

fn effective<'a>(explicit: &'a BTreeMap<String, String>, defaults: &'a BTreeMap<String, String>, key: &str) -> &'a str {
    let kafka = || find(key).map_or("", |setting| setting.default);
    explicit
        .get(key)
        .or_else(|| defaults.get(key))
        .map_or_else(kafka, String::as_str)
}

/// Whether `key` may have this value.
pub(crate) fn check(key: &str, value: &str) -> Result<()> {
    let fail = |what: String| {
        Err(Error::TopicConfig {
            key: key.to_owned(),
            what,
        })
    };
    if value.contains(char::is_control) {
        return fail("control characters are not allowed".to_owned());
    }
    let Some(setting) = find(key) else {
        return fail("there is no topic config of this name".to_owned());
    };
    let whole = |min: i64, max: i64| match value.trim().parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(()),
        _ => fail(format!("\"{value}\" is not a whole number from {min} to {max}")),
    };
    match setting.kind {
        Kind::Boolean if matches!(value, "true" | "false") => Ok(()),
        Kind::Boolean => fail(format!("\"{value}\" is neither true nor false")),
        Kind::Int(min) => whole(min, i64::from(i32::MAX)),
        Kind::Long(min) => whole(min, i64::MAX),
        Kind::Double => match value.trim().parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
            _ => fail(format!("\"{value}\" is not a number from 0 to 1")),
        },
        Kind::Choice(allowed) if allowed.contains(&value) => Ok(()),
        Kind::List(allowed) if !value.is_empty() && value.split(',').all(|part| allowed.contains(&part.trim())) => {
            Ok(())
        }
        Kind::Choice(allowed) | Kind::List(allowed) => fail(format!("\"{value}\" is not of {}", allowed.join(", "))),
        Kind::Text => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(explicit: &[(&str, &str)]) -> Result<Settings> {
        let explicit = explicit
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::parse(explicit.collect(), &BTreeMap::new())
    }

    #[test]
    fn every_default_is_allowed() {
        for setting in SETTINGS {
            assert!(check(setting.key, setting.default).is_ok(), "{}", setting.key);
        }
    }

    #[test]
    fn policies_combine() {
        let both = settings(&[("cleanup.policy", "compact,delete"), ("retention.ms", "-1")]).unwrap();
        assert!(both.compact && both.delete);
        assert_eq!(both.retention_ms, None);
    }

    #[test]
    fn a_bad_value_is_named() {
        let error = settings(&[("retention.ms", "soon")]).unwrap_err();
        assert!(error.to_string().contains("retention.ms") && error.to_string().contains("soon"));
        assert!(settings(&[("no.such.key", "1")]).is_err());
    }
}
