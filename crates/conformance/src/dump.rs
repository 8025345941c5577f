//! What came out of a case, as JSON: records by topic, and stores by name.

use std::collections::BTreeMap;
use std::fmt::Write;

use kstreams_store::Kind;
use kstreams_test_driver::{ProducedRecord, Result, TopologyTestDriver};
use kstreams_topology::Serde;
use kstreams_topology::stores::{KeyValueStore, TimestampedKeyValueStore, ValueAndTimestamp};
use serde_json::{Map, Value as Json, json};

use crate::program::TopicTypes;
use crate::value::{Key, KeySerde, Value, ValueSerde};

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
        let key = record
            .key
            .as_ref()
            .map(|bytes| KeySerde(*key).deserialize(&record.topic, bytes));
        let value = record
            .value
            .as_ref()
            .map(|bytes| ValueSerde(*value).deserialize(&record.topic, bytes));
        let key = key.map(|key| key.map_or_else(|_| undecodable(), |key| key.to_json()));
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The entries of all stores.
pub(crate) fn stores(driver: &mut TopologyTestDriver, kinds: &BTreeMap<String, Kind>) -> Result<Json> {
    let mut all = Map::new();
    for (name, kind) in kinds {
        let entries = match kind {
            Kind::TimestampedKeyValue => timestamped(driver, name)?,
            _ => plain(driver, name)?,
        };
        all.insert(name.clone(), json!({"type": "kv", "entries": entries}));
    }
    Ok(Json::Object(all))
}

fn timestamped(driver: &mut TopologyTestDriver, name: &str) -> Result<Vec<Json>> {
    let entries = driver
        .store_named::<TimestampedKeyValueStore<Key, Value>>(name)?
        .all()?
        .collect_owned()?;
    let entry = |(key, value): &(Key, ValueAndTimestamp<Value>)| json!({"k": key.to_json(), "v": value.value.to_json(), "ts": value.timestamp});
    Ok(entries.iter().map(entry).collect())
}

fn plain(driver: &mut TopologyTestDriver, name: &str) -> Result<Vec<Json>> {
    let entries = driver
        .store_named::<KeyValueStore<Key, Value>>(name)?
        .all()?
        .collect_owned()?;
    Ok(entries
        .iter()
        .map(|(key, value)| json!({"k": key.to_json(), "v": value.to_json()}))
        .collect())
}
