//! A state directory compared with a pure replay of the changelogs.

use std::path::Path;

use kstreams_client::Client;
use kstreams_client::consume::Isolation;
use kstreams_store::{
    CacheBudget, Changelog, ChangelogRecord, KeyRange, Order, PersistentEngine, RocksDbOptions, State, Storage,
    StorageConfig, StoreSpec,
};
use kstreams_tests::chaos::application::{APPLICATION, topology};
use kstreams_tests::chaos::outputs;
use kstreams_topology::TaskId;
use kstreams_topology::blueprint::{GraphScope, TaskEnvironment};
use kstreams_topology::graph::ErrorHandlers;

/// What a comparison went over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Stores.
    pub(crate) stores: usize,
    /// Rows in them.
    pub(crate) rows: usize,
}

/// Compares every store in `state.dir` with what its changelog gives up to the offset that the store says it is at, as far
/// as the isolation lets see. Nothing of it may be beyond what is committed.
pub(crate) fn compare(client: &Client, state: &Path, isolation: Isolation) -> Compared {
    let (elsewhere, mut compared) = (tempfile::tempdir().expect("a directory"), Compared::default());
    let (storage, fresh) = (storage(&state.join(APPLICATION)), storage(elsewhere.path()));
    for task in storage.tasks().expect("the tasks on disk") {
        for (spec, changelog) in stores(&task) {
            let open = |storage: &Storage| {
                let opened = storage.state(&spec, &task, Some(changelog.clone()), &CacheBudget::new(0));
                opened.expect("the store opens")
            };
            let (mut found, mut replayed) = (open(&storage), open(&fresh));
            let partition = changelog.partition();
            let end = outputs::ends(client, std::slice::from_ref(partition), isolation);
            let offset = found.offset();
            assert!(
                offset.is_none_or(|offset| Some(&offset) < end.get(partition).as_ref().copied()),
                "{partition}: the store is at {offset:?}, and what is committed ends at {end:?}"
            );
            replay(client, &mut replayed, &changelog, (isolation, offset.unwrap_or(-1)));
            let (found, replayed) = (rows(&mut found), rows(&mut replayed));
            assert!(
                found == replayed,
                "{partition} up to {offset:?} gives {} rows, the store has {}",
                replayed.len(),
                found.len()
            );
            compared.stores += 1;
            compared.rows += found.len();
        }
    }
    compared
}

fn storage(directory: &Path) -> Storage {
    Storage::open(StorageConfig {
        directory: directory.to_owned(),
        engine: PersistentEngine::Fjall,
        process_id: "comparison".to_owned(),
        block_cache_bytes: 1 << 20,
        rocksdb: RocksDbOptions::default(),
    })
    .expect("nobody else has the directory")
}

/// The stores of a task, and their changelogs.
fn stores(task: &str) -> Vec<(StoreSpec, Changelog)> {
    let id: TaskId = task.parse().expect("a task id");
    let mut stores = Vec::new();
    let environment = TaskEnvironment {
        task: id,
        application_id: APPLICATION,
        handlers: ErrorHandlers::default(),
        emit_interval_ms: 1000,
        read_global: &mut |_| unreachable!("the topology has no global stores"),
        open_store: &mut |spec, changelog| {
            stores.extend(changelog.clone().map(|changelog| (spec.clone(), changelog)));
            Storage::in_memory().state(spec, task, changelog, &CacheBudget::new(0))
        },
    };
    let topology = topology().expect("a good topology");
    topology
        .build_graph(GraphScope::Subtopology(id.subtopology), environment)
        .expect("an executable graph");
    stores
}

fn replay(client: &Client, state: &mut State, changelog: &Changelog, (isolation, to): (Isolation, i64)) {
    let partition = changelog.partition().clone();
    outputs::read(client, &[partition], isolation, |_, record| {
        if let Some(key) = record.key.filter(|_| record.offset <= to) {
            let change = ChangelogRecord {
                key,
                value: record.value,
                timestamp: record.timestamp,
                offset: record.offset,
                headers: &record.to_headers(),
            };
            state.restore([change], record.offset).expect("a good record");
        }
    });
    state.commit(None).expect("room on the disk");
}

fn rows(state: &mut State) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rows = state.range(&KeyRange::all(), Order::Forward).expect("a readable store");
    while let Some((key, value)) = rows.next_entry().expect("a readable store") {
        found.push((key.to_vec(), value.to_vec()));
    }
    found
}
