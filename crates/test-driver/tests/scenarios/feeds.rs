//! Stores that a topic fills: global ones, and read-only ones.

use kstreams_test_driver::TopologyTestDriver;
use kstreams_topology::blueprint::Feed;
use kstreams_topology::processor::{Context, Processor};
use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
use kstreams_topology::{BoxError, Consumed, Produced, Record, Topology};

type Names = StoreHandle<KeyValueStore<String, String>>;

/// Puts what it gets into the store.
struct Fill(Names);

impl Processor for Fill {
    type KIn = String;
    type VIn = String;
    type KOut = ();
    type VOut = ();

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        Ok(cx.store(self.0).put(&record.key, &record.value)?)
    }
}

/// Whether a reader is to be connected to the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Named,
    Everyone,
}

/// Looks its records' values up in the store.
struct Read(Names, Access);

impl Processor for Read {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        match self.1 {
            Access::Named => vec![self.0.id()],
            Access::Everyone => Vec::new(),
        }
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        let name = cx.store(self.0).get(&record.value)?;
        Ok(cx.forward(record.with_value(name.unwrap_or_else(|| "nobody".to_owned())))?)
    }
}

/// A topology in which the records of `in` are looked up in the store, and the store's description.
fn topology(access: Access) -> Result<Topology, BoxError> {
    let mut topology = Topology::new();
    let store = Stores::in_memory("names").key_value::<String, String>();
    let names = store.handle();
    let feed = Feed::new("names", "names-source", "fill", Consumed::default());
    match access {
        Access::Named => topology.add_read_only_store(store, feed, move || Fill(names))?,
        Access::Everyone => topology.add_global_store(store, feed, move || Fill(names))?,
    };
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("read", move || Read(names, access), &["source"])?
        .add_sink("sink", "out", Produced::<String, String>::default(), &["read"])?;
    Ok(topology)
}

/// The store is filled and read, there is no changelog, and a restart loses nothing.
fn check(access: Access) -> Result<(), BoxError> {
    let mut driver = TopologyTestDriver::builder(topology(access)?).build()?;
    let names = driver.input::<String, String>("names");
    let input = driver.input::<String, String>("in");
    let output = driver.output::<String, String>("out");
    driver.pipe(&input, ("k", "7"))?;
    driver.pipe(&names, ("7", "ann"))?;
    driver.pipe(&input, ("k", "7"))?;
    driver.restart()?;
    driver.pipe(&input, ("k", "7"))?;
    assert_eq!(driver.read_values(&output)?, ["nobody", "ann", "ann"]);
    assert_eq!(driver.produced_topic_names().into_iter().collect::<Vec<_>>(), ["out"]);
    Ok(())
}

#[test]
fn everyone_reads_a_global_store() -> Result<(), BoxError> {
    check(Access::Everyone)?;
    let description = topology(Access::Everyone)?.describe();
    assert!(
        description.contains("for global store (will not generate tasks)"),
        "{description}"
    );
    Ok(())
}

#[test]
fn a_read_only_store_is_restored_from_its_topic() -> Result<(), BoxError> {
    check(Access::Named)?;
    let parts = topology(Access::Named)?.subtopologies("app");
    let stores: Vec<_> = parts.parts.iter().flat_map(|part| &part.stores).collect();
    assert_eq!(stores.len(), 1);
    assert!(stores.iter().all(|store| store.changelog_is_source));
    Ok(())
}
