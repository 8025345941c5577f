//! Window and session stores against a model: they answer as an ordered map does from which old rows are hidden.
//!
//! One list of random operations is played on stores of each kind and engine, with and without a cache. Every answer is
//! compared, and so is what another store makes of the changelog. With a cache only rows inside the retention are compared:
//! older ones may still be in the cache, or not.

mod setup;

use std::collections::BTreeMap;
use std::path::Path;

use kstreams_store::{
    CacheBudget, Changelog, EngineKind, Forward, Keys, Kind, Logging, Order, Output, OutputError, OutputRecord,
    PersistentEngine, RecordContext, RocksDbOptions, Scan, SessionLayout, State, Storage, StorageConfig, StoreSpec,
    TimeOrder, TopicId, WindowLayout, Write,
};
use kstreams_wire::{TopicName, TopicPartition};
use proptest::collection::vec;
use proptest::prelude::*;
use setup::Setup;

/// Key, start, time and value of a row.
type Row = (Vec<u8>, i64, i64, Vec<u8>);

/// A part of the keys, and from which time to which.
type Part = (Option<Vec<u8>>, Option<Vec<u8>>, i64, i64);

#[derive(Clone, Debug)]
enum Op {
    /// Key, time, how much earlier a session begins, value.
    Put(Vec<u8>, i64, i64, Option<u8>),
    Remove(Vec<u8>, i64, i64),
    Get(Vec<u8>, i64, i64),
    One(Vec<u8>, i64, i64, i64, Order),
    Between(Part, Order),
    /// All from the largest time there ever was.
    Newest(Order),
    Closed(i64, i64),
    Flush,
    Commit,
    Discard,
    Reopen,
}

/// Few and short keys that begin each other.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0_u8), Just(b'a'), Just(0xff)], 0..3)
}

fn op() -> impl Strategy<Value = Op> {
    let time = || 0..150_i64;
    let order = || prop_oneof![Just(Order::Forward), Just(Order::Reverse)];
    let value = || proptest::option::weighted(0.85, any::<u8>());
    let part = (proptest::option::of(key()), proptest::option::of(key()), time(), time());
    prop_oneof![
        12 => (key(), time(), 0..3_i64, value()).prop_map(|(key, time, lag, value)| Op::Put(key, time, lag, value)),
        1 => (key(), time(), 0..3_i64).prop_map(|(key, time, lag)| Op::Remove(key, time, lag)),
        4 => (key(), time(), 0..3_i64).prop_map(|(key, time, lag)| Op::Get(key, time, lag)),
        4 => (key(), time(), time(), time(), order()).prop_map(|(key, from, to, start, order)| Op::One(key, from, to, start, order)),
        3 => (part, order()).prop_map(|(part, order)| Op::Between(part, order)),
        2 => order().prop_map(Op::Newest),
        1 => (time(), time()).prop_map(|(from, to)| Op::Closed(from, to)),
        1 => Just(Op::Flush),
        2 => Just(Op::Commit),
        1 => Just(Op::Discard),
        1 => Just(Op::Reopen),
    ]
}

/// What should be in the store: by key, time, and start or number.
#[derive(Clone, Default)]
struct Model {
    rows: BTreeMap<(Vec<u8>, i64, i64), Vec<u8>>,
    observed: Option<i64>,
    /// The largest time in the changelog: stores in memory do not look at the times of what is removed.
    logged: Option<i64>,
    number: i64,
}

#[derive(Default)]
struct Log {
    records: Vec<(Vec<u8>, Option<Vec<u8>>, i64)>,
}

impl Output for Log {
    fn topic(&mut self, _name: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _topic: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        let key = record.key.expect("changelog records have keys").to_vec();
        let timestamp = record.timestamp.expect("and timestamps");
        self.records.push((key, record.value.map(<[u8]>::to_vec), timestamp));
        Ok(())
    }
}

struct Play<'a> {
    setup: Setup,
    directory: &'a Path,
    state: Option<State>,
    live: Model,
    committed: Model,
    dropped: u64,
    /// Nothing before it was asked for when closed windows were last.
    asked_from: i64,
    log: Log,
    logged_at_commit: usize,
}

fn open(setup: Setup, directory: &Path) -> State {
    let storage = match setup.persistent {
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
        kind: setup.kind,
        engine: setup.engine,
        caching: setup.cache_bytes.is_some(),
        logging: Logging::enabled(),
    };
    let changelog = Changelog::Own(TopicPartition::new("changelog", 0));
    let budget = CacheBudget::new(setup.cache_bytes.unwrap_or_default());
    let state = storage.state(&spec, "0_0", Some(changelog), &budget);
    let mut state = state.expect("the store opens");
    state.forward(Forward::NewAndOld);
    state
}

