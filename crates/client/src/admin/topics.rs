//! Topics: created, deleted, described, listed, widened.

use std::collections::BTreeMap;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, TopicName as Name,
};
use kafka_protocol::protocol::StrBytes;
use kstreams_wire::TopicName;

use super::round::Round;
use super::{Admin, Outcomes, text, verdict, wire_name};
use crate::cluster::Cluster;
use crate::error::Result;

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions; the broker's default if `None`.
    pub partitions: Option<i32>,
    /// How many replicas of each; the broker's default if `None`.
    pub replication_factor: Option<i16>,
    /// Settings that differ from the broker's defaults.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with so many partitions, everything else by the broker's defaults.
    pub fn new(name: impl Into<TopicName>, partitions: i32) -> Self {
        Self {
            name: name.into(),
            partitions: Some(partitions),
            replication_factor: None,
            configs: BTreeMap::new(),
        }
    }

    /// With one setting more.
    #[must_use]
    pub fn with_config(mut self, key: &str, value: &str) -> Self {
        self.configs.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// A topic as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its id, which a topic of the same name that is created later does not have; `None` from brokers that have no ids.
    pub id: Option<[u8; 16]>,
    /// Whether the topic belongs to Kafka itself.
    pub is_internal: bool,
    /// Its partitions, by their numbers.
    pub partitions: Vec<PartitionDescription>,
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// The broker that leads it, if one does.
    pub leader: Option<i32>,
    /// The brokers that keep a replica.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync: Vec<i32>,
}

/// One entry of the list of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: TopicName,
    /// Whether the topic belongs to Kafka itself.
    pub is_internal: bool,
    /// How many partitions it has.
    pub partitions: i32,
}

impl Admin {
    /// Creates topics. One that exists is an error with the code `TOPIC_ALREADY_EXISTS`.
    pub fn create_topics(&self, topics: &[NewTopic]) -> Result<Outcomes<TopicName, ()>> {
        let wanted: BTreeMap<TopicName, NewTopic> = topics.iter().map(|t| (t.name.clone(), t.clone())).collect();
        let names = wanted.keys().cloned().collect();
        let round = self.round("creating topic");
        let wait = self.wait_ms();
        self.run("creating topics", async move {
            let attempt = |cluster: Cluster, names: Vec<TopicName>| {
                let topics = names
                    .iter()
                    .filter_map(|name| wanted.get(name))
                    .map(creatable)
                    .collect();
                let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(wait);
                async move {
                    let answer = cluster.send(cluster.controller().await, request).await?;
                    let rows = answer.topics.iter();
                    Ok(rows
                        .map(|t| outcome("topic", &t.name, t.error_code, t.error_message.as_ref()))
                        .collect())
                }
            };
            Ok(round.run(names, attempt).await)
        })
    }

    /// Deletes topics.
    pub fn delete_topics(&self, topics: &[TopicName]) -> Result<Outcomes<TopicName, ()>> {
        let round = self.round("deleting topic");
        let (names, wait) = (topics.to_vec(), self.wait_ms());
        self.run("deleting topics", async move {
            let attempt = |cluster: Cluster, names: Vec<TopicName>| async move {
                let node = cluster.controller().await;
                let build = |version| delete_request(version, &names, wait);
                let answer = cluster.send_built(node, build).await?;
                let named = answer.responses.iter().filter_map(|t| {
                    let name = t.name.as_ref()?;
                    Some(outcome("topic", name, t.error_code, t.error_message.as_ref()))
                });
                Ok(named.collect())
            };
            Ok(round.run(names, attempt).await)
        })
    }

    /// Raises the number of partitions of topics to the given totals.
    pub fn create_partitions(&self, totals: &[(TopicName, i32)]) -> Result<Outcomes<TopicName, ()>> {
        let totals: BTreeMap<TopicName, i32> = totals.iter().cloned().collect();
        let names = totals.keys().cloned().collect();
        let round = self.round("adding partitions to topic");
        let wait = self.wait_ms();
        self.run("adding partitions", async move {
            let attempt = |cluster: Cluster, names: Vec<TopicName>| {
                let row = |name: &TopicName| {
                    let count = totals.get(name).copied().unwrap_or_default();
                    CreatePartitionsTopic::default()
                        .with_name(wire_name(name))
                        .with_count(count)
                        .with_assignments(None)
                };
                let topics = names.iter().map(row).collect();
                let request = CreatePartitionsRequest::default()
                    .with_topics(topics)
                    .with_timeout_ms(wait);
                async move {
                    let answer = cluster.send(cluster.controller().await, request).await?;
                    let rows = answer.results.iter();
                    let what = "partitions of topic";
                    Ok(rows
                        .map(|t| outcome(what, &t.name, t.error_code, t.error_message.as_ref()))
                        .collect())
                }
            };
            Ok(round.run(names, attempt).await)
        })
    }

