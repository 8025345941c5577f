//! The configurations of the topics that an application creates for itself.

use std::collections::BTreeMap;

use kstreams_store::{Kind, Logging, SessionLayout, StoreSpec, WindowLayout};
use kstreams_wire::TopicName;

/// How much longer than the store the changelog of a window or session store keeps its records: a day, because brokers count
/// from their own clocks.
const ADDITIONAL_RETENTION_MS: i64 = 86_400_000;

/// The configs of an internal topic, in Kafka's own keys.
pub type InternalTopicConfig = BTreeMap<String, String>;

/// The changelog topic of a store.
pub fn changelog_topic(application_id: &str, store: &str) -> TopicName {
    TopicName::from(format!("{application_id}-{store}-changelog"))
}

/// The configs of a repartition topic. `overrides` are the application's `topic.*` settings, without the prefix.
pub fn repartition_config(overrides: &BTreeMap<String, String>) -> InternalTopicConfig {
    let defaults = [
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "CreateTime"),
        ("retention.ms", "-1"),
        ("segment.bytes", "52428800"),
    ];
    merged(&defaults, [overrides])
}

/// The configs of a store's changelog. `overrides` are the application's `topic.*` settings, without the prefix; the
/// store's own settings win over them.
pub fn changelog_config(spec: &StoreSpec, overrides: &BTreeMap<String, String>) -> InternalTopicConfig {
    changelog_config_with(spec, overrides, ADDITIONAL_RETENTION_MS)
}

/// Like [`changelog_config`], with the application's `windowstore.changelog.additional.retention.ms`: how much longer than
/// the store the changelog of a window or session store keeps its records.
pub fn changelog_config_with(
    spec: &StoreSpec,
    overrides: &BTreeMap<String, String>,
    additional_retention_ms: i64,
) -> InternalTopicConfig {
    let retention_ms = match spec.kind {
        Kind::Window(WindowLayout { retention_ms, .. }) | Kind::Session(SessionLayout { retention_ms, .. }) => {
            Some(retention_ms.saturating_add(additional_retention_ms).to_string())
        }
        _ => None,
    };
    let create_time = ("message.timestamp.type", "CreateTime");
    let defaults: &[_] = match (spec.kind, &retention_ms) {
        (_, Some(retention_ms)) => &[
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", retention_ms.as_str()),
            create_time,
        ],
        _ => &[("cleanup.policy", "compact"), create_time],
    };
    // Compaction keeps the last version of a key only: the others must be there as long as the history reaches.
    let lag_ms = match spec.kind {
        Kind::Versioned(layout) => layout.history_ms.saturating_add(ADDITIONAL_RETENTION_MS).to_string(),
        _ => String::new(),
    };
    let lag = ("min.compaction.lag.ms", lag_ms.as_str());
    let defaults = match spec.kind {
        Kind::Versioned(_) => &[defaults, &[lag]].concat(),
        _ => defaults,
    };
    match &spec.logging {
        Logging::Enabled(own) => merged(defaults, [overrides, own]),
        Logging::Disabled => merged(defaults, [overrides]),
    }
}

fn merged<'a>(
    defaults: &[(&str, &str)],
    layers: impl IntoIterator<Item = &'a BTreeMap<String, String>>,
) -> InternalTopicConfig {
    let defaults = defaults
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut config: InternalTopicConfig = defaults.collect();
    for layer in layers {
        config.extend(layer.clone());
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use kstreams_store::EngineKind;

    #[test]
    fn the_stores_own_settings_win() {
        let own = BTreeMap::from([("retention.ms".to_owned(), "1".to_owned())]);
        let overrides = BTreeMap::from([
            ("retention.ms".to_owned(), "2".to_owned()),
            ("segment.bytes".to_owned(), "3".to_owned()),
        ]);
        let spec = StoreSpec {
            name: "s".to_owned(),
            kind: Kind::KeyValue,
            engine: EngineKind::Memory,
            caching: false,
            logging: Logging::Enabled(own),
        };
        let config = changelog_config(&spec, &overrides);
        let pairs: Vec<(&str, &str)> = config.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(
            pairs,
            [
                ("cleanup.policy", "compact"),
                ("message.timestamp.type", "CreateTime"),
                ("retention.ms", "1"),
                ("segment.bytes", "3"),
            ]
        );
    }
}