impl<'a> Play<'a> {
    fn new(setup: Setup, directory: &'a Path) -> Self {
        Self {
            setup,
            directory,
            state: Some(open(setup, directory)),
            live: Model::default(),
            committed: Model::default(),
            dropped: 0,
            asked_from: i64::MIN,
            log: Log::default(),
            logged_at_commit: 0,
        }
    }

    fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("always open between two operations")
    }

    fn play(&mut self, op: Op) {
        let step = self.setup.step;
        match op {
            Op::Put(key, time, lag, value) => self.put(&key, time * step, (time - lag) * step, value),
            Op::Remove(key, time, lag) if self.setup.is_session() => {
                self.remove(&key, time * step, (time - lag) * step);
            }
            Op::Remove(key, time, _) => self.put(&key, time * step, time * step, None),
            Op::Get(key, time, lag) => self.get(&key, time * step, (time - lag) * step),
            Op::One(key, from, to, start_to, order) => {
                let scan = Scan {
                    keys: Keys::One(&key),
                    from: from * step,
                    to: to * step,
                    start_to: if self.setup.is_session() {
                        start_to * step
                    } else {
                        i64::MAX
                    },
                    order,
                };
                self.scan(scan);
            }
            Op::Between((first, last, from, to), order) => {
                let scan = Scan {
                    keys: Keys::Between(first.as_deref(), last.as_deref()),
                    from: from * step,
                    to: to * step,
                    start_to: i64::MAX,
                    order,
                };
                self.scan(scan);
            }
            Op::Newest(order) => {
                let scan = Scan {
                    keys: Keys::Between(None, None),
                    from: self.live.observed.unwrap_or_default(),
                    to: i64::MAX,
                    start_to: i64::MAX,
                    order,
                };
                self.scan(scan);
            }
            Op::Closed(from, to) if self.setup.by_time() => self.closed(from * step, to * step),
            Op::Closed(..) => {}
            Op::Flush => self.flush(),
            Op::Commit => self.commit(),
            Op::Discard => {
                self.state().discard();
                self.back_to_the_commit();
            }
            Op::Reopen => {
                self.state = None;
                if self.setup.persistent.is_none() || self.setup.engine == EngineKind::Memory {
                    self.committed = Model::default();
                    self.logged_at_commit = 0;
                }
                self.dropped = 0;
                self.back_to_the_commit();
                self.state = Some(open(self.setup, self.directory));
            }
        }
        if self.setup.cache_bytes.is_none() {
            let (dropped, observed) = (self.dropped, self.live.observed);
            assert_eq!(self.state().dropped(), dropped);
            assert_eq!(self.state().observed_time(), observed);
        }
    }

    /// What a write does to the model. Says whether it came too late.
    fn apply(&mut self, (key, time, rest): (&[u8], i64, i64), value: Option<Vec<u8>>, observes: bool) -> bool {
        let model = &mut self.live;
        model.logged = model.logged.max(Some(time));
        if self.setup.has_duplicates() && self.setup.engine == EngineKind::Persistent && value.is_none() {
            return false;
        }
        if observes {
            model.observed = model.observed.max(Some(time));
        }
        let expired = model
            .observed
            .map_or(i64::MIN, |observed| observed - self.setup.retention());
        let late = match self.setup.engine {
            EngineKind::Memory => time <= expired,
            EngineKind::Persistent => expired >= 0 && self.setup.segment(time) < self.setup.segment(expired),
        };
        match value {
            _ if late => {}
            Some(value) => {
                model.rows.insert((key.to_vec(), time, rest), value);
            }
            None if self.setup.has_duplicates() => {}
            None => {
                model.rows.remove(&(key.to_vec(), time, rest));
            }
        }
        late
    }

    fn put(&mut self, key: &[u8], time: i64, start: i64, value: Option<u8>) {
        let value = value.map(|value| self.setup.bytes(value, time));
        let rest = if self.setup.has_duplicates() {
            self.live.number += 1;
            self.live.number
        } else {
            start
        };
        let rest = if self.setup.is_session() || self.setup.has_duplicates() {
            rest
        } else {
            0
        };
        // A deletion of duplicates is nothing to a store on disk.
        let is_void = value.is_none() && self.setup.has_duplicates() && self.setup.engine == EngineKind::Persistent;
        let late = self.apply((key, time, rest), value.clone(), !is_void) && !is_void;
        self.dropped += u64::from(late);
        let state = self.state.as_mut().expect("open");
        let mut write = Write {
            output: &mut self.log,
            context: &RecordContext::none(1),
        };
        let put = match self.setup.is_session() {
            true => state.session_put(&mut write, key, (start, time), value.as_deref()),
            false => state.window_put(&mut write, key, time, value.as_deref()),
        };
        put.expect("put");
    }

    fn remove(&mut self, key: &[u8], time: i64, start: i64) {
        let observes = self.setup.engine == EngineKind::Persistent || self.setup.cache_bytes.is_some();
        self.apply((key, time, start), None, observes);
        let state = self.state.as_mut().expect("open");
        let mut write = Write {
            output: &mut self.log,
            context: &RecordContext::none(1),
        };
        state.session_remove(&mut write, key, (start, time)).expect("remove");
    }

    /// Rows at this time and before are not seen.
    fn horizon(&self) -> i64 {
        let more = self.setup.by_time()
            && !self.setup.is_session()
            && self.setup.engine == EngineKind::Persistent
            && self.setup.cache_bytes.is_none();
        let observed = self.live.observed;
        observed.map_or(i64::MIN, |observed| observed - self.setup.retention() - i64::from(more))
    }

    /// Closed rows at this time and before are lost in Kafka Streams: of sessions on disk, those in segments that are over.
    fn lost_to(&self) -> i64 {
        let (Kind::Session(layout), EngineKind::Persistent) = (self.setup.kind, self.setup.engine) else {
            return self.horizon();
        };
        let expired = self.live.observed.map(|observed| observed - layout.retention_ms);
        expired.map_or(i64::MIN, |expired| {
            expired.div_euclid(layout.segment_ms) * layout.segment_ms - 1
        })
    }

    fn get(&mut self, key: &[u8], time: i64, start: i64) {
        if self.setup.has_duplicates() || (self.setup.cache_bytes.is_some() && time <= self.horizon()) {
            return;
        }
        let rest = if self.setup.is_session() { start } else { 0 };
        let row = self.live.rows.get(&(key.to_vec(), time, rest));
        let expected = row.filter(|_| time > self.horizon()).cloned();
        let found = match self.setup.is_session() {
            true => self.state().session_get(key, start, time),
            false => self.state().window_get(key, time),
        };
        assert_eq!(found.expect("get").map(<[u8]>::to_vec), expected);
    }

    /// The rows of the model that satisfy a condition, in the order of time.
    fn expected(&self, wanted: impl Fn(&[u8], i64, i64) -> bool) -> Vec<Row> {
        self.ordered(wanted, |key, time, rest| (time, key.to_vec(), rest))
    }

    /// The rows of the model that satisfy a condition, in some order.
    fn ordered<O: Ord>(
        &self,
        wanted: impl Fn(&[u8], i64, i64) -> bool,
        order: impl Fn(&[u8], i64, i64) -> O,
    ) -> Vec<Row> {
        let rows = self
            .live
            .rows
            .iter()
            .filter(|((key, time, rest), _)| wanted(key, *time, *rest));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|((key, time, rest), _)| order(key, *time, *rest));
        let is_session = self.setup.is_session();
        let row = |((key, time, rest), value): (&(Vec<u8>, i64, i64), &Vec<u8>)| {
            (
                key.clone(),
                if is_session { *rest } else { *time },
                *time,
                value.clone(),
            )
        };
        rows.into_iter().map(row).collect()
    }

    fn scan(&mut self, scan: Scan<'_>) {
        let horizon = self.horizon();
        let is_session = self.setup.is_session();
        let wanted = |key: &[u8], time: i64, rest: i64| {
            let is_wanted = match scan.keys {
                Keys::One(one) => key == one,
                Keys::Between(first, last) => {
                    first.is_none_or(|first| first <= key) && last.is_none_or(|last| key <= last)
                }
            };
            let start = if is_session { rest } else { time };
            is_wanted && time > horizon && (scan.from..=scan.to).contains(&time) && start <= scan.start_to
        };
        let by_segment = matches!(scan.keys, Keys::Between(..))
            && self.setup.engine == EngineKind::Persistent
            && !self.setup.by_time();
        let mut expected = if by_segment {
            self.ordered(wanted, |key, time, rest| {
                (
                    self.setup.segment(time),
                    [key, &self.setup.inside(time), &self.setup.rest(rest)].concat(),
                )
            })
        } else {
            self.expected(wanted)
        };
        if scan.order == Order::Reverse {
            expected.reverse();
        }
        let found = read(self.state(), scan);
        let found: Vec<Row> = found.into_iter().filter(|row| row.2 > horizon).collect();
        assert_eq!(found, expected);
    }

    fn closed(&mut self, from: i64, to: i64) {
        self.asked_from = self.asked_from.max(from);
        let from = self.asked_from;
        for visible in [true, false] {
            let hidden_to = match visible {
                _ if self.setup.cache_bytes.is_some() => self.horizon(),
                true => self.lost_to(),
                false => i64::MIN,
            };
            let mut expected = self.expected(|_, time, _| time > hidden_to && (from..=to).contains(&time));
            if self.setup.is_session() && self.setup.engine == EngineKind::Persistent {
                expected.sort_by_key(|(key, start, time, _)| (*time, *start, key.clone()));
            }
            let mut closed = self.state().closed(from, to, visible).expect("closed");
            let mut found = Vec::new();
            while let Some(row) = closed.next_row().expect("next") {
                found.push((row.key.to_vec(), row.start, row.time, row.value.to_vec()));
            }
            let found: Vec<Row> = found.into_iter().filter(|row| row.2 > hidden_to).collect();
            assert_eq!(found, expected);
        }
    }

    fn flush(&mut self) {
        let state = self.state.as_mut().expect("open");
        while state.flush_next(&mut self.log).expect("flush").is_some() {}
        let mut copy = open(
            Setup {
                persistent: None,
                cache_bytes: None,
                ..self.setup
            },
            self.directory,
        );
        let records = self.log.records.iter();
        let records = records.map(|(key, value, timestamp)| (key.as_slice(), value.as_deref(), *timestamp));
        copy.restore(records, self.log.records.len() as i64).expect("restore");
        copy.commit(None).expect("commit");
        let all = Scan {
            keys: Keys::Between(None, None),
            from: i64::MIN,
            to: i64::MAX,
            start_to: i64::MAX,
            order: Order::Forward,
        };
        let logged = self.live.logged;
        let horizon = self
            .horizon()
            .max(logged.map_or(i64::MIN, |logged| logged - self.setup.retention()));
        let mut restored = read(&mut copy, all);
        restored.retain(|row| row.2 > horizon);
        restored.sort();
        let mut expected = self.expected(|_, time, _| time > horizon);
        expected.sort();
        if !self.setup.has_duplicates() {
            assert_eq!(restored, expected, "the changelog rebuilds the store");
        }
        let state = self.state.as_mut().expect("open");
        let mut own = read(state, all);
        own.retain(|row| row.2 > horizon);
        own.sort();
        assert_eq!(own, restored, "the changelog rebuilds the store");
    }

    fn commit(&mut self) {
        self.flush();
        self.state().commit(Some(1)).expect("commit");
        assert_eq!(self.state().buffered_bytes(), 0);
        self.committed = self.live.clone();
        self.logged_at_commit = self.log.records.len();
    }

    fn back_to_the_commit(&mut self) {
        self.live = self.committed.clone();
        self.log.records.truncate(self.logged_at_commit);
    }
}

