//! Settings of topics and brokers.

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kstreams_wire::TopicName;

use super::{Admin, Outcomes, text, verdict};
use crate::cluster::{Cluster, NodeId};
use crate::error::Result;

/// Something that has settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic.
    Topic(TopicName),
    /// The broker with this id.
    Broker(i32),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(topic) => write!(f, "topic {topic}"),
            Self::Broker(node) => write!(f, "broker {node}"),
        }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its value; `None` if it has none or it is a secret.
    pub value: Option<String>,
    /// Whether it was set for this very topic or broker, instead of being inherited.
    pub is_own: bool,
    /// Whether it can be changed.
    pub is_read_only: bool,
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

impl Admin {
    /// All settings of topics and brokers, by their keys.
    pub fn describe_configs(
        &self,
        resources: &[Resource],
    ) -> Result<Outcomes<Resource, BTreeMap<String, ConfigEntry>>> {
        let round = self.round("settings of");
        let resources = resources.to_vec();
        self.run("describing settings", async move {
            let attempt = |cluster: Cluster, resources: Vec<Resource>| async move {
                let (topics, brokers): (Vec<_>, Vec<_>) = resources
                    .into_iter()
                    .partition(|resource| matches!(resource, Resource::Topic(_)));
                let mut outcomes = Vec::new();
                if !topics.is_empty() {
                    let answer = cluster.send_any(request(&topics)).await?;
                    outcomes.extend(answer.results.iter().filter_map(described));
                }
                // A broker knows its own settings only.
                for broker in brokers {
                    let Resource::Broker(node) = broker else { continue };
                    match cluster.send(NodeId(node), request(std::slice::from_ref(&broker))).await {
                        Ok(answer) => outcomes.extend(answer.results.iter().filter_map(described)),
                        Err(error) => outcomes.push((broker, Err(error))),
                    }
                }
                Ok(outcomes)
            };
            Ok(round.run(resources, attempt).await)
        })
    }
}

fn request(resources: &[Resource]) -> DescribeConfigsRequest {
    let row = |resource: &Resource| {
        let (kind, name) = match resource {
            Resource::Topic(topic) => (TOPIC, topic.to_string()),
            Resource::Broker(node) => (BROKER, node.to_string()),
        };
        DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(&name))
            .with_configuration_keys(None)
    };
    DescribeConfigsRequest::default().with_resources(resources.iter().map(row).collect())
}

fn described(
    result: &kafka_protocol::messages::describe_configs_response::DescribeConfigsResult,
) -> Option<(Resource, Result<BTreeMap<String, ConfigEntry>>)> {
    let resource = match result.resource_type {
        TOPIC => Resource::Topic(TopicName::new(&result.resource_name)),
        _ => Resource::Broker(result.resource_name.parse().ok()?),
    };
    let verdict = verdict(
        &format!("settings of {resource}"),
        result.error_code,
        result.error_message.as_ref(),
    );
    let entries = || {
        result
            .configs
            .iter()
            .map(|row| (row.name.to_string(), entry(row)))
            .collect()
    };
    Some((resource, verdict.map(|()| entries())))
}

fn entry(row: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        value: row.value.as_ref().map(ToString::to_string),
        // 1: set for the topic; 2: set for this broker.
        is_own: matches!(row.config_source, 1 | 2),
        is_read_only: row.read_only,
    }
}
