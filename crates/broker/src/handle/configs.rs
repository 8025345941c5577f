//! Shows the configs of topics and of the broker, and alters those of topics.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::{Context, text};
use crate::node::{NODE_ID, Node};
use crate::refusal::Refusal;
use crate::settings::{self, Kind, Source};

/// Kinds of resources that have configs.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Kafka's number for where a value comes from.
pub(super) fn source(source: Source) -> i8 {
    match source {
        Source::Topic => 1,
        Source::Broker => 4,
        Source::Default => 5,
    }
}

/// Kafka's number for a type of values.
fn config_type(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Choice(_) | Kind::Text => 2,
        Kind::Int(_) => 3,
        Kind::Long(_) => 5,
        Kind::Double => 6,
        Kind::List(_) => 7,
    }
}

/// The configs of topics and brokers.
pub(super) fn describe(node: &Rc<Node>, context: &Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match configs_of(node, &resource) {
            Ok(mut configs) => {
                for config in &mut configs {
                    if !request.include_synonyms {
                        config.synonyms.clear();
                    }
                    if context.version < 3 {
                        config.config_type = 0;
                    }
                }
                result.with_configs(configs)
            }
            Err(refusal) => {
                let result = result.with_error_code(refusal.code.code());
                result.with_error_message(Some(text(refusal.message)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn configs_of(node: &Node, resource: &DescribeConfigsResource) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let mut configs = match resource.resource_type {
        TOPIC => topic_configs(node, &resource.resource_name)?,
        BROKER => broker_configs(node, &resource.resource_name)?,
        other => {
            let message = format!("Resources of type {other} have no configs here.");
            return Err(Refusal::new(ResponseError::InvalidRequest, message));
        }
    };
    if let Some(keys) = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty()) {
        configs.retain(|config| keys.contains(&config.name));
    }
    Ok(configs)
}

fn topic_configs(node: &Node, name: &str) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let topics = node.topics.borrow();
    let topic = topics.find(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let configs = topic.settings.listed().map(|(setting, value, from)| {
        let synonym = |value: &str, from| {
            let synonym = DescribeConfigsSynonym::default().with_name(text(setting.key));
            synonym.with_value(Some(text(value))).with_source(source(from))
        };
        let mut synonyms = vec![synonym(value, from)];
        if from != Source::Default {
            synonyms.push(synonym(setting.default, Source::Default));
        }
        DescribeConfigsResourceResult::default()
            .with_name(text(setting.key))
            .with_value(Some(text(value)))
            .with_config_source(source(from))
            .with_config_type(config_type(setting.kind))
            .with_synonyms(synonyms)
    });
    Ok(configs.collect())
}

fn broker_configs(node: &Node, name: &str) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if name != NODE_ID.to_string() {
        let message = format!("Broker id must be {NODE_ID}, but received \"{name}\".");
        return Err(Refusal::new(ResponseError::InvalidRequest, message));
    }
    let config = &node.config;
    let milliseconds = |duration: std::time::Duration| duration.as_millis().to_string();
    let values = [
        (
            "auto.create.topics.enable",
            config.auto_create_topics.to_string(),
            Kind::Boolean,
        ),
        ("default.replication.factor", "1".to_owned(), Kind::Int(1)),
        (
            "group.initial.rebalance.delay.ms",
            milliseconds(config.group_initial_rebalance_delay),
            Kind::Int(0),
        ),
        (
            "group.max.session.timeout.ms",
            milliseconds(config.group_session_timeout_max),
            Kind::Int(0),
        ),
        (
            "group.min.session.timeout.ms",
            milliseconds(config.group_session_timeout_min),
            Kind::Int(0),
        ),
        (
            "log.cleaner.backoff.ms",
            milliseconds(config.compaction_interval),
            Kind::Long(0),
        ),
        (
            "log.retention.check.interval.ms",
            milliseconds(config.retention_check_interval),
            Kind::Long(1),
        ),
        ("node.id", NODE_ID.to_string(), Kind::Int(0)),
        ("num.partitions", config.default_partitions.to_string(), Kind::Int(1)),
        (
            "socket.request.max.bytes",
            config.request_bytes_max.to_string(),
            Kind::Int(1),
        ),
    ];
    let configs = values.into_iter().map(|(key, value, kind)| {
        DescribeConfigsResourceResult::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
            .with_read_only(true)
            .with_config_source(source(Source::Broker))
            .with_config_type(config_type(kind))
    });
    Ok(configs.collect())
}

/// Sets, deletes, adds to and takes from configs of topics.
pub(super) fn alter(
    node: &Rc<Node>,
    _: &Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        let altered = altered(node, &resource).and_then(|configs| {
            let mut topics = node.topics.borrow_mut();
            match request.validate_only {
                true => topics.check_configs(&resource.resource_name, configs).map(|_| ()),
                false => topics.configure(&resource.resource_name, configs),
            }
        });
        match altered {
            Ok(()) => response,
            Err(refusal) => {
                let response = response.with_error_code(refusal.code.code());
                response.with_error_message(Some(text(refusal.message)))
            }
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

/// What a topic's explicit configs would be.
fn altered(node: &Node, resource: &AlterConfigsResource) -> Result<BTreeMap<String, String>, Refusal> {
    if resource.resource_type != TOPIC {
        let message = "Only the configs of topics can be altered while this broker runs.";
        return Err(Refusal::new(ResponseError::InvalidRequest, message));
    }
    let topics = node.topics.borrow();
    let topic = topics
        .find(&resource.resource_name)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    let mut configs = topic.settings.explicit().clone();
    for change in &resource.configs {
        let value = topic
            .settings
            .listed()
            .find(|(setting, ..)| setting.key == &*change.name);
        apply(&mut configs, change, value.map_or("", |(_, value, _)| value))?;
    }
    Ok(configs)
}

fn apply(configs: &mut BTreeMap<String, String>, change: &AlterableConfig, before: &str) -> Result<(), Refusal> {
    let invalid = |what: &str| {
        Err(Refusal::new(
            ResponseError::InvalidConfig,
            format!("{}: {what}", &*change.name),
        ))
    };
    let Some(setting) = settings::find(&change.name) else {
        return invalid("there is no topic config of this name");
    };
    let key = setting.key.to_owned();
    let given = change.value.as_deref();
    let is_list = matches!(setting.kind, Kind::List(_)) || setting.key.ends_with(".replicas");
    let before = before.split(',').filter(|part| !part.is_empty());
    match (change.config_operation, given) {
        (0, Some(value)) => configs.insert(key, value.to_owned()),
        (1, _) => configs.remove(&key),
        (2, Some(value)) if is_list => {
            let mut parts: Vec<_> = before.collect();
            parts.extend(
                value
                    .split(',')
                    .filter(|part| !parts.contains(part))
                    .collect::<Vec<_>>(),
            );
            configs.insert(key, parts.join(","))
        }
        (3, Some(value)) if is_list => {
            let taken: Vec<_> = value.split(',').collect();
            let parts: Vec<_> = before.filter(|part| !taken.contains(part)).collect();
            configs.insert(key, parts.join(","))
        }
        (2 | 3, Some(_)) => return invalid("only lists can be added to and taken from"),
        (0 | 2 | 3, None) => return invalid("null is not a value"),
        (operation, _) => return invalid(&format!("there is no operation {operation}")),
    };
    Ok(())
}
