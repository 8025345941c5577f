//! Creates topics, gives them more partitions, deletes them.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse,
};

use super::{Context, configs, text};
use crate::node::{NODE_ID, Node, wall_clock_ms};
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::topics::NewTopic;

/// Creates topics, or only says whether it would.
pub(super) fn create(node: &Rc<Node>, context: &Context, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mode = if request.validate_only { Mode::Check } else { Mode::Do };
    let results = request.topics.into_iter().map(|wanted| {
        let result = CreatableTopicResult::default().with_name(wanted.name.clone());
        match create_one(node, wanted, mode) {
            Ok(created) if context.version >= 5 => {
                let configs = created.settings.listed().map(|(setting, value, source)| {
                    CreatableTopicConfigs::default()
                        .with_name(text(setting.key))
                        .with_value(Some(text(value)))
                        .with_config_source(configs::source(source))
                });
                result
                    .with_topic_id(created.id)
                    .with_num_partitions(created.partitions)
                    .with_replication_factor(1)
                    .with_configs(Some(configs.collect()))
            }
            Ok(_) => result,
            Err(refusal) => result
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message)))
                .with_num_partitions(-1)
                .with_replication_factor(-1),
        }
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

/// Whether something is done or only checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Do,
    Check,
}

struct Created {
    id: uuid::Uuid,
    partitions: i32,
    settings: Rc<Settings>,
}

fn create_one(node: &Node, wanted: CreatableTopic, mode: Mode) -> Result<Created, Refusal> {
    let partitions = partitions(node, &wanted)?;
    let configs = wanted.configs.into_iter();
    // A config without a value is one that is not set.
    let configs = configs.filter_map(|config| Some((config.name.to_string(), config.value?.to_string())));
    let new = NewTopic {
        name: wanted.name.to_string(),
        partitions,
        configs: configs.collect::<BTreeMap<_, _>>(),
    };
    let mut topics = node.topics.borrow_mut();
    if mode == Mode::Check {
        return Ok(Created {
            settings: Rc::new(topics.check(&new)?),
            id: uuid::Uuid::nil(),
            partitions,
        });
    }
    let topic = topics.create(new, wall_clock_ms())?;
    Ok(Created {
        id: topic.id,
        partitions,
        settings: Rc::clone(&topic.settings),
    })
}

/// How many partitions a new topic gets: by number, by default, or by a list of who holds them.
fn partitions(node: &Node, wanted: &CreatableTopic) -> Result<i32, Refusal> {
    if wanted.assignments.is_empty() {
        check_replication(wanted.replication_factor)?;
        return Ok(match wanted.num_partitions {
            -1 => node.config.default_partitions,
            count => count,
        });
    }
    if wanted.num_partitions != -1 || wanted.replication_factor != -1 {
        let message = "A manual assignment was specified, but numPartitions or replicationFactor was not set to -1.";
        return Err(Refusal::new(ResponseError::InvalidRequest, message));
    }
    let mut numbers: Vec<i32> = wanted
        .assignments
        .iter()
        .map(|assignment| assignment.partition_index)
        .collect();
    numbers.sort_unstable();
    let consecutive = numbers.iter().zip(0..).all(|(number, expected)| *number == expected);
    let here = wanted
        .assignments
        .iter()
        .all(|assignment| assignment.broker_ids == [BrokerId(NODE_ID)]);
    match i32::try_from(numbers.len()) {
        Ok(count) if consecutive && here => Ok(count),
        _ => Err(Refusal::new(
            ResponseError::InvalidReplicaAssignment,
            format!("Partitions must be numbered from 0, each on broker {NODE_ID} alone."),
        )),
    }
}

fn check_replication(factor: i16) -> Result<(), Refusal> {
    if matches!(factor, -1 | 1) {
        return Ok(());
    }
    let message = match factor {
        2.. => format!("Unable to replicate the partition {factor} time(s): only 1 broker(s) are registered."),
        _ => "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
    };
    Err(Refusal::new(ResponseError::InvalidReplicationFactor, message))
}

/// Deletes topics.
pub(super) fn delete(node: &Rc<Node>, _: &Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .into_iter()
        .map(|name| DeleteTopicState::default().with_name(Some(name)));
    let results = by_name.chain(request.topics).map(|wanted| {
        let result = DeletableTopicResult::default().with_topic_id(wanted.topic_id);
        let name = match &wanted.name {
            Some(name) => Ok(name.to_string()),
            None => match node.topics.borrow().find_id(wanted.topic_id) {
                Some(topic) => Ok(topic.name.clone()),
                None => Err(Refusal::from(ResponseError::UnknownTopicId)),
            },
        };
        let result = result.with_name(name.as_deref().ok().map(|name| text(name).into()));
        match name.and_then(|name| delete_one(node, &name)) {
            Ok(id) => result.with_topic_id(id),
            Err(refusal) => {
                let result = result.with_error_code(refusal.code.code());
                result.with_error_message(Some(text(refusal.message)))
            }
        }
    });
    DeleteTopicsResponse::default().with_responses(results.collect())
}

fn delete_one(node: &Node, name: &str) -> Result<uuid::Uuid, Refusal> {
    let mut topics = node.topics.borrow_mut();
    let id = topics.find(name).ok_or(ResponseError::UnknownTopicOrPartition)?.id;
    topics.delete(name)?;
    node.offsets.borrow_mut().forget_topic(name).map_err(Refusal::storage)?;
    Ok(id)
}

/// Gives topics more partitions, or only says whether it would.
pub(super) fn grow(node: &Rc<Node>, _: &Context, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mode = if request.validate_only { Mode::Check } else { Mode::Do };
    let results = request.topics.into_iter().map(|wanted| {
        let result = CreatePartitionsTopicResult::default().with_name(wanted.name.clone());
        match grow_one(node, &wanted, mode) {
            Ok(()) => result,
            Err(refusal) => {
                let result = result.with_error_code(refusal.code.code());
                result.with_error_message(Some(text(refusal.message)))
            }
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

fn grow_one(node: &Node, wanted: &CreatePartitionsTopic, mode: Mode) -> Result<(), Refusal> {
    let mut topics = node.topics.borrow_mut();
    topics.check_growth(&wanted.name, wanted.count)?;
    let here = |list: &Vec<CreatePartitionsAssignment>| list.iter().all(|new| new.broker_ids == [BrokerId(NODE_ID)]);
    if !wanted.assignments.as_ref().is_none_or(here) {
        let message = format!("Every new partition must be on broker {NODE_ID} alone.");
        return Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
    }
    match mode {
        Mode::Check => Ok(()),
        Mode::Do => topics.grow(&wanted.name, wanted.count, wall_clock_ms()),
    }
}
