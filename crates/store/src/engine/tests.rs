//! What every engine promises, tried on each of them.

use std::fs;
use std::path::Path;

use crate::engine::memory::MemoryEngine;
use crate::engine::{Batch, Engine, Home, Opened, Place};
use crate::range::{KeyRange, Order};

type Writes<'a> = &'a [(&'a str, Option<&'a str>)];

pub(super) fn write(engine: &mut dyn Engine, writes: Writes<'_>, offset: Option<i64>) {
    write_dropping(engine, None, writes, offset);
}

fn write_dropping(engine: &mut dyn Engine, drop_before: Option<&[u8]>, writes: Writes<'_>, offset: Option<i64>) {
    let mut sorted: Vec<_> = writes
        .iter()
        .map(|(key, value)| (key.as_bytes(), value.map(str::as_bytes)))
        .collect();
    sorted.sort_unstable();
    let batch = Batch {
        drop_before,
        writes: &mut sorted.into_iter(),
        offset,
        changelog_id: None,
        positions: &[],
    };
    engine.write(batch).unwrap();
}

pub(super) fn read(engine: &dyn Engine, key: &str) -> Option<String> {
    let mut value = Vec::new();
    let found = engine.get(key.as_bytes(), &mut value).unwrap();
    found.then(|| String::from_utf8(value).unwrap())
}

fn keys(engine: &mut dyn Engine, range: &KeyRange, order: Order) -> String {
    let mut keys = String::new();
    engine.index();
    let mut cursor = engine.range(range, order).unwrap();
    while let Some((key, value)) = cursor.entry() {
        assert_eq!(value, [b"v", key].concat());
        keys.push_str(std::str::from_utf8(key).unwrap());
        keys.push(' ');
        cursor.advance().unwrap();
    }
    keys
}

fn writes_and_reads(engine: &mut dyn Engine) {
    assert_eq!(read(engine, "a"), None);
    assert_eq!(engine.offset(), None);
    write(engine, &[("a", Some("1")), ("b", Some("")), ("c", Some("3"))], Some(3));
    write(engine, &[("a", Some("longer")), ("c", None), ("never", None)], None);
    assert_eq!(read(engine, "a").as_deref(), Some("longer"));
    assert_eq!(read(engine, "b").as_deref(), Some(""));
    assert_eq!(read(engine, "c"), None);
    assert_eq!(engine.offset(), Some(3));
    write(engine, &[], Some(9));
    assert_eq!(engine.offset(), Some(9));
}

fn ranges_both_ways(engine: &mut dyn Engine) {
    let names = ["a", "ab", "abc", "b", "ba", "c"];
    let values: Vec<String> = names.iter().map(|name| format!("v{name}")).collect();
    let entries: Vec<_> = names
        .iter()
        .zip(&values)
        .map(|(name, value)| (*name, Some(value.as_str())))
        .collect();
    write(engine, &entries, None);
    let cases = [
        (KeyRange::all(), "a ab abc b ba c "),
        (KeyRange::between(Some(b"ab"), Some(b"b")), "ab abc b "),
        (KeyRange::between(None, Some(b"aa")), "a "),
        (KeyRange::between(Some(b"bb"), None), "c "),
        (KeyRange::between(Some(b"d"), None), ""),
        (KeyRange::prefix(b"ab"), "ab abc "),
        (KeyRange::prefix(b""), "a ab abc b ba c "),
        (KeyRange::prefix(b"x"), ""),
    ];
    for (range, expected) in cases {
        assert_eq!(keys(engine, &range, Order::Forward), expected, "{range:?}");
        let mut reversed: Vec<&str> = expected.split_terminator(' ').collect();
        reversed.reverse();
        let backwards = keys(engine, &range, Order::Reverse);
        assert_eq!(
            backwards.split_terminator(' ').collect::<Vec<_>>(),
            reversed,
            "{range:?}"
        );
    }
}

fn keys_of_zeros(engine: &mut dyn Engine) {
    let keys_written = ["", "\0", "\0\0", "\0\u{1}", "\u{1}"];
    let values = keys_written.map(|key| format!("v{key}"));
    let entries: Vec<_> = keys_written
        .iter()
        .zip(&values)
        .map(|(key, value)| (*key, Some(value.as_str())))
        .collect();
    write(engine, &entries, None);
    assert_eq!(
        keys(engine, &KeyRange::all(), Order::Forward),
        " \0 \0\0 \0\u{1} \u{1} "
    );
    assert_eq!(
        keys(engine, &KeyRange::between(Some(b"\0"), Some(b"\0\0")), Order::Reverse),
        "\0\0 \0 "
    );
    assert_eq!(read(engine, "").as_deref(), Some("v"));
    write(engine, &[("", None), ("\0", None)], None);
    assert_eq!(keys(engine, &KeyRange::all(), Order::Forward), "\0\0 \0\u{1} \u{1} ");
}

