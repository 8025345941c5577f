//! Asks a store one thing after the other, and compares the answers with what Java answered.

use kstreams_test_driver::TopologyTestDriver;
use kstreams_topology::processor::{Context, Processor};
use kstreams_topology::stores::{StoreBuilder, StoreId, StoreKind};
use kstreams_topology::{BoxError, Consumed, Record, Topology, Windowed};
use serde_json::{Value as Json, json};

/// What a probe's answer is, or why there is none.
pub(crate) type Answer = Result<Json, BoxError>;

/// A store's answers: called with a probe's words.
pub(crate) trait Probes<S: StoreKind>: Fn(&str, S::View<'_>) -> Answer {}

impl<S: StoreKind, F: Fn(&str, S::View<'_>) -> Answer> Probes<S> for F {}

struct Holds(StoreId);

impl Processor for Holds {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0]
    }

    fn process(&mut self, _: &mut Context<'_, Self>, _: Record<String, String>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Asks the store for everything that the golden of this name was asked for.
pub(crate) fn check<S: StoreKind + 'static>(id: &str, store: StoreBuilder<S>, answer: impl Probes<S>) {
    let golden = golden(id);
    let handle = store.handle();
    let mut topology = Topology::new();
    topology.add_store(store).expect("the only store");
    let consumed = Consumed::<String, String>::default();
    topology
        .add_source("source", ["in"], consumed)
        .expect("the only source");
    topology
        .add_processor("holds", move || Holds(handle.id()), &["source"])
        .expect("a processor behind it");
    // Java answered without a record cache.
    let driver = TopologyTestDriver::builder(topology).cache_bytes(0).build();
    let mut driver = driver.expect("it can run");
    for probe in golden["probes"].as_array().expect("probes") {
        let what = probe["what"].as_str().expect("words");
        let view = driver.store::<S>(handle).expect("the store is there");
        let got = answer(what, view).unwrap_or_else(|error| panic!("{id}, {what}: {error}"));
        assert_eq!(got, probe["result"], "{id}: {what}");
    }
    assert_eq!(json!(driver.dropped()), golden["dropped"], "{id}: dropped");
}

fn golden(id: &str) -> Json {
    let lines = include_str!("../golden/stores.jsonl").lines();
    let mut goldens = lines.map(|line| serde_json::from_str::<Json>(line).expect("a golden a line"));
    goldens
        .find(|golden| golden["id"] == id)
        .expect("a golden of this name")
}

/// An answer of entries of windows, as Java printed them.
pub(crate) fn shown<E: Into<BoxError>>(rows: impl Iterator<Item = Result<(Windowed<String>, String), E>>) -> Answer {
    rows.map(|row| {
        let (Windowed { key, window }, value) = row.map_err(Into::into)?;
        Ok(json!([format!("{key}@{}/{}", window.start, window.end), value]))
    })
    .collect()
}
