//! What is in the stores when a case has run, as JSON.

use std::collections::{BTreeMap, BTreeSet};

use kstreams_store::Kind;
use kstreams_test_driver::{Error, Result, TopologyTestDriver};
use kstreams_topology::Windowed;
use kstreams_topology::stores::{
    JoinRows, JoinSide, KeyValueStore, SessionStore, SideValue, SuppressBuffer, TimeOrderedBuffer,
    TimestampedKeyValueStore, TimestampedWindowStore, ValueAndTimestamp, VersionedKeyValueStore, VersionedRecord,
    WindowStore,
};
use serde_json::{Map, Value as Json, json};

use crate::key::{CaseKey, Key};
use crate::value::Value;

/// Keys and times seen in a case: a versioned store has no iterator, so it is asked for each of them.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) keys: BTreeSet<String>,
    pub(crate) times: BTreeSet<i64>,
}

/// The entries of all stores.
pub(crate) fn stores(driver: &mut TopologyTestDriver, kinds: &BTreeMap<String, Kind>, seen: &Seen) -> Result<Json> {
    let mut all = Map::new();
    for (name, kind) in kinds {
        if matches!(kind, Kind::Versioned(_)) {
            all.insert(name.clone(), versioned(driver, name, seen)?);
            continue;
        }
        if is_subscriptions(name) {
            all.insert(name.clone(), subscriptions(driver, name)?);
            continue;
        }
        // A store of strings in windows is of another type.
        let store = match store::<Key>(driver, name, *kind) {
            Err(Error::UnknownStore { .. }) => store::<Windowed<Key>>(driver, name, *kind)?,
            other => other?,
        };
        all.insert(name.clone(), store);
    }
    Ok(Json::Object(all))
}

fn store<K: CaseKey>(driver: &mut TopologyTestDriver, name: &str, kind: Kind) -> Result<Json> {
    Ok(match kind {
        Kind::TimestampedKeyValue => {
            let mut store = driver.store_named::<TimestampedKeyValueStore<K, Value>>(name)?;
            let entries = store.all()?.collect_owned()?;
            let entries: Vec<Json> = entries.iter().map(|(key, value)| timestamped(key, value)).collect();
            json!({"type": "kv", "entries": entries})
        }
        Kind::Window(layout) => {
            let rows = if layout.timestamped {
                let mut store = driver.store_named::<TimestampedWindowStore<K, Value>>(name)?;
                let row = |row: Result<(Windowed<K>, ValueAndTimestamp<Value>), _>| {
                    row.map(|(key, value)| (key, value.value, Some(value.timestamp)))
                };
                store.all()?.map(row).collect::<Result<Vec<_>, _>>()?
            } else {
                let mut store = driver.store_named::<WindowStore<K, Value>>(name)?;
                let row = |row: Result<(Windowed<K>, Value), _>| row.map(|(key, value)| (key, value, None));
                store.all()?.map(row).collect::<Result<Vec<_>, _>>()?
            };
            // Kafka cannot iterate windows without a length, like those that begin at the last timestamp.
            let is_empty = |(key, ..): &(Windowed<K>, _, _)| layout.size_ms == 0 || key.window.start == i64::MAX;
            if rows.iter().any(is_empty) {
                return Ok(json!({"type": "window of size 0"}));
            }
            json!({"type": "window", "entries": windowed(rows, false)})
        }
        Kind::Session(_) => {
            let mut store = driver.store_named::<SessionStore<K, Value>>(name)?;
            let row = |row: Result<(Windowed<K>, Value), _>| row.map(|(key, value)| (key, value, None));
            let rows = store.fetch_keys(None, None)?.map(row).collect::<Result<Vec<_>, _>>()?;
            json!({"type": "session", "entries": windowed(rows, true)})
        }
        Kind::List => join_rows::<K>(driver, name)?,
        Kind::Suppression => {
            let totals = driver.store_named::<SuppressBuffer<K, Value>>(name)?.totals()?;
            json!({"type": "buffer", "records": totals.records, "bytes": totals.bytes, "min_ts": totals.min_time})
        }
        Kind::GraceBuffer => {
            let totals = driver.store_named::<TimeOrderedBuffer<K, Value>>(name)?.totals()?;
            json!({"type": "buffer", "records": totals.records, "bytes": totals.bytes})
        }
        _ => {
            let mut store = driver.store_named::<KeyValueStore<K, Value>>(name)?;
            let entries = store.all()?.collect_owned()?;
            let entry = |(key, value): &(K, Value)| json!({"k": key.to_json(), "v": value.to_json()});
            json!({"type": "kv", "entries": entries.iter().map(entry).collect::<Vec<Json>>()})
        }
    })
}