fn drops_what_is_before_a_key(engine: &mut dyn Engine) {
    let entries = [
        ("a", Some("va")),
        ("b", Some("vb")),
        ("ba", Some("vba")),
        ("c", Some("vc")),
    ];
    write(engine, &entries, None);
    write_dropping(engine, Some(b"ba"), &[("c", None), ("d", Some("vd"))], None);
    assert_eq!(keys(engine, &KeyRange::all(), Order::Forward), "ba d ");
    assert_eq!(read(engine, "a"), None);
}

fn counts_entries(engine: &mut dyn Engine) {
    write(engine, &[("a", Some("1")), ("b", Some("1"))], None);
    let mut writes = [(&b"c"[..], true)].into_iter();
    assert_eq!(engine.approximate_entries(&mut writes).unwrap(), 3);
}

#[test]
fn memory() {
    writes_and_reads(&mut MemoryEngine::default());
    ranges_both_ways(&mut MemoryEngine::default());
    keys_of_zeros(&mut MemoryEngine::default());
    counts_entries(&mut MemoryEngine::default());
    drops_what_is_before_a_key(&mut MemoryEngine::default());
    let mut engine = MemoryEngine::default();
    write(&mut engine, &[("a", Some("1"))], None);
    let mut writes = [(&b"a"[..], true), (&b"b"[..], false)].into_iter();
    assert_eq!(engine.approximate_entries(&mut writes).unwrap(), 1);
}

#[cfg(feature = "fjall")]
#[test]
fn fjall() {
    on_disk(|directory| Box::new(crate::engine::fjall::FjallHome::new(directory, 1 << 20)));
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocks() {
    on_disk(|directory| {
        Box::new(crate::engine::rocks::RocksHome::new(
            directory,
            1 << 20,
            crate::storage::RocksDbOptions::default(),
        ))
    });
}

fn place(task: &str, store: &str) -> Place {
    Place {
        task: task.into(),
        store: store.into(),
        changelog: "log-0".into(),
    }
}

pub(super) fn open(home: &dyn Home, task: &str, store: &str) -> Box<dyn Engine> {
    match home.open(&place(task, store), "1:plain").unwrap() {
        Opened::Engine(engine) => engine,
        Opened::OtherFormat(found) => panic!("found format {found}"),
    }
}

/// Copies a directory, as a crash would leave it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn on_disk(home_in: impl Fn(&Path) -> Box<dyn Home>) {
    let directory = tempfile::tempdir().unwrap();
    {
        let home = home_in(directory.path());
        assert!(home.tasks().unwrap().is_empty());
        assert!(home.offsets("0_0").unwrap().is_empty());
        home.delete("0_0").unwrap();
        writes_and_reads(&mut *open(&*home, "0_0", "points"));
        ranges_both_ways(&mut *open(&*home, "0_0", "ranges"));
        keys_of_zeros(&mut *open(&*home, "0_0", "zeros"));
        counts_entries(&mut *open(&*home, "0_1", "counted"));
        drops_what_is_before_a_key(&mut *open(&*home, "0_0", "dropped"));
    }
    let home = home_in(directory.path());
    let mut points = open(&*home, "0_0", "points");
    assert_eq!(points.offset(), Some(9));
    assert_eq!(read(&*points, "a").as_deref(), Some("longer"));
    points.close().unwrap();
    drop(points);

    // An offset belongs to the changelog that it was written for.
    let other_changelog = Place {
        changelog: "other-0".into(),
        ..place("0_0", "points")
    };
    match home.open(&other_changelog, "1:plain").unwrap() {
        Opened::Engine(engine) => assert_eq!(engine.offset(), None),
        Opened::OtherFormat(found) => panic!("found format {found}"),
    }
    match home.open(&place("0_0", "points"), "1:timestamped").unwrap() {
        Opened::Engine(_) => panic!("opened a store of another format"),
        Opened::OtherFormat(found) => assert_eq!(found, "1:plain"),
    }

    assert_eq!(home.tasks().unwrap().into_iter().collect::<Vec<_>>(), ["0_0", "0_1"]);
    let offsets: Vec<_> = home.offsets("0_0").unwrap().into_iter().collect();
    assert_eq!(offsets, [("points".to_owned(), 9)]);
    home.delete("0_0").unwrap();
    assert_eq!(home.tasks().unwrap().into_iter().collect::<Vec<_>>(), ["0_1"]);
    let points = open(&*home, "0_0", "points");
    assert_eq!((points.offset(), read(&*points, "a")), (None, None));
    drop(points);
    drop(home);
    let home = home_in(directory.path());
    assert_eq!(read(&*open(&*home, "0_0", "points"), "a"), None);
}
