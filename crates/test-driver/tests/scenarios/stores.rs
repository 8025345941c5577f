//! What typed key-value stores promise, through the views that processors get.

use kstreams_test_driver::{TopologyTestDriver, record};
use kstreams_topology::processor::{Context, Processor};
use kstreams_topology::stores::{
    KeyValueStore, StoreHandle, StoreId, Stores, TimestampedKeyValueStore, ValueAndTimestamp,
};
use kstreams_topology::{BoxError, Consumed, Produced, Record, Topology};

use crate::support::{Closure, Shown};

type Numbers = StoreHandle<KeyValueStore<i32, String>>;
type Rows = StoreHandle<TimestampedKeyValueStore<String, i64>>;

/// A driver with a store of numbers, and one of rows, neither of which the topology touches.
fn driver() -> Result<(TopologyTestDriver, Numbers, Rows), BoxError> {
    let mut topology = Topology::new();
    let numbers = Stores::in_memory("numbers").key_value::<i32, String>();
    let rows = Stores::persistent("rows")
        .timestamped_key_value::<String, i64>()
        .cached();
    let (numbers, rows) = (topology.add_store(numbers)?, topology.add_store(rows)?);
    let idle = Closure::new(|_, _| Ok(()));
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("idle", move || idle.clone(), &["source"])?
        .connect("idle", &["numbers", "rows"])?;
    let driver = TopologyTestDriver::builder(topology).application_id("app").build()?;
    Ok((driver, numbers, rows))
}

fn keys<V>(entries: Vec<(i32, V)>) -> Vec<i32> {
    entries.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn writes_return_what_was_there() -> Result<(), BoxError> {
    let (mut driver, numbers, _) = driver()?;
    let mut store = driver.store(numbers)?;
    let (one, two) = ("one".to_owned(), "two".to_owned());
    assert_eq!(store.put_if_absent(&1, &one)?, None);
    assert_eq!(store.put_if_absent(&1, &two)?, Some(one.clone()));
    assert_eq!(store.get(&1)?, Some(one.clone()));
    assert_eq!(store.delete(&1)?, Some(one.clone()));
    assert_eq!(store.delete(&1)?, None);
    store.put_all([(&1, &one), (&1, &two)])?;
    assert_eq!(store.get(&1)?, Some(two));
    Ok(())
}

#[test]
fn keys_are_ordered_by_their_bytes() -> Result<(), BoxError> {
    let (mut driver, numbers, _) = driver()?;
    let mut store = driver.store(numbers)?;
    for key in [3, -1, 0, 2, -2] {
        store.put(&key, &key.to_string())?;
    }
    // Two's complement: the negative ones come last.
    assert_eq!(keys(store.all()?.collect_owned()?), [0, 2, 3, -2, -1]);
    assert_eq!(keys(store.reverse_all()?.collect_owned()?), [-1, -2, 3, 2, 0]);
    assert_eq!(keys(store.range(Some(&2), Some(&3))?.collect_owned()?), [2, 3]);
    assert_eq!(keys(store.range(Some(&3), None)?.collect_owned()?), [3, -2, -1]);
    assert_eq!(keys(store.reverse_range(None, Some(&2))?.collect_owned()?), [2, 0]);
    assert!(store.range(Some(&-1), Some(&1))?.collect_owned()?.is_empty());
    assert_eq!(keys(store.prefix_scan(&[0xff])?.collect_owned()?), [-2, -1]);
    assert_eq!(store.approximate_num_entries()?, 5);
    Ok(())
}

#[test]
fn every_write_is_logged_a_delete_of_nothing_too() -> Result<(), BoxError> {
    let (mut driver, numbers, _) = driver()?;
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, record("k", "v").at(30))?;
    let mut store = driver.store(numbers)?;
    store.put(&1, &"one".to_owned())?;
    store.delete(&2)?;
    driver.pipe(&input, record("k", "v").at(31))?;
    let logged: Vec<_> = driver
        .produced()
        .iter()
        .map(|record| (record.topic.as_str(), record.value.as_deref(), record.timestamp))
        .collect();
    assert_eq!(
        logged,
        [
            ("app-numbers-changelog", Some(&b"one"[..]), Some(30)),
            ("app-numbers-changelog", None, Some(30)),
        ]
    );
    Ok(())
}

#[test]
fn rows_know_when_they_were_set() -> Result<(), BoxError> {
    let (mut driver, _, rows) = driver()?;
    let (a, b) = ("a".to_owned(), "b".to_owned());
    let mut store = driver.store(rows)?;
    store.put(&a, &1, 10)?;
    assert_eq!(store.put_if_absent(&a, &2, 11)?, Some(ValueAndTimestamp::new(1, 10)));
    store.put_all([(&b, &ValueAndTimestamp::new(3, 12))])?;
    // The cache holds them, and ranges see them all the same.
    let entries = store.all()?.collect_owned()?;
    let expected = [
        (a, ValueAndTimestamp::new(1, 10)),
        (b.clone(), ValueAndTimestamp::new(3, 12)),
    ];
    assert_eq!(entries, expected);
    assert_eq!(store.delete(&b)?, Some(ValueAndTimestamp::new(3, 12)));
    assert_eq!(store.prefix_scan(b"b")?.collect_owned()?, []);
    Ok(())
}

type Words = StoreHandle<KeyValueStore<String, String>>;

/// Fills a global store with what it gets, in capitals.
struct Fill(Words);

impl Processor for Fill {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = String;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        Ok(cx.store(self.0).put(&record.key, &record.value.to_uppercase())?)
    }
}

/// Looks the value up in a global store, without being connected to it.
struct LookUp(Words);

impl Processor for LookUp {
    type KIn = String;
    type VIn = String;
    type KOut = String;
    type VOut = Option<String>;

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, String>) -> Result<(), BoxError> {
        let found = cx.store(self.0).get(&record.value)?;
        Ok(cx.forward(record.with_value(found))?)
    }
}

#[test]
fn papi_global_store() -> Result<(), BoxError> {
    let mut topology = Topology::new();
    let store = topology.add_store(Stores::in_memory("g").key_value())?;
    topology
        .add_source("source", "in", Consumed::<String, String>::default())?
        .add_processor("look-up", move || LookUp(store), &["source"])?
        .add_sink(
            "sink",
            "out",
            Produced::<String, Option<String>>::default(),
            &["look-up"],
        )?
        .add_source("g-source", "gt", Consumed::<String, String>::default())?
        .add_processor("fill", move || Fill(store), &["g-source"])?
        .make_global("g")?;
    assert!(topology.describe().ends_with(
        "  Sub-topology: 1 for global store (will not generate tasks)\n    \
         Source: g-source (topics: [gt])\n      --> fill\n    \
         Processor: fill (stores: [g])\n      --> none\n      <-- g-source\n"
    ));
    let mut driver = TopologyTestDriver::builder(topology).application_id("app").build()?;
    let global = driver.input::<String, String>("gt");
    let mut shown = Shown::new(&mut driver);
    assert_eq!(shown.pipe("k", "a", 1)?, ["out k=null@1"]);
    shown.driver.pipe(&global, record("a", "x").at(2))?;
    assert_eq!(shown.pipe("k", "a", 3)?, ["out k=X@3"]);
    assert!(driver.produced_topic_names().iter().eq(["out"]));
    assert_eq!(driver.store(store)?.get(&"a".to_owned())?, Some("X".to_owned()));
    Ok(())
}
