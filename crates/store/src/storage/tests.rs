//! What the state directory promises.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kstreams_wire::{TopicName, TopicPartition};

use crate::context::RecordContext;
use crate::error::Error;
use crate::output::{Output, OutputError, OutputRecord, TopicId};
use crate::spec::{Changelog, ChangelogId, EngineKind, Kind, Logging, StoreSpec};
use crate::state::{CacheBudget, State, Write};
use crate::storage::{PersistentEngine, RocksDbOptions, Storage, StorageConfig};

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn config(directory: &Path, process_id: &str) -> StorageConfig {
    StorageConfig {
        directory: directory.join("app"),
        engine: PersistentEngine::Fjall,
        process_id: process_id.to_owned(),
        block_cache_bytes: 1 << 20,
        rocksdb: RocksDbOptions::default(),
    }
}

fn open(directory: &Path) -> Storage {
    open_on(PersistentEngine::Fjall, directory)
}

pub(super) fn open_on(engine: PersistentEngine, directory: &Path) -> Storage {
    Storage::open(StorageConfig {
        engine,
        ..config(directory, ID)
    })
    .unwrap()
}

fn spec(kind: Kind) -> StoreSpec {
    StoreSpec {
        name: "store".into(),
        kind,
        engine: EngineKind::Persistent,
        caching: false,
        logging: Logging::enabled(),
    }
}

pub(super) fn state(storage: &Storage, kind: Kind, changelog: Option<Changelog>) -> crate::Result<State> {
    storage.state(&spec(kind), "0_1", changelog, &CacheBudget::new(0))
}

pub(super) fn changelog() -> Option<Changelog> {
    Some(Changelog::Own(TopicPartition::new("log", 1)))
}

/// An output to which nothing matters.
struct Void;

impl Output for Void {
    fn topic(&mut self, _name: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _topic: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, _record: OutputRecord<'_>) -> Result<(), OutputError> {
        Ok(())
    }
}

pub(super) fn put(state: &mut State, key: &str, value: &str) {
    let mut write = Write {
        output: &mut Void,
        context: &RecordContext::none(0),
    };
    state.put(&mut write, key.as_bytes(), Some(value.as_bytes())).unwrap();
}

pub(super) fn peek(state: &mut State, key: &str) -> Option<String> {
    let value = state.peek(key.as_bytes()).unwrap();
    value.map(|value| String::from_utf8_lossy(value).into_owned())
}

#[test]
fn second_process_is_told_which_directory_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let refused = Storage::open(config(directory.path(), ID)).unwrap_err();
    assert!(matches!(&refused, Error::DirectoryLocked { path } if path.ends_with("app")));
    assert!(refused.to_string().contains("/app is in use by another process"));
    assert!(matches!(
        Storage::remove(&directory.path().join("app")),
        Err(Error::DirectoryLocked { .. })
    ));

    // The lock outlives the storage as long as one of its stores is open.
    let store = state(&first, Kind::KeyValue, None).unwrap();
    drop(first);
    assert!(Storage::open(config(directory.path(), ID)).is_err());
    drop(store);
    drop(open(directory.path()));
    Storage::remove(&directory.path().join("app")).unwrap();
    assert!(!directory.path().join("app").exists());
}

#[test]
fn process_id_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let file = directory.path().join("app/kafka-streams-process-metadata");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("{{\"processId\":\"{ID}\"}}")
    );
    let other = "00000000-0000-0000-0000-000000000002";
    let storage = Storage::open(config(directory.path(), other)).unwrap();
    assert_eq!(storage.process_id(), Some(ID));
    drop(storage);
    fs::write(
        &file,
        "{ \"more\": 1, \"processId\" : \"00000000-0000-0000-0000-000000000003\" }",
    )
    .unwrap();
    let storage = Storage::open(config(directory.path(), other)).unwrap();
    assert_eq!(storage.process_id(), Some("00000000-0000-0000-0000-000000000003"));
    drop(storage);
    fs::write(&file, "rubbish").unwrap();
    let storage = Storage::open(config(directory.path(), other)).unwrap();
    assert_eq!(storage.process_id(), Some(other));
}

#[cfg(unix)]
#[test]
fn directory_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let _storage = open(directory.path());
    let mode = fs::metadata(directory.path().join("app")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("app"), "a file").unwrap();
    let refused = Storage::open(config(directory.path(), ID)).unwrap_err();
    assert!(refused.to_string().starts_with("could not create /"), "{refused}");
}

#[test]
fn an_engine_that_cannot_write_is_reported_with_store_and_place() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    fs::write(directory.path().join("app/fjall"), "a file where a directory should be").unwrap();
    let refused = state(&storage, Kind::KeyValue, None).err().expect("no database");
    let message = refused.to_string();
    assert!(
        message.starts_with("could not open store \"store\" of task 0_1 in /"),
        "{message}"
    );
    assert!(message.ends_with("/app/fjall"), "{message}");
    assert!(std::error::Error::source(&refused).is_some());
}

