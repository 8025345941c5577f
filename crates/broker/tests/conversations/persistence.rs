//! What is in the data directory survives the broker.

use std::fs;
use std::path::Path;

use kstreams_broker::{Broker, BrokerConfig, Error};
use kstreams_wire::messages::metadata_request::MetadataRequestTopic;
use kstreams_wire::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kstreams_wire::messages::{
    InitProducerIdRequest, MetadataRequest, MetadataResponse, OffsetForLeaderEpochRequest, StrBytes,
};

use crate::client::*;
use crate::groups::{commit, committed, heartbeat, join_alone};

fn config(data: &Path) -> BrokerConfig {
    BrokerConfig {
        data: Some(data.to_owned()),
        ..BrokerConfig::default()
    }
}

fn describe(client: &mut Client) -> MetadataResponse {
    let topic = MetadataRequestTopic::default().with_name(Some(name("t")));
    client.ask(&MetadataRequest::default().with_topics(Some(vec![topic])), 12)
}

#[test]
fn a_restarted_broker_has_its_topics_records_and_offsets() {
    let data = tempfile::tempdir().unwrap();
    let broker = Broker::start(config(data.path())).unwrap();
    broker.create_topic("t", 2, &[("retention.ms", "-1")]).unwrap();
    broker.create_topic("gone", 1, &[]).unwrap();
    let mut client = Client::connect_to(broker.addr());
    client.produce("t", &["a", "b"]);
    client.ask(&commit(-1, &StrBytes::new(), 1), 9);
    let before = describe(&mut client);
    let producer_id = client
        .ask(&InitProducerIdRequest::default().with_transactional_id(None), 4)
        .producer_id;
    let listen = broker.addr();
    broker.stop().unwrap();

    let broker = Broker::start(BrokerConfig {
        listen,
        ..config(data.path())
    });
    let broker = broker.unwrap();
    assert_eq!(broker.addr(), listen, "the same port at once");
    let mut client = Client::connect_to(broker.addr());
    let after = describe(&mut client);
    assert_eq!(after.cluster_id, before.cluster_id);
    assert_eq!(after.topics[0].topic_id, before.topics[0].topic_id);
    assert_eq!(after.topics[0].partitions.len(), 2);
    let epochs = [&before, &after].map(|metadata| metadata.topics[0].partitions[0].leader_epoch);
    assert_eq!(epochs, [0, 1]);
    assert_eq!(values(&client.fetch("t", 0)), ["a", "b"]);
    assert_eq!(client.produce("t", &["c"]).base_offset, 2);
    assert_eq!(committed(&mut client).0, 1);
    assert!(
        client
            .ask(&InitProducerIdRequest::default().with_transactional_id(None), 4)
            .producer_id
            > producer_id
    );
    assert!(broker.has_topic("gone").unwrap());

    let partition = OffsetForLeaderPartition::default()
        .with_leader_epoch(0)
        .with_current_leader_epoch(1);
    let topic = OffsetForLeaderTopic::default()
        .with_topic(name("t"))
        .with_partitions(vec![partition]);
    let ended = client.ask(&OffsetForLeaderEpochRequest::default().with_topics(vec![topic]), 4);
    let ended = &ended.topics[0].partitions[0];
    assert_eq!((ended.leader_epoch, ended.end_offset), (0, 2));
}

#[test]
fn a_member_need_not_join_a_restarted_broker_again() {
    let data = tempfile::tempdir().unwrap();
    let broker = Broker::start(config(data.path())).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    let member = join_alone(&mut Client::connect_to(broker.addr()));
    drop(broker);
    let broker = Broker::start(config(data.path())).unwrap();
    let mut client = Client::connect_to(broker.addr());
    assert_eq!(heartbeat(&mut client, &member, 1), 0);
    assert_eq!(
        client.ask(&commit(1, &member, 7), 9).topics[0].partitions[0].error_code,
        0
    );
    assert_eq!(committed(&mut client).0, 7);
}

#[test]
fn a_new_topic_has_nothing_of_a_former_one() {
    let data = tempfile::tempdir().unwrap();
    let broker = Broker::start(config(data.path())).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    Client::connect_to(broker.addr()).produce("t", &["a"]);
    drop(broker);
    // As if the broker had been killed while it deleted the topic.
    fs::write(data.path().join("catalogue"), "").unwrap();
    let broker = Broker::start(config(data.path())).unwrap();
    assert!(!broker.has_topic("t").unwrap());
    broker.create_topic("t", 1, &[]).unwrap();
    assert_eq!(Client::connect_to(broker.addr()).produce("t", &["b"]).base_offset, 0);
}

#[test]
fn a_data_directory_has_one_broker() {
    let data = tempfile::tempdir().unwrap();
    let first = Broker::start(config(data.path())).unwrap();
    assert!(matches!(Broker::start(config(data.path())), Err(Error::InUse { .. })));
    first.stop().unwrap();
    Broker::start(config(data.path())).unwrap();
}

#[test]
fn a_port_in_use_is_an_error() {
    let first = Broker::start(BrokerConfig::default()).unwrap();
    let second = Broker::start(BrokerConfig {
        listen: first.addr(),
        ..BrokerConfig::default()
    });
    assert!(matches!(second, Err(Error::Listen { .. })));
}
