//! Topics come, change and go, and a client learns what it may ask.

use kstreams_broker::{Broker, BrokerConfig, Error};
use kstreams_wire::messages::create_partitions_request::CreatePartitionsTopic;
use kstreams_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kstreams_wire::messages::delete_topics_request::DeleteTopicState;
use kstreams_wire::messages::describe_configs_request::DescribeConfigsResource;
use kstreams_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kstreams_wire::messages::metadata_request::MetadataRequestTopic;
use kstreams_wire::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest, Request,
};

use crate::client::*;

#[test]
fn a_client_learns_what_is_served() {
    let broker = Broker::start(BrokerConfig::default()).unwrap();
    let mut client = Client::connect_to(broker.addr());
    for version in 0..=4 {
        let served = client.ask(&ApiVersionsRequest::default(), version).api_keys;
        let fetch = served.iter().find(|api| api.api_key == 1).unwrap();
        assert_eq!((fetch.min_version, fetch.max_version), (4, 17));
        assert!(
            served.iter().all(|api| api.api_key != 88),
            "the streams protocol is not served, so not advertised"
        );
    }
}

#[test]
fn an_unknown_version_of_the_first_question_is_answered() {
    let broker = Broker::start(BrokerConfig::default()).unwrap();
    let mut client = Client::connect_to(broker.addr());
    // Length, key 18, version 99, correlation id 7, no client id, no tags, and two bytes nobody understands.
    client.send_bytes(&[0, 0, 0, 13, 0, 18, 0, 99, 0, 0, 0, 7, 255, 255, 0, 1, 1]);
    let (answered, response) = client.receive::<ApiVersionsRequest>(0);
    assert_eq!((answered, response.error_code), (7, 35));
    assert_eq!(response.api_keys[0].api_key, ApiVersionsRequest::KEY);
    assert_eq!(client.ask(&ApiVersionsRequest::default(), 4).error_code, 0);
}

#[test]
fn nonsense_closes_the_connection_and_nothing_else() {
    let broker = Broker::start(BrokerConfig::default()).unwrap();
    for nonsense in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 1, 9],
        &[0, 0, 0, 8, 0, 3, 0, 99, 0, 0, 0, 1],
    ] {
        let mut client = Client::connect_to(broker.addr());
        client.send_bytes(nonsense);
        assert!(client.is_closed());
    }
    assert_eq!(
        Client::connect_to(broker.addr())
            .ask(&DescribeClusterRequest::default(), 0)
            .brokers
            .len(),
        1
    );
}

#[test]
fn metadata_is_told_in_every_version() {
    let broker = broker_with("t", 3, &[]);
    let mut client = Client::connect_to(broker.addr());
    for version in 0..=13 {
        let topic = MetadataRequestTopic::default().with_name(Some(name("t")));
        let response = client.ask(&MetadataRequest::default().with_topics(Some(vec![topic])), version);
        assert_eq!(response.topics[0].partitions.len(), 3);
        assert_eq!(response.brokers[0].port, i32::from(broker.addr().port()));
    }
}

#[test]
fn a_topic_comes_into_being_only_if_both_sides_agree() {
    let config = BrokerConfig {
        auto_create_topics: true,
        default_partitions: 2,
        ..BrokerConfig::default()
    };
    for (broker, expected) in [
        (Broker::start(config), (0, 2)),
        (Broker::start(BrokerConfig::default()), (3, 0)),
    ] {
        let broker = broker.unwrap();
        let topic = MetadataRequestTopic::default().with_name(Some(name("t")));
        let request = MetadataRequest::default().with_topics(Some(vec![topic]));
        let mut client = Client::connect_to(broker.addr());
        let refused = client.ask(&request.clone().with_allow_auto_topic_creation(false), 9);
        assert_eq!(refused.topics[0].error_code, 3);
        let topic = &client.ask(&request, 9).topics[0];
        assert_eq!((topic.error_code, topic.partitions.len()), expected);
    }
}

#[test]
fn a_topic_is_created_grown_and_deleted() {
    let broker = Broker::start(BrokerConfig::default()).unwrap();
    let mut client = Client::connect_to(broker.addr());
    let topic = |config: &str, value: &str| {
        let config = CreatableTopicConfig::default()
            .with_name(text(config))
            .with_value(Some(text(value)));
        let topic = CreatableTopic::default()
            .with_name(name("t"))
            .with_num_partitions(-1)
            .with_replication_factor(-1);
        CreateTopicsRequest::default().with_topics(vec![topic.with_configs(vec![config])])
    };
    let retention = topic("retention.ms", "1000");
    let checked = client.ask(&retention.clone().with_validate_only(true), 7);
    assert_eq!(
        (checked.topics[0].error_code, broker.has_topic("t").unwrap()),
        (0, false)
    );
    assert_eq!(client.ask(&topic("retention.ms", "soon"), 7).topics[0].error_code, 40);
    let created = &client.ask(&retention, 7).topics[0];
    assert_eq!((created.error_code, created.num_partitions), (0, 1));
    assert_eq!(client.ask(&retention, 7).topics[0].error_code, 36);

    let mut grow = |count| {
        let topic = CreatePartitionsTopic::default()
            .with_name(name("t"))
            .with_count(count)
            .with_assignments(None);
        client
            .ask(&CreatePartitionsRequest::default().with_topics(vec![topic]), 3)
            .results[0]
            .error_code
    };
    assert_eq!([grow(4), grow(4)], [0, 37]);

    let mut delete = || {
        let topic = DeleteTopicState::default().with_name(Some(name("t")));
        client
            .ask(&DeleteTopicsRequest::default().with_topics(vec![topic]), 6)
            .responses[0]
            .error_code
    };
    assert_eq!([delete(), delete()], [0, 3]);
}

#[test]
fn configs_are_described_and_altered() {
    let broker = broker_with("t", 1, &[("cleanup.policy", "compact")]);
    let mut client = Client::connect_to(broker.addr());
    let change = |key: &str, operation, value: &str| {
        let value = Some(text(value));
        let config = AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(operation)
            .with_value(value);
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"));
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource.with_configs(vec![config])])
    };
    let mut alter = |key, operation, value| client.ask(&change(key, operation, value), 1).responses[0].error_code;
    assert_eq!(alter("cleanup.policy", 2, "delete"), 0);
    assert_eq!(alter("retention.ms", 0, "5000"), 0);
    assert_eq!(alter("retention.ms", 0, "never"), 40);
    assert_eq!(alter("no.such.key", 0, "1"), 40);
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None)]);
    let configs = &client.ask(&request, 4).results[0].configs;
    let value = |key: &str| {
        let config = configs.iter().find(|config| &*config.name == key).unwrap();
        (config.value.as_deref().unwrap().to_owned(), config.config_source)
    };
    assert_eq!(value("cleanup.policy"), ("compact,delete".to_owned(), 1));
    assert_eq!(value("retention.ms"), ("5000".to_owned(), 1));
    assert_eq!(value("segment.bytes"), ("1073741824".to_owned(), 5));
}

#[test]
fn the_owner_is_told_why_a_topic_cannot_be() {
    let broker = broker_with("t", 1, &[]);
    assert!(matches!(broker.create_topic("t", 1, &[]), Err(Error::Topic { .. })));
    let illegal = broker.create_topic("a/b", 1, &[]).unwrap_err();
    assert!(illegal.to_string().contains("a/b"));
    let config = broker.create_topic("u", 1, &[("retention.ms", "soon")]).unwrap_err();
    assert!(config.to_string().contains("retention.ms"));
}