    /// Describes topics. One that does not exist is an error with the code `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn describe_topics(&self, topics: &[TopicName]) -> Result<Outcomes<TopicName, TopicDescription>> {
        let round = self.round("describing topic");
        let names = topics.to_vec();
        self.run("describing topics", async move {
            let attempt = |cluster: Cluster, names: Vec<TopicName>| async move {
                let named = |name: &TopicName| MetadataRequestTopic::default().with_name(Some(wire_name(name)));
                let request = metadata_request().with_topics(Some(names.iter().map(named).collect()));
                let answer = cluster.send_any(request).await?;
                let named = answer.topics.iter().filter_map(|topic| {
                    let name = TopicName::new(&topic.name.as_ref()?.0);
                    let code = verdict(&format!("topic {name}"), topic.error_code, None);
                    Some((name, code.map(|()| description(topic))))
                });
                Ok(named.collect())
            };
            Ok(round.run(names, attempt).await)
        })
    }

    /// All topics that this client may see, sorted by name.
    pub fn list_topics(&self) -> Result<Vec<TopicListing>> {
        let cluster = self.cluster.clone();
        self.run("listing topics", async move {
            let answer = cluster.send_any(metadata_request().with_topics(None)).await?;
            let listed = answer
                .topics
                .iter()
                .filter(|topic| topic.error_code == 0)
                .filter_map(|topic| {
                    Some(TopicListing {
                        name: TopicName::new(&topic.name.as_ref()?.0),
                        is_internal: topic.is_internal,
                        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
                    })
                });
            let mut topics: Vec<_> = listed.collect();
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(topics)
        })
    }

    pub(super) fn round(&self, what: &'static str) -> Round {
        Round {
            cluster: self.cluster.clone(),
            what,
            limit: self.limit,
        }
    }
}

fn outcome(what: &str, name: &Name, code: i16, message: Option<&StrBytes>) -> (TopicName, Result<()>) {
    let name = TopicName::new(&name.0);
    let verdict = verdict(&format!("{what} {name}"), code, message);
    (name, verdict)
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(key, value): (&String, &String)| {
        CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(wire_name(&topic.name))
        .with_num_partitions(topic.partitions.unwrap_or(-1))
        .with_replication_factor(topic.replication_factor.unwrap_or(-1))
        .with_configs(topic.configs.iter().map(config).collect())
}

fn delete_request(version: i16, names: &[TopicName], wait: i32) -> DeleteTopicsRequest {
    let request = DeleteTopicsRequest::default().with_timeout_ms(wait);
    if version >= 6 {
        let state = |name: &TopicName| DeleteTopicState::default().with_name(Some(wire_name(name)));
        return request.with_topics(names.iter().map(state).collect());
    }
    request.with_topic_names(names.iter().map(wire_name).collect())
}

fn metadata_request() -> MetadataRequest {
    MetadataRequest::default().with_allow_auto_topic_creation(false)
}

fn description(topic: &MetadataResponseTopic) -> TopicDescription {
    let mut rows: Vec<_> = topic.partitions.iter().collect();
    rows.sort_by_key(|row| row.partition_index);
    let ids = |brokers: &[kafka_protocol::messages::BrokerId]| brokers.iter().map(|broker| broker.0).collect();
    let partitions = rows.into_iter().map(|row| PartitionDescription {
        leader: Some(row.leader_id.0).filter(|leader| *leader >= 0),
        replicas: ids(&row.replica_nodes),
        in_sync: ids(&row.isr_nodes),
    });
    TopicDescription {
        id: (!topic.topic_id.is_nil()).then(|| topic.topic_id.into_bytes()),
        is_internal: topic.is_internal,
        partitions: partitions.collect(),
    }
}
