//! Stores against a model: whatever is done to a store, in whatever order, it answers as ordered maps do.
//!
//! One list of random operations is played on a store of each engine, with and without a cache, and on maps. Every answer is
//! compared; so are the changelog, which must rebuild the store, and the changes handed out, each of which must continue
//! from the one before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kstreams_store::{
    CacheBudget, Changelog, EngineKind, Flushed, Forward, KeyRange, Kind, Logging, Order, Output, OutputError,
    OutputRecord, PersistentEngine, RecordContext, RocksDbOptions, State, Storage, StorageConfig, StoreSpec, TopicId,
    Write,
};
use kstreams_wire::{TopicName, TopicPartition};
use proptest::collection::vec;
use proptest::prelude::*;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, Option<Vec<u8>>),
    Get(Vec<u8>),
    Range(Option<Vec<u8>>, Option<Vec<u8>>, Order),
    Prefix(Vec<u8>),
    Flush,
    Commit,
    Discard,
    Reopen,
    Restore(Vec<(Vec<u8>, Option<Vec<u8>>)>),
}

/// Few and short keys, so that operations meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0_u8), Just(1), Just(0xff)], 1..4)
}

fn op() -> impl Strategy<Value = Op> {
    let value = || vec(any::<u8>(), 0..6);
    let order = prop_oneof![Just(Order::Forward), Just(Order::Reverse)];
    prop_oneof![
        8 => (key(), proptest::option::weighted(0.8, value())).prop_map(|(key, value)| Op::Put(key, value)),
        4 => key().prop_map(Op::Get),
        2 => (proptest::option::of(key()), proptest::option::of(key()), order)
            .prop_map(|(from, to, order)| Op::Range(from, to, order)),
        1 => vec(any::<u8>(), 0..2).prop_map(Op::Prefix),
        1 => Just(Op::Flush),
        2 => Just(Op::Commit),
        1 => Just(Op::Discard),
        1 => Just(Op::Reopen),
        1 => vec((key(), proptest::option::of(value())), 0..5).prop_map(Op::Restore),
    ]
}

/// Applies the changelog to a map, as another instance would.
#[derive(Default)]
struct Replica {
    entries: Entries,
    records: i64,
}

impl Output for Replica {
    fn topic(&mut self, _name: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _topic: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        apply(
            &mut self.entries,
            record.key.expect("changelog records have keys"),
            record.value,
        );
        self.records += 1;
        Ok(())
    }
}

fn apply(entries: &mut Entries, key: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => entries.insert(key.to_vec(), value.to_vec()),
        None => entries.remove(key),
    };
}

#[derive(Clone, Copy, Debug)]
struct Setup {
    engine: Option<PersistentEngine>,
    cache_bytes: Option<usize>,
}

/// A store and what is known of it.
struct Play<'a> {
    setup: Setup,
    directory: &'a Path,
    state: Option<State>,
    live: Entries,
    committed: Entries,
    committed_offset: Option<i64>,
    /// The latest changes handed out: what a downstream node believes.
    seen: Entries,
    log: Replica,
}

fn open(setup: Setup, directory: &Path) -> State {
    let storage = match setup.engine {
        None => Storage::in_memory(),
        Some(engine) => Storage::open(StorageConfig {
            directory: directory.to_owned(),
            engine,
            process_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            block_cache_bytes: 1 << 20,
            rocksdb: RocksDbOptions::default(),
        })
        .expect("the directory is free"),
    };
    let spec = StoreSpec {
        name: "store".to_owned(),
        kind: Kind::KeyValue,
        engine: EngineKind::Persistent,
        caching: setup.cache_bytes.is_some(),
        logging: Logging::enabled(),
    };
    let changelog = Changelog::Own(TopicPartition::new("changelog", 0));
    let budget = CacheBudget::new(setup.cache_bytes.unwrap_or_default());
    let mut state = storage
        .state(&spec, "0_0", Some(changelog), &budget)
        .expect("the store opens");
    state.forward(Forward::NewAndOld);
    state
}

