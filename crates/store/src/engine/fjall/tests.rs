//! What a loss of power leaves.

use std::fs;
use std::path::{Path, PathBuf};

use super::FjallHome;
use crate::engine::Engine;
use crate::engine::tests::{self, copy, read, write};

const KEYS: i64 = 100;
const CUTS: usize = 9;

fn open(directory: &Path) -> Box<dyn Engine> {
    tests::open(&FjallHome::new(directory, 1 << 20), "0_0", "store")
}

fn key(number: i64) -> String {
    (number % KEYS).to_string()
}

/// One commit: an entry that has the same number as the offset.
fn commit(engine: &mut dyn Engine, number: i64) {
    let value = number.to_string();
    write(engine, &[(&key(number), Some(&value))], Some(number));
}

/// The greatest number that an entry has.
fn latest(engine: &dyn Engine) -> Option<i64> {
    let values = (0..KEYS).filter_map(|number| read(engine, &key(number)));
    values.map(|value| value.parse().unwrap()).max()
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
