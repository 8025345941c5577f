//! The messages, keys and hashes of foreign-key joins are Java's: all vectors of them, see `tests/formats`.

use std::sync::Arc;

use kstreams_topology::Serde;
use kstreams_topology::serde::StringSerde;
use serde_json::Value as Json;

use super::answer::StoreKeys;
use super::hash::{RowHash, row_hash};
use super::message::{Answer, AnswerSerde, Instruction, Subscription, SubscriptionNames, SubscriptionSerde};

#[test]
fn every_vector_of_foreign_keys_is_ours() {
    let lines = include_str!("../../../../../tests/formats/formats.jsonl").lines();
    let vectors = lines.map(|line| serde_json::from_str::<Json>(line).expect("a vector a line"));
    let mut checked = 0;
    for vector in vectors {
        let name = vector["name"].as_str().expect("a name");
        if name.starts_with("fk.") {
            let bytes = bytes_of(name, &vector["input"]);
            assert_eq!(Some(&*hex(&bytes)), vector["hex"].as_str(), "{name}");
            checked += 1;
        }
    }
    assert_eq!(checked, 24);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(name: &str, input: &Json) -> Vec<u8> {
    let text = |field: &str| input[field].as_str().map(str::to_owned);
    match name {
        "fk.combined_key" | "fk.combined_key.prefix" => {
            let mut keys =
                StoreKeys::<String, String>::new(Arc::new(StringSerde), Arc::new(StringSerde), String::new());
            let foreign = text("foreignKey").expect("a key");
            match text("primaryKey") {
                Some(primary) => keys.key(&foreign, &primary).expect("texts can be written").clone(),
                None => keys.prefix(&foreign).expect("texts can be written").to_vec(),
            }
        }
        _ if name.starts_with("fk.murmur3_128.") => {
            let bytes = text("bytes").map(|hex| unhex(&hex[2..]));
            let bytes = bytes.or_else(|| text("utf8").map(String::into_bytes));
            row_hash(&bytes.expect("bytes or text")).to_vec()
        }
        _ if name.starts_with("fk.subscription_wrapper.") => subscription(name, input),
        _ if name.starts_with("fk.response_wrapper") => {
            let answer = Answer {
                hash: hash(input),
                value: text("value"),
                partition: None,
            };
            written_and_read(&AnswerSerde(Arc::new(StringSerde)), &answer)
        }
        _ => panic!("no check of {name}"),
    }
}

fn subscription(name: &str, input: &Json) -> Vec<u8> {
    let names = SubscriptionNames {
        topic: "reg-topic".to_owned(),
        store: "st".to_owned(),
    };
    let instruction = match input["instruction"].as_i64() {
        Some(0) => Instruction::Delete,
        Some(1) => Instruction::DeleteAndAnswer,
        Some(2) => Instruction::AnswerAlways,
        _ => Instruction::AnswerRow,
    };
    // Applications that are upgraded from before 3.4 write no partition.
    let is_old = name.contains("upgrade_from");
    let partition = input["primaryPartition"].as_i64().filter(|_| !is_old);
    let subscription = Subscription {
        hash: hash(input),
        instruction,
        primary_key: input["primaryKey"].as_str().expect("a key").to_owned(),
        partition: partition.map(|partition| partition as i32),
    };
    written_and_read(&SubscriptionSerde::new(Arc::new(StringSerde), names), &subscription)
}

fn written_and_read<T: PartialEq + std::fmt::Debug>(serde: &impl Serde<T>, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let topic = "app-reg-topic";
    serde.serialize(topic, value, &mut bytes).expect("texts can be written");
    let read = serde.deserialize(topic, &bytes);
    assert_eq!(read.expect("its own bytes can be read"), *value);
    bytes
}

fn hash(input: &Json) -> Option<RowHash> {
    let words: Vec<i64> = input["hash"].as_array()?.iter().filter_map(Json::as_i64).collect();
    words
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect::<Vec<u8>>()
        .try_into()
        .ok()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}
