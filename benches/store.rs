//! A store's write path: what one update of a count costs, cached and per engine, and what a commit and a restoration cost.

#![expect(clippy::indexing_slicing, reason = "a bench may fail loudly")]

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kstreams_store::{
    CacheBudget, Changelog, EngineKind, Forward, Keys, Kind, Logging, Order, Output, OutputError, OutputRecord,
    PersistentEngine, RecordContext, RocksDbOptions, Scan, State, Storage, StorageConfig, StoreSpec, TopicId,
    WindowLayout, Write, layout,
};
use kstreams_wire::{Headers, TopicName, TopicPartition};

/// Takes records and forgets them: the producer has a bench of its own.
struct Void;

impl Output for Void {
    fn topic(&mut self, _name: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _topic: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        black_box(record);
        Ok(())
    }
}

/// The engines in this build, each with a name.
fn engines() -> Vec<(&'static str, Option<PersistentEngine>)> {
    let mut engines = vec![("memory", None)];
    if cfg!(feature = "fjall") {
        engines.push(("fjall", Some(PersistentEngine::Fjall)));
    }
    if cfg!(feature = "rocksdb") {
        engines.push(("rocksdb", Some(PersistentEngine::RocksDb)));
    }
    engines
}

fn open(engine: Option<PersistentEngine>, directory: &Path, cache: Option<&CacheBudget>) -> State {
    open_kind(Kind::TimestampedKeyValue, engine, directory, cache)
}

fn open_kind(kind: Kind, engine: Option<PersistentEngine>, directory: &Path, cache: Option<&CacheBudget>) -> State {
    let storage = match engine {
        None => Storage::in_memory(),
        Some(engine) => Storage::open(StorageConfig {
            directory: directory.to_owned(),
            engine,
            process_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            block_cache_bytes: 16 << 20,
            rocksdb: RocksDbOptions::default(),
        })
        .expect("the directory is free"),
    };
    let spec = StoreSpec {
        name: "counts".to_owned(),
        kind,
        engine: EngineKind::Persistent,
        caching: cache.is_some(),
        logging: Logging::enabled(),
    };
    let changelog = Changelog::Own(TopicPartition::new("app-counts-changelog", 0));
    let unused = CacheBudget::new(0);
    let state = storage.state(&spec, "0_0", Some(changelog), cache.unwrap_or(&unused));
    state.expect("the store opens")
}

/// The keys of a word count: short, of different lengths.
fn keys(count: u64) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| format!("word-{}", number * 7919 % 1_000_003).into_bytes())
        .collect()
}

/// Visits the keys in an order that repeats none of them soon.
fn shuffled(count: u64) -> impl Iterator<Item = usize> {
    let mut state = 88_172_645_463_325_252_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % count).expect("a small number")
    })
}

fn context() -> RecordContext {
    RecordContext {
        topic: Some(TopicName::new("app-counts-repartition")),
        partition: 0,
        offset: 0,
        timestamp: 1_700_000_000_000,
        headers: Headers::new(),
    }
}

/// What the count operator does with one record.
fn count(state: &mut State, key: &[u8], context: &RecordContext) {
    let mut write = Write {
        output: &mut Void,
        context,
    };
    let old = state
        .get(&mut write, key)
        .expect("get")
        .and_then(layout::timestamped::split);
    let count = old
        .and_then(|(_, value)| value.try_into().ok())
        .map_or(0, i64::from_be_bytes)
        + 1;
    let mut stored = [0; 16];
    stored[..8].copy_from_slice(&context.timestamp.to_be_bytes());
    stored[8..].copy_from_slice(&count.to_be_bytes());
    state.put(&mut write, key, Some(&stored)).expect("put");
}

/// Flushes and commits as a task does, and says how many changes went downstream.
fn commit(state: &mut State, offset: i64) -> u64 {
    let mut changes = 0;
    while let Some(change) = state.flush_next(&mut Void).expect("flush") {
        black_box(change);
        changes += 1;
    }
    state.commit(Some(offset)).expect("commit");
    changes
}

