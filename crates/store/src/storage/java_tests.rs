//! State that Kafka Streams 4.1.1 and 4.3.1 wrote (`fixtures`), and that we take over or leave.

use std::fs;
use std::path::Path;

use kstreams_wire::TopicPartition;
use rocksdb::{DB, Options};

use super::tests::open_on;
use crate::engine::tests::copy;
use crate::range::{KeyRange, Order};
use crate::spec::{Changelog, EngineKind, Kind, Logging, StoreSpec};
use crate::state::{CacheBudget, State};
use crate::storage::{PersistentEngine, Storage};

/// The directory of the fixture, copied: nothing writes into the original.
fn java() -> tempfile::TempDir {
    fixture("java-4.1.1")
}

fn fixture(name: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    copy(&fixture, directory.path());
    directory
}

fn open(storage: &Storage, (name, task): (&str, &str), kind: Kind) -> State {
    let spec = StoreSpec {
        name: name.to_owned(),
        kind,
        engine: EngineKind::Persistent,
        caching: false,
        logging: Logging::enabled(),
    };
    let changelog = TopicPartition::new(format!("app-{name}-changelog"), 0);
    let changelog = Some(Changelog::Own(changelog));
    storage.state(&spec, task, changelog, &CacheBudget::new(0)).unwrap()
}

fn entries(state: &mut State) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut range = state.range(&KeyRange::all(), Order::Forward).unwrap();
    let mut entries = Vec::new();
    while let Some((key, value)) = range.next_entry().unwrap() {
        entries.push((key.to_vec(), value.to_vec()));
    }
    entries
}

const COUNTS: (&str, &str) = ("counts", "0_0");
const PLAIN: (&str, &str) = ("plain", "0_0");

fn counts() -> Vec<(Vec<u8>, Vec<u8>)> {
    [("k0", 1018_i64, 7_i64), ("k1", 1019, 7), ("k2", 1017, 6)]
        .map(|(key, time, count)| {
            let value = [time.to_be_bytes(), count.to_be_bytes()].concat();
            (key.as_bytes().to_vec(), value)
        })
        .to_vec()
}

#[test]
fn stores_of_java_are_taken_over_with_their_offsets() {
    for engine in [PersistentEngine::Fjall, PersistentEngine::RocksDb] {
        let directory = java();
        let storage = open_on(engine, directory.path());
        let mut state = open(&storage, COUNTS, Kind::TimestampedKeyValue);
        assert_eq!(state.offset(), Some(19));
        assert_eq!(entries(&mut state), counts());
        let mut state = open(&storage, PLAIN, Kind::KeyValue);
        assert_eq!(state.offset(), Some(19));
        let plain: Vec<_> = [("k0", "v18"), ("k1", "v19"), ("k2", "v17")]
            .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .to_vec();
        assert_eq!(entries(&mut state), plain);
    }
}

#[test]
fn what_java_did_not_close_in_good_order_is_left() {
    let directory = java();
    fs::remove_file(directory.path().join("app/0_0/.checkpoint")).unwrap();
    let storage = open_on(PersistentEngine::Fjall, directory.path());
    let mut state = open(&storage, COUNTS, Kind::TimestampedKeyValue);
    assert_eq!((state.offset(), entries(&mut state).len()), (None, 0));
    assert!(directory.path().join("app/0_0/rocksdb/counts/CURRENT").exists());
}

#[test]
fn a_store_that_was_thrown_away_is_not_taken_over_again() {
    let directory = java();
    let storage = open_on(PersistentEngine::Fjall, directory.path());
    drop(open(&storage, COUNTS, Kind::TimestampedKeyValue));
    storage.delete_store("0_0", "counts").unwrap();
    assert_eq!(open(&storage, COUNTS, Kind::TimestampedKeyValue).offset(), None);
}

#[test]
fn values_of_another_kind_are_left() {
    let directory = java();
    let storage = open_on(PersistentEngine::Fjall, directory.path());
    assert_eq!(open(&storage, COUNTS, Kind::KeyValue).offset(), None);
    assert_eq!(open(&storage, PLAIN, Kind::TimestampedKeyValue).offset(), None);
}

/// Notes in a store of 4.3 whether it was closed.
fn note(store: &Path, status: i64) {
    let options = Options::default();
    let families = DB::list_cf(&options, store).unwrap();
    let database = DB::open_cf(&options, store, families).unwrap();
    let family = database.cf_handle("offsets").unwrap();
    database.put_cf(family, "status", status.to_be_bytes()).unwrap();
}

#[test]
fn offsets_within_a_store_count_if_it_was_closed() {
    for (status, offset) in [(None, Some(19)), (Some(1), None)] {
        let directory = fixture("java-4.3.1");
        if let Some(status) = status {
            note(&directory.path().join("app/0_0/rocksdb/counts"), status);
        }
        let storage = open_on(PersistentEngine::Fjall, directory.path());
        let mut state = open(&storage, COUNTS, Kind::TimestampedKeyValue);
        assert_eq!(state.offset(), offset, "status {status:?}");
        let expected = if offset.is_some() { counts() } else { Vec::new() };
        assert_eq!(entries(&mut state), expected);
    }
}
