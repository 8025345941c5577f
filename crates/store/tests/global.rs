//! What global stores promise: one writes, others read whole commits, and positions go with the entries.

use kstreams_store::{
    EngineKind, Kind, Logging, Output, OutputError, OutputRecord, RecordContext, State, Storage, StoreReader,
    StoreSpec, TopicId, Write,
};

fn spec(engine: EngineKind) -> StoreSpec {
    StoreSpec {
        name: "table".to_owned(),
        kind: Kind::KeyValue,
        engine,
        caching: false,
        logging: Logging::Disabled,
    }
}

/// A global store is not logged.
struct Nowhere;

impl Output for Nowhere {
    fn topic(&mut self, _: &kstreams_wire::TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, _: OutputRecord<'_>) -> Result<(), OutputError> {
        panic!("nothing is sent")
    }
}

fn put(state: &mut State, key: &str, value: &str) {
    let write = &mut Write {
        output: &mut Nowhere,
        context: &RecordContext::none(0),
    };
    state
        .put(write, key.as_bytes(), Some(value.as_bytes()))
        .expect("a store in memory does as it is told");
}

fn read(state: &mut State, key: &str) -> Option<String> {
    let value = state
        .peek(key.as_bytes())
        .expect("a store in memory does as it is told");
    value.map(|value| String::from_utf8_lossy(value).into_owned())
}

fn readers_see_commits(storage: &Storage, engine: EngineKind) -> (State, StoreReader) {
    let (mut writer, reader) = storage
        .global(&spec(engine))
        .expect("a store in memory does as it is told");
    let mut early = reader.state().expect("a store in memory does as it is told");
    put(&mut writer, "a", "1");
    early.refresh();
    assert_eq!(read(&mut early, "a"), None, "not committed");
    assert_eq!(read(&mut writer, "a").as_deref(), Some("1"));
    assert!(
        writer
            .commit_positions(&[("t-0".to_owned(), 7)])
            .expect("a store in memory does as it is told")
    );
    early.refresh();
    assert_eq!(read(&mut early, "a").as_deref(), Some("1"));
    assert_eq!(
        writer.position("t-0").expect("a store in memory does as it is told"),
        Some(7)
    );
    assert_eq!(
        writer.position("t-1").expect("a store in memory does as it is told"),
        None
    );
    let late = read(&mut reader.state().expect("a store in memory does as it is told"), "a");
    assert_eq!(late.as_deref(), Some("1"));
    (writer, reader)
}

#[test]
fn a_store_in_memory_waits_for_its_readers_and_then_has_everything() {
    let (mut writer, reader) = readers_see_commits(&Storage::in_memory(), EngineKind::Memory);
    let mut slow = reader.state().expect("a store in memory does as it is told");
    put(&mut writer, "b", "2");
    assert!(
        writer
            .commit_positions(&[])
            .expect("a store in memory does as it is told")
    );
    put(&mut writer, "c", "3");
    assert!(
        !writer
            .commit_positions(&[])
            .expect("a store in memory does as it is told"),
        "the slow reader is two commits behind"
    );
    assert_eq!(read(&mut slow, "b"), None, "it reads what it had");
    assert_eq!(read(&mut writer, "c").as_deref(), Some("3"));
    slow.refresh();
    assert!(
        writer
            .commit_positions(&[("t-1".to_owned(), 9)])
            .expect("a store in memory does as it is told")
    );
    slow.refresh();
    let found = ["a", "b", "c"].map(|key| read(&mut slow, key).unwrap_or_default());
    assert_eq!(found, ["1", "2", "3"]);
    assert_eq!(
        writer.position("t-0").expect("a store in memory does as it is told"),
        Some(7)
    );
    assert_eq!(
        writer.position("t-1").expect("a store in memory does as it is told"),
        Some(9)
    );
}

#[test]
fn a_reader_cannot_write() {
    let (_, reader) = readers_see_commits(&Storage::in_memory(), EngineKind::Memory);
    let write = &mut Write {
        output: &mut Nowhere,
        context: &RecordContext::none(0),
    };
    let refused = reader
        .state()
        .expect("a store in memory does as it is told")
        .put(write, b"a", None)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "store \"table\" is global: only the processor that fills it from its topic may write to it"
    );
}

#[cfg(feature = "fjall")]
#[test]
fn a_store_on_disk_keeps_entries_and_positions() {
    use kstreams_store::{PersistentEngine, RocksDbOptions, StorageConfig};
    let directory = tempfile::tempdir().expect("a store in memory does as it is told");
    let open = || {
        Storage::open(StorageConfig {
            directory: directory.path().to_owned(),
            engine: PersistentEngine::Fjall,
            process_id: "p".to_owned(),
            block_cache_bytes: 1 << 20,
            rocksdb: RocksDbOptions::default(),
        })
        .expect("a store in memory does as it is told")
    };
    let storage = open();
    let (mut writer, reader) = readers_see_commits(&storage, EngineKind::Persistent);
    put(&mut writer, "lost", "x");
    writer.discard();
    drop(reader);
    writer.close().expect("a store in memory does as it is told");
    drop(storage);
    let storage = open();
    let (mut writer, _) = storage
        .global(&spec(EngineKind::Persistent))
        .expect("a store in memory does as it is told");
    assert_eq!(read(&mut writer, "a").as_deref(), Some("1"));
    assert_eq!(read(&mut writer, "lost"), None);
    assert_eq!(
        writer.position("t-0").expect("a store in memory does as it is told"),
        Some(7)
    );
    writer.close().expect("a store in memory does as it is told");
    storage
        .delete(kstreams_store::GLOBAL)
        .expect("a store in memory does as it is told");
    let (mut writer, _) = storage
        .global(&spec(EngineKind::Persistent))
        .expect("a store in memory does as it is told");
    assert_eq!(
        (
            read(&mut writer, "a"),
            writer.position("t-0").expect("a store in memory does as it is told")
        ),
        (None, None)
    );
}