#[test]
fn a_store_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let first = state(&storage, Kind::KeyValue, None).unwrap();
    assert!(matches!(
        state(&storage, Kind::KeyValue, None),
        Err(Error::InUse { .. })
    ));
    assert!(matches!(storage.delete("0_1"), Err(Error::InUse { .. })));
    drop(first);
    storage.delete("0_1").unwrap();
    state(&storage, Kind::KeyValue, None).unwrap();
}

#[test]
fn tasks_and_their_offsets_are_found_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    {
        let storage = open(directory.path());
        let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
        put(&mut store, "a", "1");
        store.commit(Some(17)).unwrap();
        store.close().unwrap();
    }
    let storage = open(directory.path());
    assert_eq!(storage.tasks().unwrap().into_iter().collect::<Vec<_>>(), ["0_1"]);
    assert_eq!(
        storage.offsets("0_1").unwrap(),
        BTreeMap::from([("store".to_owned(), 17)])
    );
    assert!(storage.offsets("0_2").unwrap().is_empty());
}

#[test]
fn a_store_of_another_format_is_rebuilt_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
    put(&mut store, "a", "1");
    store.commit(Some(17)).unwrap();
    store.close().unwrap();

    let refused = state(&storage, Kind::TimestampedKeyValue, None)
        .err()
        .expect("no changelog to rebuild from");
    assert!(
        matches!(&refused, Error::Format { found, .. } if found == "1:plain"),
        "{refused}"
    );
    let mut rebuilt = state(&storage, Kind::TimestampedKeyValue, changelog()).unwrap();
    assert_eq!((rebuilt.offset(), peek(&mut rebuilt, "a")), (None, None));
    let restored = [(&b"a"[..], Some(&b"v"[..]), 0x6162_6364_6566_6768)];
    rebuilt.restore(restored, 0).unwrap();
    assert_eq!(peek(&mut rebuilt, "a").as_deref(), Some("abcdefghv"));
}

#[test]
fn in_memory_nothing_is_kept() {
    let storage = Storage::in_memory();
    let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
    put(&mut store, "a", "1");
    store.commit(Some(1)).unwrap();
    drop(store);
    let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
    assert_eq!((store.offset(), peek(&mut store, "a")), (None, None));
    assert!(storage.tasks().unwrap().is_empty());
    storage.delete("0_1").unwrap();
}

#[test]
fn a_directory_that_was_deleted_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    storage.verify().unwrap();
    fs::remove_dir_all(directory.path().join("app")).unwrap();
    let lost = storage.verify().unwrap_err();
    assert!(lost.to_string().contains("/app was deleted while in use"), "{lost}");
    // Another one in its place is not the same.
    fs::create_dir(directory.path().join("app")).unwrap();
    fs::write(directory.path().join("app/.lock"), "").unwrap();
    assert!(matches!(storage.verify(), Err(Error::DirectoryLost { .. })));
    assert!(matches!(
        state(&storage, Kind::KeyValue, None),
        Err(Error::DirectoryLost { .. })
    ));
}

#[test]
fn a_store_knows_from_which_changelog_it_was_built() {
    let directory = tempfile::tempdir().unwrap();
    let id = ChangelogId([7; 16]);
    {
        let storage = open(directory.path());
        let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
        assert_eq!(store.changelog_id(), None);
        store.identify(id);
        store.commit(None).unwrap();
        put(&mut store, "a", "1");
        store.commit(Some(17)).unwrap();
        store.close().unwrap();
    }
    let storage = open(directory.path());
    let store = state(&storage, Kind::KeyValue, changelog()).unwrap();
    assert_eq!((store.offset(), store.changelog_id()), (Some(17), Some(id)));
    drop(store);
    let other = Some(Changelog::Own(TopicPartition::new("other", 1)));
    let store = state(&storage, Kind::KeyValue, other).unwrap();
    assert_eq!((store.offset(), store.changelog_id()), (None, None));
}

#[test]
fn what_java_left_is_neither_taken_nor_touched() {
    let directory = tempfile::tempdir().unwrap();
    let app = directory.path().join("app");
    let java = ["0_1/rocksdb/store", "0_1/windows/windows.0"].map(|place| app.join(place));
    for place in &java {
        fs::create_dir_all(place).unwrap();
        fs::write(place.join("CURRENT"), "MANIFEST-000005\n").unwrap();
    }
    fs::write(app.join("0_1/.checkpoint"), "0\n1\nlog 1 41\n").unwrap();
    assert!(super::java::store(&app, "0_1", "store").is_some_and(|found| found == java[0]));
    assert!(super::java::store(&app, "0_1", "windows").is_some());
    assert_eq!(super::java::store(&app, "0_1", "other"), None);
    assert_eq!(super::java::store(&app, "0_2", "store"), None);

    let storage = open(directory.path());
    assert!(storage.tasks().unwrap().is_empty(), "nothing of ours");
    let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
    assert_eq!(store.offset(), None);
    put(&mut store, "a", "1");
    store.commit(Some(1)).unwrap();
    store.close().unwrap();
    storage.delete("0_1").unwrap();
    for place in &java {
        assert_eq!(fs::read_to_string(place.join("CURRENT")).unwrap(), "MANIFEST-000005\n");
    }
    assert!(app.join("0_1/.checkpoint").exists());
}