impl<'a> Play<'a> {
    fn new(setup: Setup, directory: &'a Path) -> Self {
        Self {
            setup,
            directory,
            state: Some(open(setup, directory)),
            live: Entries::new(),
            committed: Entries::new(),
            committed_offset: None,
            seen: Entries::new(),
            log: Replica::default(),
        }
    }

    fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("always open between two operations")
    }

    fn play(&mut self, op: Op) {
        match op {
            Op::Put(key, value) => self.put(&key, value.as_deref()),
            Op::Get(key) => {
                let expected = self.live.get(&key).cloned();
                assert_eq!(self.get(&key), expected);
                let peeked = self.state().peek(&key).expect("read").map(<[u8]>::to_vec);
                assert_eq!(peeked, expected);
            }
            Op::Range(from, to, order) => self.range(&KeyRange::between(from.as_deref(), to.as_deref()), order),
            Op::Prefix(prefix) => {
                let range = KeyRange::prefix(&prefix);
                self.range(&range, Order::Forward);
                let expected: Vec<_> = self
                    .live
                    .keys()
                    .filter(|key| key.starts_with(&prefix))
                    .cloned()
                    .collect();
                let found: Vec<_> = self
                    .read(&range, Order::Forward)
                    .into_iter()
                    .map(|(key, _)| key)
                    .collect();
                assert_eq!(found, expected);
            }
            Op::Flush => self.flush(),
            Op::Commit => self.commit(),
            Op::Discard => {
                self.state().discard();
                self.back_to_the_commit();
            }
            Op::Reopen => {
                self.state = None;
                if self.setup.engine.is_none() {
                    self.committed.clear();
                    self.committed_offset = None;
                }
                self.back_to_the_commit();
                self.state = Some(open(self.setup, self.directory));
            }
            Op::Restore(records) => self.restore(&records),
        }
        let expected = self.committed_offset;
        if !matches!(self.state.as_ref().map(State::buffered_bytes), Some(0)) {
            return;
        }
        assert_eq!(self.state().offset(), expected);
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let state = self.state.as_mut().expect("open");
        let mut write = Write {
            output: &mut self.log,
            context: &RecordContext::none(1),
        };
        state.put(&mut write, key, value).expect("put");
        apply(&mut self.live, key, value);
        self.drain();
    }

    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let state = self.state.as_mut().expect("open");
        let mut write = Write {
            output: &mut self.log,
            context: &RecordContext::none(1),
        };
        let value = state.get(&mut write, key).expect("get").map(<[u8]>::to_vec);
        self.drain();
        value
    }

    fn read(&mut self, range: &KeyRange, order: Order) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut range = self.state().range(range, order).expect("range");
        let mut found = Vec::new();
        while let Some((key, value)) = range.next_entry().expect("next") {
            found.push((key.to_vec(), value.to_vec()));
        }
        found
    }

    fn range(&mut self, range: &KeyRange, order: Order) {
        let mut expected: Vec<_> = self
            .live
            .iter()
            .filter(|(key, _)| range.contains(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if order == Order::Reverse {
            expected.reverse();
        }
        assert_eq!(self.read(range, order), expected);
    }

    /// Takes what evictions handed out.
    fn drain(&mut self) {
        let state = self.state.as_mut().expect("open");
        while let Some(change) = state.next_flushed() {
            see(&mut self.seen, change);
        }
    }

    fn flush(&mut self) {
        let state = self.state.as_mut().expect("open");
        while let Some(change) = state.flush_next(&mut self.log).expect("flush") {
            see(&mut self.seen, change);
        }
        assert_eq!(self.log.entries, self.live, "the changelog rebuilds the store");
        if self.state().is_cached() {
            assert_eq!(self.seen, self.live, "downstream has seen every change");
        }
    }

    fn commit(&mut self) {
        self.flush();
        let offset = (self.log.records > 0).then(|| self.log.records - 1);
        self.state().commit(offset).expect("commit");
        self.committed = self.live.clone();
        self.committed_offset = offset.or(self.committed_offset);
        assert_eq!(self.state().buffered_bytes(), 0);
        assert_eq!(self.state().offset(), self.committed_offset);
        assert_eq!(self.read(&KeyRange::all(), Order::Forward).len(), self.live.len());
    }

    fn restore(&mut self, records: &[(Vec<u8>, Option<Vec<u8>>)]) {
        self.commit();
        let last = self.log.records + records.len() as i64 - 1;
        let borrowed = records.iter().map(|(key, value)| (key.as_slice(), value.as_deref(), 1));
        self.state().restore(borrowed, last).expect("restore");
        for (key, value) in records {
            apply(&mut self.live, key, value.as_deref());
            apply(&mut self.log.entries, key, value.as_deref());
        }
        self.log.records = last + 1;
        self.seen = self.live.clone();
        assert_eq!(self.state().offset(), Some(last));
        self.state().commit(None).expect("commit");
        self.committed = self.live.clone();
        self.committed_offset = Some(last);
    }

    fn back_to_the_commit(&mut self) {
        self.live = self.committed.clone();
        self.seen = self.committed.clone();
        self.log.entries = self.committed.clone();
    }
}

/// A downstream node takes a change: the old value must be the one it knows.
fn see(seen: &mut Entries, change: Flushed<'_>) {
    assert_eq!(
        change.old,
        seen.get(change.key).map(Vec::as_slice),
        "old value of {:?}",
        change.key
    );
    apply(seen, change.key, change.new);
}

fn play_all(engine: Option<PersistentEngine>, ops: &[Op]) {
    // None, one that holds next to nothing, one that evicts all the time, one that is never full.
    for cache_bytes in [None, Some(1), Some(200), Some(100_000)] {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut play = Play::new(Setup { engine, cache_bytes }, directory.path());
        for op in ops.iter().cloned() {
            play.play(op);
        }
        play.commit();
    }
}

fn check(engine: Option<PersistentEngine>, cases: u32) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(ops in vec(op(), 1..80))| play_all(engine, &ops));
}

