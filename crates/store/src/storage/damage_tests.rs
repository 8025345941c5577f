//! What becomes of a store whose files are not as they were written.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::tests::{changelog, open_on, peek, put, state};
use crate::error::Error;
use crate::range::{KeyRange, Order};
use crate::spec::Kind;
use crate::state::State;
use crate::storage::{PersistentEngine, Storage};

/// Long enough for a flush in the background.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a table with values of [`fill`] below a directory: the file, and where in it the first and the last value are.
fn table(directory: &Path) -> (PathBuf, [usize; 2]) {
    fn files(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => files(&entry.path(), found),
                false => found.push(entry.path()),
            }
        }
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let mut found = Vec::new();
        files(directory, &mut found);
        // What fjall calls it, and what RocksDB does.
        let is_table = |file: &PathBuf| {
            file.components().any(|part| part.as_os_str() == "tables")
                || file.extension().is_some_and(|end| end == "sst")
        };
        found.retain(is_table);
        for file in found {
            let bytes = fs::read(&file).unwrap_or_default();
            let is_value = |window: &[u8]| window.iter().all(|byte| *byte == b'v');
            let mut windows = bytes.windows(500);
            if let (Some(first), Some(last)) = (windows.position(is_value), bytes.windows(500).rposition(is_value)) {
                return (file, [first, last]);
            }
        }
        assert!(Instant::now() < end, "the entries never came to a file");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn read_all(store: &mut State) -> crate::Result<()> {
    let mut range = store.range(&KeyRange::all(), Order::Forward)?;
    while range.next_entry()?.is_some() {}
    Ok(())
}

/// Puts so much into a store that it does not stay in memory, and closes it when it is in files.
fn fill(engine: PersistentEngine, directory: &Path) {
    let storage = open_on(engine, directory);
    let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
    let value = "v".repeat(1000);
    for n in 0..6_000 {
        put(&mut store, &format!("{n:08}"), &value);
    }
    store.commit(Some(5_999)).unwrap();
    store.close().unwrap();
    table(directory);
}

fn damage(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x55;
    fs::write(file, bytes).unwrap();
}

/// A store with a table in which one of its values is damaged.
fn with_a_damaged_table(engine: PersistentEngine, directory: &Path, which: usize) -> Storage {
    fill(engine, directory);
    let (file, places) = table(directory);
    damage(&file, places[which]);
    open_on(engine, directory)
}

/// The store is not opened as it is, but made anew from its changelog.
fn is_rebuilt(storage: &Storage) {
    assert!(matches!(state(storage, Kind::KeyValue, None), Err(Error::Format { found, .. }) if found == "damaged"));
    let mut store = state(storage, Kind::KeyValue, changelog()).unwrap();
    assert_eq!((store.offset(), peek(&mut store, "00000001")), (None, None));
}

fn a_damaged_table_is_told_of_and_its_store_is_rebuilt(engine: PersistentEngine) {
    let directory = tempfile::tempdir().unwrap();
    let storage = with_a_damaged_table(engine, directory.path(), 1);
    let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
    let error = read_all(&mut store).unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { store, .. } if store == "store"),
        "{error}"
    );
    assert!(error.to_string().contains("task 0_1: its files in /"), "{error}");
    drop(store);
    is_rebuilt(&storage);
}

mod fjall {
    use super::*;

    const ENGINE: PersistentEngine = PersistentEngine::Fjall;

    #[test]
    fn a_damaged_table_is_told_of_and_its_store_is_rebuilt() {
        super::a_damaged_table_is_told_of_and_its_store_is_rebuilt(ENGINE);
    }

    #[test]
    fn a_store_that_cannot_say_what_it_is_is_rebuilt() {
        let directory = tempfile::tempdir().unwrap();
        is_rebuilt(&with_a_damaged_table(ENGINE, directory.path(), 0));
    }

    #[test]
    fn a_damaged_journal_is_refused_and_named() {
        let directory = tempfile::tempdir().unwrap();
        {
            let storage = open_on(ENGINE, directory.path());
            let mut store = state(&storage, Kind::KeyValue, changelog()).unwrap();
            put(&mut store, "a", &"value".repeat(1000));
            store.commit(Some(1)).unwrap();
        }
        let journal = directory.path().join("app/fjall/0.jnl");
        let bytes = fs::read(&journal).unwrap();
        let at = bytes.windows(5).position(|window| window == b"value").unwrap();
        damage(&journal, at + 100);
        let storage = open_on(ENGINE, directory.path());
        let refused = state(&storage, Kind::KeyValue, changelog())
            .err()
            .expect("it is damaged");
        assert!(matches!(&refused, Error::Damaged { .. }), "{refused:?}");
        assert!(refused.to_string().ends_with("/app/fjall are damaged"), "{refused}");
    }
}

#[cfg(feature = "rocksdb")]
mod rocksdb {
    use super::*;

    const ENGINE: PersistentEngine = PersistentEngine::RocksDb;

    #[test]
    fn a_damaged_table_is_told_of_and_its_store_is_rebuilt() {
        super::a_damaged_table_is_told_of_and_its_store_is_rebuilt(ENGINE);
    }

    #[test]
    fn a_store_that_cannot_be_opened_is_rebuilt() {
        let directory = tempfile::tempdir().unwrap();
        fill(ENGINE, directory.path());
        let store = directory.path().join("app/rocksdb/0_1/store");
        let manifest = fs::read_to_string(store.join("CURRENT")).unwrap();
        damage(&store.join(manifest.trim()), 20);
        is_rebuilt(&open_on(ENGINE, directory.path()));
    }
}
