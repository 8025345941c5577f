//! Records go in, come out, and are found again.

use std::thread;
use std::time::{Duration, Instant};

use kstreams_wire::batch::ProducerStamp;
use kstreams_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kstreams_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kstreams_wire::messages::{
    DeleteRecordsRequest, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest,
};

use crate::client::*;

#[test]
fn what_is_produced_is_fetched_in_every_version() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    for (version, offset) in (3..=12).zip(0..) {
        let request = produce_request("t", 0, batch_of(&["a"], ProducerStamp::NONE));
        let response = client.ask(&request, version);
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
    for version in 4..=12 {
        let request = fetch_request("t", 8, 0);
        let fetched = only(client.ask(&request, version));
        assert_eq!(values(&fetched), ["a", "a"]);
        assert_eq!(fetched.high_watermark, 10);
    }
}

#[test]
fn topics_are_fetched_and_produced_by_id() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    let topics = client.ask(&MetadataRequest::default().with_topics(None), 13).topics;
    let mut produce = produce_request("t", 0, batch_of(&["a", "b"], ProducerStamp::NONE));
    produce.topic_data[0].topic_id = topics[0].topic_id;
    assert_eq!(
        client.ask(&produce, 13).responses[0].partition_responses[0].error_code,
        0
    );
    let mut fetch = fetch_request("t", 0, 0);
    fetch.topics[0].topic_id = topics[0].topic_id;
    for version in 13..=17 {
        let fetched = client.ask(&fetch, version);
        assert_eq!(fetched.responses[0].topic_id, topics[0].topic_id);
        assert_eq!(values(&only(fetched)), ["a", "b"]);
    }
}

#[test]
fn answers_come_in_the_order_of_requests() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    let waits = client.send(&fetch_request("t", 0, 200), 12);
    let asks = client.send(&MetadataRequest::default().with_topics(None), 9);
    assert_eq!(client.receive::<FetchRequest>(12).0, waits);
    assert_eq!(client.receive::<MetadataRequest>(9).0, asks);
    for value in ["a", "b", "c"] {
        client.send(&produce_request("t", 0, batch_of(&[value], ProducerStamp::NONE)), 9);
    }
    let offsets = [0; 3].map(|_| client.receive::<ProduceRequest>(9).1.responses[0].partition_responses[0].base_offset);
    assert_eq!(offsets, [0, 1, 2]);
}

#[test]
fn a_waiting_fetch_ends_with_the_next_record() {
    let stage = stage_with("t", 1, &[]);
    let mut consumer = Client::connect(&stage);
    let mut producer = Client::connect(&stage);
    let began = Instant::now();
    consumer.send(&fetch_request("t", 0, 20_000), 12);
    thread::sleep(Duration::from_millis(50));
    producer.produce("t", &["a"]);
    let fetched = only(consumer.receive::<FetchRequest>(12).1);
    assert_eq!(values(&fetched), ["a"]);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_fetch_session_tells_only_news() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    let full = client.ask(&fetch_request("t", 0, 0).with_session_epoch(0), 12);
    let next = |epoch| {
        let request = FetchRequest::default().with_min_bytes(1).with_max_bytes(1 << 20);
        request.with_session_id(full.session_id).with_session_epoch(epoch)
    };
    assert!(client.ask(&next(1), 12).responses.is_empty());
    client.produce("t", &["a"]);
    assert_eq!(values(&only(client.ask(&next(2), 12))), ["a"]);
    assert_eq!(client.ask(&next(2), 12).error_code, 71);
    assert_eq!(client.ask(&next(1).with_session_id(12345), 12).error_code, 70);
}

#[test]
fn a_fetch_takes_no_more_than_it_may_but_one_batch() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    let long = "x".repeat(1000);
    for _ in 0..5 {
        client.produce("t", &[&long]);
    }
    let fetched = only(client.ask(&fetch_request("t", 0, 0).with_max_bytes(2500), 12));
    assert_eq!(values(&fetched).len(), 2);
    let fetched = only(client.ask(&fetch_request("t", 0, 0).with_max_bytes(10), 12));
    assert_eq!(values(&fetched).len(), 1);
}

#[test]
fn an_idempotent_producer_writes_once() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    let id = client.ask(&InitProducerIdRequest::default().with_transactional_id(None), 4);
    let stamp = |base_sequence| ProducerStamp {
        producer_id: id.producer_id.0,
        epoch: id.producer_epoch,
        base_sequence,
        transactional: false,
    };
    assert_eq!(client.produce_as("t", &["a", "b"], stamp(0)).base_offset, 0);
    assert_eq!(client.produce_as("t", &["c"], stamp(2)).base_offset, 2);
    let retried = client.produce_as("t", &["a", "b"], stamp(0));
    assert_eq!((retried.error_code, retried.base_offset), (0, 0));
    assert_eq!(client.produce_as("t", &["e"], stamp(4)).error_code, 45);
    assert_eq!(values(&client.fetch("t", 0)), ["a", "b", "c"]);
    assert_ne!(
        client
            .ask(&InitProducerIdRequest::default().with_transactional_id(None), 4)
            .producer_id,
        id.producer_id
    );
}

#[test]
fn offsets_are_listed_and_records_deleted() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    client.produce("t", &["a", "b", "c"]);
    let mut offset = |timestamp| {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition]);
        client
            .ask(&ListOffsetsRequest::default().with_topics(vec![topic]), 7)
            .topics[0]
            .partitions[0]
            .offset
    };
    assert_eq!([-1, -2, -3, 0, 1, 2].map(&mut offset), [3, 0, 0, 0, 0, -1]);
    let partition = DeleteRecordsPartition::default().with_offset(2);
    let topic = DeleteRecordsTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![partition]);
    let deleted = client.ask(&DeleteRecordsRequest::default().with_topics(vec![topic]), 2);
    assert_eq!(deleted.topics[0].partitions[0].low_watermark, 2);
    assert_eq!(client.fetch("t", 1).error_code, 1);
    assert_eq!(client.fetch("t", 4).error_code, 1);
    assert_eq!(client.fetch("t", 2).log_start_offset, 2);
}

#[test]
fn what_is_not_there_is_said() {
    let stage = stage_with("t", 1, &[]);
    let mut client = Client::connect(&stage);
    assert_eq!(client.produce("none", &["a"]).error_code, 3);
    assert_eq!(client.fetch("none", 0).error_code, 3);
    let other_epoch = |epoch| {
        let mut request = fetch_request("t", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request
    };
    assert_eq!(only(client.ask(&other_epoch(1), 12)).error_code, 75);
    assert_eq!(only(client.ask(&other_epoch(0), 12)).error_code, 0);
}