/// One update of a count that is in the cache.
fn cached(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cached count");
    group.throughput(Throughput::Elements(1));
    for size in [1_000, 50_000] {
        let keys = keys(size);
        let mut state = open(None, Path::new(""), Some(&CacheBudget::new(100 << 20)));
        state.forward(Forward::New);
        let mut context = context();
        let mut order = shuffled(size);
        group.bench_function(format!("{size} keys"), |bench| {
            bench.iter(|| {
                context.offset += 1;
                count(&mut state, &keys[order.next().expect("endless")], &context);
            });
        });
    }
    group.finish();
}

/// Updates of 20,000 counts and the commit that follows, per update: with the default cache, with one that is far too
/// small, and without one.
fn committed(criterion: &mut Criterion) {
    const UPDATES: u64 = 50_000;
    const KEYS: u64 = 20_000;
    let keys = keys(KEYS);
    let mut group = criterion.benchmark_group("count and commit");
    group.throughput(Throughput::Elements(UPDATES)).sample_size(20);
    for (name, engine) in engines() {
        for (kind, cache_bytes) in [
            ("cached", Some(10 << 20)),
            ("small cache", Some(200_000)),
            ("uncached", None),
        ] {
            let directory = tempfile::tempdir().expect("temporary directory");
            let budget = cache_bytes.map(CacheBudget::new);
            let mut state = open(engine, directory.path(), budget.as_ref());
            state.forward(Forward::New);
            let context = context();
            let mut order = shuffled(KEYS);
            let mut offset = 0;
            group.bench_function(format!("{name} {kind}"), |bench| {
                bench.iter(|| {
                    for key in order.by_ref().take(UPDATES as usize) {
                        count(&mut state, &keys[key], &context);
                        while let Some(change) = state.next_flushed() {
                            black_box(change);
                        }
                    }
                    offset += 1;
                    commit(&mut state, offset)
                });
            });
        }
    }
    group.finish();
}

/// Applying a changelog to an empty store, per record, in polls of 1,000 records.
fn restored(criterion: &mut Criterion) {
    const RECORDS: u64 = 200_000;
    let keys = keys(RECORDS / 2);
    let mut group = criterion.benchmark_group("restore");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    for (name, engine) in engines() {
        group.bench_function(name, |bench| {
            bench.iter_batched(
                || tempfile::tempdir().expect("temporary directory"),
                |directory| {
                    let mut state = open(engine, directory.path(), None);
                    let mut offset = -1;
                    let order: Vec<usize> = shuffled(RECORDS / 2).take(RECORDS as usize).collect();
                    for poll in order.chunks(1000) {
                        offset += 1000;
                        let records = poll
                            .iter()
                            .map(|&key| (keys[key].as_slice(), Some(&b"12345678"[..]), 1));
                        state.restore(records, offset).expect("restore");
                    }
                    state.commit(None).expect("commit");
                    state.close().expect("close");
                    directory
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// What the two sides of a stream-stream join do with a record: one puts it into its window store, the other looks up the
/// last ten seconds of its key. A record every ten milliseconds; an hour is kept, in segments of half an hour.
fn windowed(criterion: &mut Criterion) {
    const RECORDS: u64 = 10_000;
    let keys = keys(1_000);
    let mut group = criterion.benchmark_group("window put and fetch");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    for (name, engine) in engines() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let layout = WindowLayout {
            duplicates: true,
            ..WindowLayout::new(3_600_000, 10_000)
        };
        let mut state = open_kind(Kind::Window(layout), engine, directory.path(), None);
        let context = context();
        let (mut now, mut offset) = (0, 0);
        let mut order = shuffled(1_000);
        group.bench_function(name, |bench| {
            bench.iter(|| {
                for key in order.by_ref().take(RECORDS as usize) {
                    now += 10;
                    join(&mut state, &keys[key], now, &context);
                }
                offset += 1;
                state.commit(Some(offset)).expect("commit");
            });
        });
    }
    group.finish();
}

fn join(state: &mut State, key: &[u8], now: i64, context: &RecordContext) {
    let mut write = Write {
        output: &mut Void,
        context,
    };
    state.window_put(&mut write, key, now, Some(b"12345678")).expect("put");
    let recent = Scan {
        keys: Keys::One(key),
        from: now - 10_000,
        to: now,
        start_to: i64::MAX,
        order: Order::Forward,
    };
    let mut rows = state.scan(recent).expect("scan");
    while let Some(row) = rows.next_row().expect("next") {
        black_box(row);
    }
}

criterion_group!(benches, cached, committed, restored, windowed);
criterion_main!(benches);
