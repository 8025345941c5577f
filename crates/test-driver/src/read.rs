//! What a test sees of a driver: the records that came out, and the stores.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kstreams_store::{KeyRange, Order, State, Write};
use kstreams_task::{ActiveTask, Counters, GlobalTask};
use kstreams_topology::stores::{StoreHandle, StoreKind};
use kstreams_topology::{Nullable, Serde};

use crate::driver::TopologyTestDriver;
use crate::error::{Error, Result};
use crate::output::{OutputTopic, ProducedRecord};
use crate::record::TestRecord;

/// What came out.
impl TopologyTestDriver {
    /// The next record of a topic that was not read yet.
    pub fn read<K: Nullable, V: Nullable>(&mut self, output: &OutputTopic<K, V>) -> Result<TestRecord<K, V>> {
        self.read_next(output)?.ok_or_else(|| Error::NoRecord {
            topic: output.name.clone(),
        })
    }

    /// The value of the next record.
    pub fn read_value<K: Nullable, V: Nullable>(&mut self, output: &OutputTopic<K, V>) -> Result<V> {
        self.read(output).map(|record| record.value)
    }

    /// The key and value of the next record.
    pub fn read_key_value<K: Nullable, V: Nullable>(&mut self, output: &OutputTopic<K, V>) -> Result<(K, V)> {
        self.read(output).map(|record| (record.key, record.value))
    }

    /// All records of a topic that were not read yet.
    pub fn read_all<K: Nullable, V: Nullable>(&mut self, output: &OutputTopic<K, V>) -> Result<Vec<TestRecord<K, V>>> {
        std::iter::from_fn(|| self.read_next(output).transpose()).collect()
    }

    /// The keys and values of all records that were not read yet.
    pub fn read_key_values<K: Nullable, V: Nullable>(&mut self, output: &OutputTopic<K, V>) -> Result<Vec<(K, V)>> {
        let records = self.read_all(output)?;
        Ok(records.into_iter().map(|record| (record.key, record.value)).collect())
    }

    /// The last value of each key among the records that were not read yet.
    pub fn read_map<K: Nullable, V: Nullable>(&mut self, output: &OutputTopic<K, V>) -> Result<BTreeMap<K::Inner, V>>
    where
        K::Inner: Ord,
    {
        let mut map = BTreeMap::new();
        for record in self.read_all(output)? {
            let key = record.key.into_option().ok_or_else(|| Error::Null {
                topic: output.name.clone(),
                part: "key",
            })?;
            map.insert(key, record.value);
        }
        Ok(map)
    }

    /// The values of all records that were not read yet.
    pub fn read_values<K: Nullable, V: Nullable>(&mut self, output: &OutputTopic<K, V>) -> Result<Vec<V>> {
        let records = self.read_all(output)?;
        Ok(records.into_iter().map(|record| record.value).collect())
    }

    /// Whether all records of a topic were read.
    pub fn is_empty<K: Nullable, V: Nullable>(&self, output: &OutputTopic<K, V>) -> bool {
        self.queue_len(output) == 0
    }

    /// How many records of a topic were not read yet.
    pub fn queue_len<K: Nullable, V: Nullable>(&self, output: &OutputTopic<K, V>) -> usize {
        let from = self.read.get(&output.name).copied().unwrap_or(0);
        let unread = self.produced.iter().skip(from);
        unread.filter(|record| *record.topic == *output.name).count()
    }

    fn read_next<K: Nullable, V: Nullable>(&mut self, output: &OutputTopic<K, V>) -> Result<Option<TestRecord<K, V>>> {
        let from = self.read.get(&output.name).copied().unwrap_or(0);
        let mut unread = self.produced.iter().enumerate().skip(from);
        let Some((at, record)) = unread.find(|(_, record)| *record.topic == *output.name) else {
            return Ok(None);
        };
        self.read.insert(output.name.clone(), at + 1);
        Ok(Some(TestRecord {
            key: decode(record.key.as_ref(), output.key.as_ref(), &output.name, "key")?,
            value: decode(record.value.as_ref(), output.value.as_ref(), &output.name, "value")?,
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        }))
    }

    /// Everything that came out so far, in the order in which it was sent, changelogs and repartition topics included.
    pub fn produced(&self) -> &[ProducedRecord] {
        &self.produced
    }

