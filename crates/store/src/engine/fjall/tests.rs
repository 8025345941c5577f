//! What a loss of power leaves.

use std::fs;
use std::path::{Path, PathBuf};

use super::FjallHome;
use crate::engine::{Batch, Engine, Home, Opened, Place};

const KEYS: i64 = 100;
const CUTS: usize = 9;

fn open(directory: &Path) -> Box<dyn Engine> {
    let place = Place {
        task: "0_0".into(),
        store: "store".into(),
        changelog: "log-0".into(),
    };
    match FjallHome::new(directory, 1 << 20).open(&place, "1:plain").unwrap() {
        Opened::Engine(engine) => engine,
        Opened::OtherFormat(found) => panic!("found format {found}"),
    }
}

/// One commit: an entry that has the same number as the offset.
fn commit(engine: &mut dyn Engine, number: i64) {
    let (key, value) = ((number % KEYS).to_be_bytes(), number.to_be_bytes());
    let mut writes = std::iter::once((&key[..], Some(&value[..])));
    let batch = Batch {
        drop_before: None,
        writes: &mut writes,
        offset: Some(number),
        changelog_id: None,
        positions: &[],
    };
    engine.write(batch).unwrap();
}

/// The greatest number that an entry has.
fn latest(engine: &dyn Engine) -> Option<i64> {
    let values = (0..KEYS).filter_map(|key| {
        let mut value = Vec::new();
        engine.get(&key.to_be_bytes(), &mut value).unwrap().then_some(value)
    });
    values.map(|value| i64::from_be_bytes(value.try_into().unwrap())).max()
}

/// How many files of sorted entries there are.
fn tables(directory: &Path) -> usize {
    let keyspaces = fs::read_dir(directory.join("fjall/keyspaces")).unwrap();
    // The first one is fjall's own.
    let keyspaces = keyspaces
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("0"));
    keyspaces
        .map(|path| fs::read_dir(path.join("tables")).unwrap().count())
        .sum()
}

fn journals(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory.join("fjall")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "jnl"))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// fjall forces files of sorted entries to the disk, but not each batch in the journal: a loss of power leaves the files and
/// some beginning of the journal.
#[test]
fn after_a_loss_of_power_an_offset_is_that_of_its_entries() {
    let directory = tempfile::tempdir().unwrap();
    let whole = directory.path().join("whole");
    let mut engine = open(&whole);
    let mut numbers = 0..;
    while tables(&whole) == 0 {
        for number in numbers.by_ref().take(1000) {
            commit(&mut *engine, number);
        }
    }
    for number in numbers.take(1000) {
        commit(&mut *engine, number);
    }
    drop(engine);
    let [journal] = &journals(&whole)[..] else {
        panic!("the journal is larger than what is written here");
    };
    let written = fs::read(journal).unwrap();
    let length = written.iter().rposition(|byte| *byte != 0).unwrap();
    for part in 0..=CUTS {
        let cut = directory.path().join(part.to_string());
        copy(&whole, &cut);
        let left = &written[..length * part / CUTS];
        fs::write(cut.join("fjall").join(journal.file_name().unwrap()), left).unwrap();
        let engine = open(&cut);
        assert_eq!(latest(&*engine), engine.offset(), "{part} of {CUTS} of the journal");
    }
}
