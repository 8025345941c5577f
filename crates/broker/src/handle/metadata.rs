//! Tells clients of the cluster: its one broker, its topics, their partitions.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse, TopicName,
};
use uuid::Uuid;

use super::{Context, text};
use crate::node::{NODE_ID, Node, wall_clock_ms};
use crate::topics::{NewTopic, Topic};

/// Bits of the operations that a client without restriction may do; nobody is restricted here.
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// The client did not ask for operations.
const OPERATIONS_OMITTED: i32 = i32::MIN;

/// Brokers, topics and leaders. Topics come into being here if both sides agree to it.
pub(super) fn metadata(node: &Rc<Node>, context: &Context, request: MetadataRequest) -> MetadataResponse {
    let operations = if request.include_topic_authorized_operations {
        TOPIC_OPERATIONS
    } else {
        OPERATIONS_OMITTED
    };
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && context.version == 0,
    };
    let topics = if all {
        node.topics.borrow().iter().map(describe).collect()
    } else {
        let create = request.allow_auto_topic_creation && node.config.auto_create_topics;
        let wanted = request.topics.unwrap_or_default().into_iter();
        wanted
            .map(|topic| find(node, topic, if create { Missing::Create } else { Missing::Refuse }))
            .collect::<Vec<_>>()
    };
    let topics = topics
        .into_iter()
        .map(|topic| topic.with_topic_authorized_operations(operations));
    let cluster = request.include_cluster_authorized_operations && (8..=10).contains(&context.version);
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(text(context.local.ip().to_string()))
        .with_port(i32::from(context.local.port()));
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(&*node.identity.borrow().cluster_id)))
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics.collect())
        .with_cluster_authorized_operations(if cluster {
            CLUSTER_OPERATIONS
        } else {
            OPERATIONS_OMITTED
        })
}

/// What becomes of a topic that is asked for and does not exist.
#[derive(Clone, Copy)]
enum Missing {
    Create,
    Refuse,
}

fn find(node: &Node, wanted: MetadataRequestTopic, missing: Missing) -> MetadataResponseTopic {
    let Some(name) = wanted.name.filter(|_| wanted.topic_id.is_nil()) else {
        return match node.topics.borrow().find_id(wanted.topic_id) {
            Some(topic) => describe(topic),
            None => absent(None, wanted.topic_id, ResponseError::UnknownTopicId),
        };
    };
    if let Some(topic) = node.topics.borrow().find(&name) {
        return describe(topic);
    }
    match missing {
        Missing::Refuse => absent(Some(name), Uuid::nil(), ResponseError::UnknownTopicOrPartition),
        Missing::Create => {
            let new = NewTopic {
                name: name.to_string(),
                partitions: node.config.default_partitions,
                configs: BTreeMap::new(),
            };
            match node.topics.borrow_mut().create(new, wall_clock_ms()) {
                Ok(topic) => describe(topic),
                Err(refusal) => absent(Some(name), Uuid::nil(), refusal.code),
            }
        }
    }
}

fn absent(name: Option<TopicName>, id: Uuid, error: ResponseError) -> MetadataResponseTopic {
    let topic = MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_topic_id(id);
    // Versions before 12 cannot say null.
    topic.with_name(Some(name.unwrap_or_default()))
}

fn describe(topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..topic.partitions()).map(|partition| {
        MetadataResponsePartition::default()
            .with_partition_index(partition)
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(topic.log(partition).map_or(-1, |log| log.epoch()))
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&*topic.name))))
        .with_topic_id(topic.id)
        .with_is_internal(topic.name.starts_with("__"))
        .with_partitions(partitions.collect())
}

/// The cluster as the admin client sees it.
pub(super) fn describe_cluster(
    node: &Rc<Node>,
    context: &Context,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    // 1 asks for brokers, 2 for controllers, of which clients see none.
    if request.endpoint_type != 1 {
        let message = format!("endpoint type {} is not served by a broker", request.endpoint_type);
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::UnsupportedEndpointType.code())
            .with_error_message(Some(text(message)));
    }
    let operations = request.include_cluster_authorized_operations;
    let broker = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(NODE_ID))
        .with_host(text(context.local.ip().to_string()))
        .with_port(i32::from(context.local.port()));
    DescribeClusterResponse::default()
        .with_endpoint_type(1)
        .with_cluster_id(text(&*node.identity.borrow().cluster_id))
        .with_controller_id(BrokerId(NODE_ID))
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(if operations {
            CLUSTER_OPERATIONS
        } else {
            OPERATIONS_OMITTED
        })
}
