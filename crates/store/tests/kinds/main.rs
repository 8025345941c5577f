//! Stores whose rows are not their changelog's records, against models, and rebuilt from their changelogs.
//!
//! Random operations are played on a store and on a model of it; every answer is compared. In between the store crashes, or
//! is closed and opened again, and catches up from its changelog as a task would. At the end a new store is made of the
//! changelog alone: it must have the same rows, and give the same answers.

#![expect(clippy::indexing_slicing, reason = "a test that misses its mark may panic")]

mod grace;
mod lists;
mod suppression;
mod versions;

use bytes::Bytes;
use kstreams_store::{
    CacheBudget, Changelog, ChangelogRecord, EngineKind, KeyRange, Kind, Logging, Order, Output, OutputError,
    OutputRecord, PersistentEngine, RecordContext, RocksDbOptions, State, Storage, StorageConfig, StoreSpec, TopicId,
};
use kstreams_wire::{Headers, TopicName, TopicPartition};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a kind of store is like.
trait Model: Default {
    type Op: Clone + std::fmt::Debug;

    fn kind() -> Kind;

    fn op() -> BoxedStrategy<Self::Op>;

    /// Plays an operation on model and store, and compares what they say.
    fn play(&mut self, op: Self::Op, state: &mut State, changelog: &mut Log);

    /// Everything that was done is in the changelog.
    fn flushed(&mut self) {}

    /// What was not in the changelog is gone.
    fn crashed(&mut self) {}

    /// Compares everything that can be asked.
    fn compare(&mut self, state: &mut State);
}

/// What happens to a store.
#[derive(Clone, Debug)]
enum Step<T> {
    Op(T),
    Flush,
    Commit,
    Crash,
    Reopen,
}

fn steps<M: Model>() -> impl Strategy<Value = Vec<Step<M::Op>>>
where
    M::Op: 'static,
{
    let step = prop_oneof![
        20 => M::op().prop_map(Step::Op),
        1 => Just(Step::Flush),
        2 => Just(Step::Commit),
        1 => Just(Step::Crash),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..80)
}

/// A record of the changelog.
#[derive(Clone, Debug)]
struct Logged {
    key: Bytes,
    value: Option<Bytes>,
    timestamp: i64,
    headers: Headers,
}

/// A changelog in memory.
#[derive(Default)]
struct Log(Vec<Logged>);

impl Output for Log {
    fn topic(&mut self, _: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        self.0.push(Logged {
            key: Bytes::copy_from_slice(record.key.unwrap_or_default()),
            value: record.value.map(Bytes::copy_from_slice),
            timestamp: record.timestamp.unwrap_or(4711),
            headers: record.headers.clone(),
        });
        Ok(())
    }
}

impl Log {
    fn last_offset(&self) -> Option<i64> {
        (self.0.len() as i64).checked_sub(1).filter(|offset| *offset >= 0)
    }

    /// Brings a store up to the end of the changelog.
    fn catch_up(&self, state: &mut State) {
        let from = state.offset().map_or(0, |offset| offset + 1);
        let records = (from..).zip(&self.0[from as usize..]);
        let records = records.map(|(offset, record)| ChangelogRecord {
            key: &record.key,
            value: record.value.as_deref(),
            timestamp: record.timestamp,
            offset,
            headers: &record.headers,
        });
        if let Some(last) = self.last_offset() {
            state.restore(records, last).expect("it can be restored");
        }
        state.commit(None).expect("it can be written");
    }
}

fn open(storage: &Storage, kind: Kind) -> State {
    let spec = StoreSpec {
        name: "store".to_owned(),
        kind,
        engine: EngineKind::Persistent,
        caching: false,
        logging: Logging::enabled(),
    };
    let changelog = Changelog::Own(TopicPartition::new("changelog", 0));
    let state = storage.state(&spec, "0_0", Some(changelog), &CacheBudget::new(0));
    state.expect("the store opens")
}

fn rows(state: &mut State) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut range = state.range(&KeyRange::all(), Order::Forward).expect("it can be read");
    let mut rows = Vec::new();
    while let Some((key, value)) = range.next_entry().expect("it can be read") {
        rows.push((key.to_vec(), value.to_vec()));
    }
    rows
}

fn context(timestamp: i64) -> RecordContext {
    RecordContext {
        topic: Some(TopicName::new("in")),
        partition: 0,
        offset: 7,
        timestamp,
        headers: Headers::new(),
    }
}

/// Plays the steps on a store of this storage.
fn play<M: Model>(storage: &Storage, steps: Vec<Step<M::Op>>) {
    let (mut model, mut log) = (M::default(), Log::default());
    let mut state = open(storage, M::kind());
    for step in steps {
        match step {
            Step::Op(op) => model.play(op, &mut state, &mut log),
            Step::Flush | Step::Commit => {
                state.flush(&mut log).expect("it can be logged");
                model.flushed();
                if matches!(step, Step::Commit) {
                    state.commit(log.last_offset()).expect("it can be written");
                }
            }
            Step::Crash => {
                state.discard();
                log.catch_up(&mut state);
                model.crashed();
            }
            Step::Reopen => {
                state.close().expect("it can be closed");
                state = open(storage, M::kind());
                log.catch_up(&mut state);
                model.crashed();
            }
        }
        model.compare(&mut state);
    }
    state.flush(&mut log).expect("it can be logged");
    let mut rebuilt = open(&Storage::in_memory(), M::kind());
    log.catch_up(&mut rebuilt);
    model.compare(&mut rebuilt);
    assert_eq!(rows(&mut rebuilt), rows(&mut state));
}

fn on_disk(directory: &std::path::Path) -> Storage {
    let storage = Storage::open(StorageConfig {
        directory: directory.to_owned(),
        engine: PersistentEngine::Fjall,
        process_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        block_cache_bytes: 1 << 20,
        rocksdb: RocksDbOptions::default(),
    });
    storage.expect("the directory is free")
}

macro_rules! stores {
    ($($test:ident: $model:ty),* $(,)?) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(80))]
            $(#[test]
            fn $test(steps in steps::<$model>()) {
                play::<$model>(&Storage::in_memory(), steps);
            })*
        }

        mod fjall {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(8))]
                $(#[test]
                fn $test(steps in steps::<$model>()) {
                    let directory = tempfile::tempdir().expect("a directory");
                    play::<$model>(&on_disk(directory.path()), steps);
                })*
            }
        }
    };
}

stores! {
    versions_are_those_that_were_put: versions::Versions,
    lists_are_those_that_were_put: lists::Lists,
    changes_wait_in_their_order: suppression::Changes,
    records_wait_in_their_order: grace::Records,
}