/// The rows of left and outer stream joins that wait for a partner, each value by itself.
fn join_rows<K: CaseKey>(driver: &mut TopologyTestDriver, name: &str) -> Result<Json> {
    let mut store = driver.store_named::<JoinRows<K, Value, Value>>(name)?;
    let mut entries = Vec::new();
    for row in store.oldest(None, usize::MAX)? {
        let side = match row.side {
            JoinSide::Left => "left",
            JoinSide::Right => "right",
        };
        let key = json!({"k": row.key.to_json(), "ts": row.timestamp, "side": side});
        for value in row.values {
            let value = match value {
                SideValue::Left(left) => json!({"left": left.to_json(), "right": null}),
                SideValue::Right(right) => json!({"left": null, "right": right.to_json()}),
            };
            entries.push(json!({"k": key, "v": value}));
        }
    }
    Ok(json!({"type": "kv", "entries": entries}))
}

/// The versions of each key, newest first. Java's store does not tell how long they were valid.
fn versioned(driver: &mut TopologyTestDriver, name: &str, seen: &Seen) -> Result<Json> {
    let mut store = driver.store_named::<VersionedKeyValueStore<Key, Value>>(name)?;
    let mut entries = Vec::new();
    for key in &seen.keys {
        let of = Key::Text(key.clone());
        let mut versions = Vec::new();
        let mut last = store.get(&of)?;
        versions.extend(last.clone());
        for time in seen.times.iter().rev() {
            let version = store.get_as_of(&of, *time)?;
            let older =
                |version: &VersionedRecord<Value>| last.as_ref().is_none_or(|last| version.timestamp < last.timestamp);
            if let Some(version) = version.filter(older) {
                versions.push(version.clone());
                last = Some(version);
            }
        }
        if !versions.is_empty() {
            let version = |version: &VersionedRecord<Value>| json!({"v": version.value.to_json(), "ts": version.timestamp, "to": null});
            let versions: Vec<Json> = versions.iter().map(version).collect();
            entries.push(json!({"k": key, "versions": versions}));
        }
    }
    Ok(json!({"type": "versioned", "entries": entries}))
}

fn timestamped<K: CaseKey>(key: &K, value: &ValueAndTimestamp<Value>) -> Json {
    json!({"k": key.to_json(), "v": value.value.to_json(), "ts": value.timestamp})
}

/// Rows by key as JSON, start and end; those of the same key and window stay in the store's order.
fn windowed<K: CaseKey>(mut rows: Vec<(Windowed<K>, Value, Option<i64>)>, session: bool) -> Vec<Json> {
    rows.sort_by_cached_key(|(key, ..)| (key.key.ordinal(), key.window));
    let entry = |(key, value, timestamp): &(Windowed<K>, Value, Option<i64>)| {
        let mut entry = json!({"k": key.key.to_json(), "start": key.window.start, "v": value.to_json()});
        if let Some(fields) = entry.as_object_mut() {
            if session {
                fields.insert("end".to_owned(), json!(key.window.end));
            }
            if let Some(timestamp) = timestamp {
                fields.insert("ts".to_owned(), json!(timestamp));
            }
        }
        entry
    };
    rows.iter().map(entry).collect()
}

/// Whether a foreign-key join keeps its subscriptions there: cases do not name such stores otherwise.
fn is_subscriptions(store: &str) -> bool {
    store.starts_with("KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-") || store.ends_with("-subscription-store")
}

fn subscriptions(driver: &mut TopologyTestDriver, name: &str) -> Result<Json> {
    let entries = driver.store_entries(name)?;
    let entries: Option<Vec<Json>> = entries.iter().map(|(key, value)| subscription(key, value)).collect();
    Ok(json!({"type": "kv", "entries": entries}))
}

/// The bytes of Java: a version whose first bit says that there is no hash, the instruction, the hash, the
/// primary key and its partition.
fn subscription(key: &[u8], value: &[u8]) -> Option<Json> {
    const INSTRUCTIONS: [&str; 4] = [
        "DELETE_KEY_NO_PROPAGATE",
        "DELETE_KEY_AND_PROPAGATE",
        "PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE",
        "PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE",
    ];
    let (timestamp, value) = value.split_first_chunk()?;
    let (version, value) = value.split_first()?;
    let (instruction, value) = value.split_first()?;
    let (hash, value) = match version & 0x80 {
        0 => value.split_first_chunk::<16>().map(|(hash, rest)| (Some(hash), rest))?,
        _ => (None, value),
    };
    let (primary_key, partition) = value.split_last_chunk()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(json!({
        "k": {"hex": hex(key)},
        "v": {
            "pk": String::from_utf8_lossy(primary_key),
            "instruction": INSTRUCTIONS.get(usize::from(*instruction))?,
            "version": version & 0x7f,
            "partition": i32::from_be_bytes(*partition),
            "hash": hash.map(|hash| hex(hash)),
        },
        "ts": i64::from_be_bytes(*timestamp),
    }))
}