    /// The topics to which something was sent.
    pub fn produced_topic_names(&self) -> BTreeSet<String> {
        self.produced.iter().map(|record| record.topic.to_string()).collect()
    }

    /// How many records were dropped.
    pub fn dropped(&self) -> u64 {
        self.counters().dropped
    }

    /// What the tasks have counted since they were started; the runtime reports it as metrics.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for counted in self.tasks.iter().map(ActiveTask::counters) {
            sum.processed += counted.processed;
            sum.dropped += counted.dropped;
            sum.restored += counted.restored;
            sum.punctuations += counted.punctuations;
        }
        sum.dropped += self.globals.iter().map(GlobalTask::dropped).sum::<u64>();
        sum
    }
}

/// The stores.
impl TopologyTestDriver {
    /// A store, as the processors see it. What is written to it is logged, and the topology sees it. If there are several
    /// partitions, it is that of partition 0.
    pub fn store<S: StoreKind>(&mut self, handle: StoreHandle<S>) -> Result<S::View<'_>> {
        self.store_of(handle, 0)
    }

    /// The store of the task of this partition.
    pub fn store_of<S: StoreKind>(&mut self, handle: StoreHandle<S>, partition: i32) -> Result<S::View<'_>> {
        let name = self.setup.topology.stores().find(|store| store.id == handle.id());
        let name = name
            .map(|store| store.spec.name.clone())
            .ok_or_else(|| Error::UnknownStore {
                store: format!("{handle:?}"),
            })?;
        self.store_named_of::<S>(&name, partition)
    }

    /// The store of this name, if it is of this kind. If there are several partitions, it is that of partition 0.
    pub fn store_named<S: StoreKind>(&mut self, name: &str) -> Result<S::View<'_>> {
        self.store_named_of::<S>(name, 0)
    }

    /// The store of this name of the task of this partition, if it is of this kind.
    pub fn store_named_of<S: StoreKind>(&mut self, name: &str, partition: i32) -> Result<S::View<'_>> {
        let unknown = || Error::UnknownStore { store: name.to_owned() };
        let (front, state, write) = self.slot(name, partition).ok_or_else(unknown)?;
        let front = front.downcast_mut::<S::Front>().ok_or_else(unknown)?;
        Ok(S::view(front, state, write))
    }

    /// The store of this name: of the task that fills it if it is global, else of the task of this partition.
    fn slot(&mut self, name: &str, partition: i32) -> Option<(&mut (dyn Any + Send), &mut State, Write<'_>)> {
        let outbox = &mut self.outbox;
        let is_global = self.setup.topology.global_stores().any(|store| store == name);
        let graph = if is_global {
            let mut globals = self.globals.iter_mut().map(GlobalTask::graph);
            globals.find(|graph| graph.has_store(name))
        } else {
            let tasks = self.tasks.iter_mut().filter(|task| task.id().partition == partition);
            tasks.map(ActiveTask::graph).find(|graph| graph.has_store(name))
        };
        graph?.store_slot(name, outbox)
    }

    /// The names of the stores, in order.
    pub fn store_names(&self) -> BTreeSet<String> {
        let stores = self.setup.topology.stores();
        stores.map(|store| store.spec.name.clone()).collect()
    }

    /// The entries of a store as bytes, in the order of their keys. If there are several partitions, it is that of
    /// partition 0.
    pub fn store_entries(&mut self, name: &str) -> Result<Vec<(Bytes, Bytes)>> {
        let slot = self.slot(name, 0);
        let (_, state, _) = slot.ok_or_else(|| Error::UnknownStore { store: name.to_owned() })?;
        let mut range = state.range(&KeyRange::all(), Order::Forward)?;
        let mut entries = Vec::new();
        while let Some((key, value)) = range.next_entry()? {
            entries.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        }
        Ok(entries)
    }
}

fn decode<T: Nullable>(
    bytes: Option<&Bytes>,
    serde: &dyn Serde<T::Inner>,
    topic: &str,
    part: &'static str,
) -> Result<T> {
    let value = bytes
        .map(|bytes| serde.deserialize_shared(topic, bytes, bytes))
        .transpose();
    let value = value.map_err(|source| Error::Serde {
        topic: topic.to_owned(),
        source,
    })?;
    T::from_option(value).ok_or_else(|| Error::Null {
        topic: topic.to_owned(),
        part,
    })
}
