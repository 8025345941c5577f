//! The records that came out of a case, as JSON, by topic.

use std::collections::BTreeMap;
use std::fmt::Write;

use kstreams_test_driver::ProducedRecord;
use kstreams_topology::Serde;
use serde_json::{Map, Value as Json, json};

use crate::key::decoded;
use crate::program::TopicTypes;
use crate::value::ValueSerde;

/// The records by topic. `ends` tells how many there were at the end of each step; what came later failed.
pub(crate) fn outputs(produced: &[ProducedRecord], ends: &[usize], types: &TopicTypes) -> Json {
    let mut topics: BTreeMap<&str, Vec<Json>> = BTreeMap::new();
    for (seq, record) in produced.iter().enumerate() {
        let step = ends.iter().take_while(|end| **end <= seq).count();
        topics
            .entry(&record.topic)
            .or_default()
            .push(output(record, (seq, step), types));
    }
    json!(topics)
}

fn output(record: &ProducedRecord, (seq, step): (usize, usize), types: &TopicTypes) -> Json {
    let mut fields = Map::new();
    let hex_of = |bytes: Option<&bytes::Bytes>| bytes.map(|bytes| hex(bytes));
    fields.insert("seq".to_owned(), json!(seq));
    fields.insert("step".to_owned(), json!(step));
    fields.insert("key".to_owned(), json!(hex_of(record.key.as_ref())));
    fields.insert("value".to_owned(), json!(hex_of(record.value.as_ref())));
    if let Some((key, value)) = types.get(&*record.topic) {
        let undecodable = || json!({"undecodable": true});
        let key = record.key.as_ref().map(|bytes| decoded(*key, bytes));
        let value = record
            .value
            .as_ref()
            .map(|bytes| ValueSerde(*value).deserialize(&record.topic, bytes));
        let key = key.map(|key| key.unwrap_or_else(|_| undecodable()));
        let value = value.map(|value| value.map_or_else(|_| undecodable(), |value| value.to_json()));
        fields.insert("k".to_owned(), json!(key));
        fields.insert("v".to_owned(), json!(value));
    }
    let header =
        |header: &kstreams_wire::Header| json!([String::from_utf8_lossy(&header.key), hex_of(header.value.as_ref())]);
    fields.insert("ts".to_owned(), json!(record.timestamp));
    fields.insert("headers".to_owned(), record.headers.iter().map(header).collect());
    fields.insert("partition".to_owned(), json!(record.partition));
    Json::Object(fields)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