fn read(state: &mut State, scan: Scan<'_>) -> Vec<Row> {
    let mut rows = state.scan(scan).expect("scan");
    let mut found = Vec::new();
    while let Some(row) = rows.next_row().expect("next") {
        found.push((row.key.to_vec(), row.start, row.time, row.value.to_vec()));
    }
    found
}

fn kinds(step: i64) -> Vec<Kind> {
    let (retention_ms, segment_ms) = (40 * step, 16 * step);
    let window = WindowLayout {
        segment_ms,
        ..WindowLayout::new(retention_ms, 10)
    };
    let session = SessionLayout {
        segment_ms,
        ..SessionLayout::new(retention_ms)
    };
    let order = TimeOrder::TimeFirst;
    vec![
        Kind::Window(window),
        Kind::Window(WindowLayout {
            timestamped: true,
            ..window
        }),
        Kind::Window(WindowLayout {
            duplicates: true,
            ..window
        }),
        Kind::Window(WindowLayout {
            timestamped: true,
            order,
            ..window
        }),
        Kind::Session(session),
        Kind::Session(SessionLayout { order, ..session }),
    ]
}

fn play_all(persistent: Option<PersistentEngine>, ops: &[Op]) {
    let engines: &[EngineKind] = match persistent {
        None => &[EngineKind::Memory, EngineKind::Persistent],
        Some(_) => &[EngineKind::Persistent],
    };
    // Times inside a segment take four bytes, or eight.
    for step in [1, 1 << 26] {
        for kind in kinds(step) {
            for &engine in engines {
                for cache_bytes in [None, Some(1), Some(300), Some(100_000)] {
                    let setup = Setup {
                        kind,
                        engine,
                        persistent,
                        cache_bytes,
                        step,
                    };
                    let directory = tempfile::tempdir().expect("temporary directory");
                    let mut play = Play::new(setup, directory.path());
                    for op in ops.iter().cloned() {
                        play.play(op);
                    }
                    play.commit();
                }
            }
        }
    }
}

fn check(engine: Option<PersistentEngine>, cases: u32) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(ops in vec(op(), 1..60))| play_all(engine, &ops));
}

#[test]
fn memory_answers_as_the_model() {
    check(None, 24);
}

#[cfg(feature = "fjall")]
#[test]
fn fjall_answers_as_the_model() {
    check(Some(PersistentEngine::Fjall), 1);
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_answers_as_the_model() {
    check(Some(PersistentEngine::RocksDb), 1);
}