#[test]
fn memory_answers_as_the_model() {
    check(None, 256);
}

#[cfg(feature = "fjall")]
#[test]
fn fjall_answers_as_the_model() {
    check(Some(PersistentEngine::Fjall), 12);
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_answers_as_the_model() {
    check(Some(PersistentEngine::RocksDb), 12);
}

/// Copies a directory that is in use, as a crash would leave it.
fn crash(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            crash(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// What is left after a crash, and its offset. The changelog holds one record per number: key and value are its offset.
fn survivors(engine: PersistentEngine) -> Vec<(Vec<Vec<u8>>, Option<i64>)> {
    let setup = Setup {
        engine: Some(engine),
        cache_bytes: None,
    };
    let directory = tempfile::tempdir().expect("temporary directory");
    let running = directory.path().join("running");
    let mut play = Play::new(setup, &running);
    let mut survivors = Vec::new();
    for number in 0..6_u8 {
        play.put(&[number], Some(&[number]));
        if number % 2 == 1 {
            play.commit();
        }
        let copy = directory.path().join(format!("crashed-{number}"));
        crash(play.directory, &copy);
        let mut crashed = Play::new(setup, &copy);
        let keys = crashed
            .read(&KeyRange::all(), Order::Forward)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        survivors.push((keys, crashed.state().offset()));
    }
    survivors
}

#[cfg(feature = "fjall")]
#[test]
fn after_a_crash_fjall_has_exactly_the_last_commit() {
    let expected = [0_u8, 2, 2, 4, 4, 6].map(|committed| {
        let keys: Vec<Vec<u8>> = (0..committed).map(|number| vec![number]).collect();
        (keys, (committed > 0).then(|| i64::from(committed) - 1))
    });
    assert_eq!(survivors(PersistentEngine::Fjall), expected);
}

#[cfg(feature = "rocksdb")]
#[test]
fn after_a_crash_rocksdb_has_exactly_some_commit() {
    for (keys, offset) in survivors(PersistentEngine::RocksDb) {
        let expected = offset.map_or(0, |offset| offset + 1);
        assert_eq!(keys.len() as i64, expected);
        assert_eq!(expected % 2, 0, "a commit is kept or lost as one");
    }
}
