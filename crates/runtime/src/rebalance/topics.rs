//! Internal topics: how many partitions they need, whether they exist, and their creation.

use std::collections::BTreeMap;

use kstreams_client::admin::{Admin, NewTopic};
use kstreams_topology::blueprint::{
    InternalTopicConfig, PartitionCounts, Subtopologies, TopicPartitions, changelog_config_with, repartition_config,
};
use kstreams_wire::TopicName;
use kstreams_wire::code::ErrorCode;
use tracing::info;

use crate::config::TopicSettings;
use crate::error::{Error, Result};

/// An internal topic as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) name: TopicName,
    pub(crate) partitions: i32,
    pub(crate) config: InternalTopicConfig,
}

/// Makes sure that the internal topics are there.
pub(crate) struct InternalTopics<'a> {
    pub(crate) admin: &'a Admin,
    pub(crate) settings: &'a TopicSettings,
}

impl InternalTopics<'_> {
    /// Decides about partition counts, creates what is missing and validates what is there.
    pub(crate) fn ensure(&self, parts: &Subtopologies) -> Result<PartitionCounts> {
        let external: Vec<TopicName> = parts.external_topics().into_iter().cloned().collect();
        let known = self.describe(&external)?;
        let missing: Vec<String> = external
            .iter()
            .filter(|topic| !known.contains_key(*topic))
            .map(|topic| topic.to_string())
            .collect();
        if !missing.is_empty() {
            return Err(Error::MissingSourceTopics { topics: missing });
        }
        let counts = PartitionCounts::decide(parts, &known).map_err(Error::Topology)?;
        let needed = needed(parts, &counts, self.settings);
        let names: Vec<TopicName> = needed.iter().map(|topic| topic.name.clone()).collect();
        let absent = absent(&needed, &self.describe(&names)?)?;
        if !absent.is_empty() {
            self.create(&absent)?;
        }
        Ok(counts)
    }

    /// How many partitions these topics have; those that do not exist are left out.
    pub(super) fn describe(&self, topics: &[TopicName]) -> Result<TopicPartitions> {
        if topics.is_empty() {
            return Ok(TopicPartitions::new());
        }
        let described = self.admin.describe_topics(topics).map_err(|source| Error::Client {
            action: "ask for the application's topics".to_owned(),
            source: source.into(),
        })?;
        let mut counts = TopicPartitions::new();
        for (topic, answer) in described {
            match answer {
                Ok(found) => {
                    counts.insert(topic, found.partitions.len() as i32);
                }
                Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {}
                Err(source) => {
                    return Err(Error::Client {
                        action: format!("ask for topic {topic}"),
                        source: source.into(),
                    });
                }
            }
        }
        Ok(counts)
    }

    fn create(&self, topics: &[Needed]) -> Result<()> {
        let new: Vec<NewTopic> = topics
            .iter()
            .map(|topic| NewTopic {
                name: topic.name.clone(),
                partitions: Some(topic.partitions),
                replication_factor: Some(self.settings.replication_factor).filter(|factor| *factor > 0),
                configs: topic.config.clone(),
            })
            .collect();
        let created = self.admin.create_topics(&new).map_err(|source| Error::Client {
            action: "create internal topics".to_owned(),
            source: source.into(),
        })?;
        for (topic, answer) in created {
            match answer {
                Ok(()) => info!(%topic, "internal topic created"),
                Err(source) => {
                    return Err(Error::Client {
                        action: format!("create internal topic {topic}"),
                        source: source.into(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Whether the next attempt may go better: brokers come back, deleted topics go away, new ones find their leaders.
pub(crate) fn may_pass(error: &Error) -> bool {
    match error {
        Error::Client { source, .. } => {
            source.is_retriable()
                || matches!(
                    source.code(),
                    Some(ErrorCode::TOPIC_ALREADY_EXISTS | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                )
        }
        _ => false,
    }
}

/// The internal topics of the application.
fn needed(parts: &Subtopologies, counts: &PartitionCounts, settings: &TopicSettings) -> Vec<Needed> {
    let defaults = &settings.defaults;
    let mut topics = BTreeMap::new();
    for part in &parts.parts {
        for topic in part.repartition_sources.keys() {
            let needed = Needed {
                name: topic.clone(),
                partitions: counts.topic(topic).unwrap_or_default(),
                config: repartition_config(defaults),
            };
            topics.insert(topic.clone(), needed);
        }
        for store in &part.stores {
            let Some(topic) = store.changelog.as_ref().filter(|_| !store.changelog_is_source) else {
                continue;
            };
            let needed = Needed {
                name: topic.clone(),
                partitions: counts.tasks(part),
                config: changelog_config_with(&store.spec, defaults, settings.additional_retention_ms),
            };
            topics.insert(topic.clone(), needed);
        }
    }
    topics.into_values().collect()
}

/// Those that do not exist yet. An error if one has another number of partitions: records would go astray.
fn absent(needed: &[Needed], existing: &TopicPartitions) -> Result<Vec<Needed>> {
    let mut absent = Vec::new();
    for topic in needed {
        match existing.get(&topic.name) {
            None => absent.push(topic.clone()),
            Some(found) if *found == topic.partitions => {}
            Some(found) => {
                return Err(Error::InternalTopic {
                    topic: topic.name.to_string(),
                    found: *found,
                    needed: topic.partitions,
                });
            }
        }
    }
    Ok(absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, partitions: i32) -> Needed {
        Needed {
            name: TopicName::from(name),
            partitions,
            config: InternalTopicConfig::new(),
        }
    }

    #[test]
    fn what_is_there_must_fit_and_the_rest_is_absent() {
        let needed = [topic("a", 2), topic("b", 3)];
        let there = |partitions| TopicPartitions::from([(TopicName::from("a"), partitions)]);
        assert_eq!(absent(&needed, &there(2)).unwrap(), [topic("b", 3)]);
        assert_eq!(
            absent(&needed, &there(4)).unwrap_err().to_string(),
            "internal topic a has 4 partitions and needs 2: reset the application before changing its topology or its input"
        );
    }
}
