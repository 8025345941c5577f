//! What brokers and other members are told: committed offsets, partitions, the classic group protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kstreams_task::OffsetMetadata;
use kstreams_topology::serde::{StringSerde, TimeWindowedSerde};
use kstreams_topology::{Serde, Window, Windowed};
use kstreams_wire::membership::{Assignment, Subscription};
use kstreams_wire::partition::{murmur2, partition_for_key};
use kstreams_wire::{TopicName, TopicPartition};

use crate::support::Vector;

pub(crate) fn check(vector: &Vector) {
    match vector.name.split('.').next() {
        Some("offset_metadata") => offset_metadata(vector),
        Some("partitioner") => partitioner(vector),
        _ => consumer_protocol(vector),
    }
}

fn offset_metadata(vector: &Vector) {
    let text = || String::from_utf8(vector.bytes()).expect("it is text");
    if vector.name.starts_with("offset_metadata.decode.") {
        let time = vector.number("decodes to partitionTime");
        assert_eq!(
            OffsetMetadata::decode(&text()),
            OffsetMetadata::at(time),
            "{}",
            vector.name
        );
        return;
    }
    let processors = vector.input["processorMetadata"].as_object().expect("an object");
    let processors = processors
        .iter()
        .map(|(key, value)| (key.clone(), value.as_i64().expect("a number")));
    let metadata = OffsetMetadata {
        partition_time: vector.number("partitionTime"),
        processors: processors.collect::<BTreeMap<_, _>>(),
    };
    if vector.name.starts_with("offset_metadata.raw.") {
        use base64::Engine;
        let raw = base64::engine::general_purpose::STANDARD.decode(metadata.encode());
        return vector.is(&raw.expect("it is base 64"));
    }
    assert_eq!(metadata.encode(), text(), "{}", vector.name);
    assert_eq!(OffsetMetadata::decode(&text()), metadata, "{}", vector.name);
}

fn partitioner(vector: &Vector) {
    let key = match vector.name.as_str() {
        "partitioner.windowed" => {
            let serde = TimeWindowedSerde::new(StringSerde, Duration::from_millis(1000));
            let key = Windowed::new(vector.text("key").to_owned(), Window::new(1000, 2000));
            let mut bytes = Vec::new();
            serde.serialize("t", &key, &mut bytes).expect("text can be encoded");
            let partition = partition_for_key(serde.partitioned_by(&bytes), 10);
            return vector.is(&partition.to_be_bytes());
        }
        "partitioner.murmur2.long_1" => 1_i64.to_be_bytes().to_vec(),
        _ => vector.text("key utf8").as_bytes().to_vec(),
    };
    vector.is(&murmur2(&key).to_be_bytes());
    for count in [10, 3] {
        if let Some(partition) = vector.input[format!("partition of {count}")].as_i64() {
            assert_eq!(i64::from(partition_for_key(&key, count)), partition, "{}", vector.name);
        }
    }
}

fn consumer_protocol(vector: &Vector) {
    let user_data = Some(Bytes::from_static(&[0xab, 0xcd]));
    let partition = |partition| TopicPartition::new("in", partition);
    match vector.name.as_str() {
        "consumer_protocol.subscription.v3" => {
            let subscription = Subscription {
                topics: vec![TopicName::new("in")],
                user_data,
                owned: vec![partition(0)],
                generation: Some(4),
                rack: None,
            };
            vector.is(&subscription.encode());
        }
        "consumer_protocol.assignment.v3" => {
            let assignment = Assignment {
                partitions: vec![partition(0), partition(1)],
                user_data,
            };
            vector.is(&assignment.encode());
        }
        other => panic!("no check of {other}"),
    }
}
