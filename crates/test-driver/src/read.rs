//! What a test sees of a driver: the records that came out, and the stores.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kstreams_store::{KeyRange, Order};
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
        self.task.counters().dropped
    }
}

/// The stores.
impl TopologyTestDriver {
    /// A store, as the processors see it. What is written to it is logged, and the topology sees it.
    pub fn store<S: StoreKind>(&mut self, handle: StoreHandle<S>) -> Result<S::View<'_>> {
        let name = self.topology.stores().find(|store| store.id == handle.id());
        let name = name
            .map(|store| store.spec.name.clone())
            .ok_or_else(|| Error::UnknownStore {
                store: format!("{handle:?}"),
            })?;
        self.store_named::<S>(&name)
    }

    /// The store of this name, if it is of this kind.
    pub fn store_named<S: StoreKind>(&mut self, name: &str) -> Result<S::View<'_>> {
        let unknown = || Error::UnknownStore { store: name.to_owned() };
        let slot = self.task.graph().store_slot(name, &mut self.outbox);
        let (front, state, write) = slot.ok_or_else(unknown)?;
        let front = front.downcast_mut::<S::Front>().ok_or_else(unknown)?;
        Ok(S::view(front, state, write))
    }

    /// The names of the stores, in order.
    pub fn store_names(&self) -> BTreeSet<String> {
        self.topology.stores().map(|store| store.spec.name.clone()).collect()
    }

    /// The entries of a store as bytes, in the order of their keys.
    pub fn store_entries(&mut self, name: &str) -> Result<Vec<(Bytes, Bytes)>> {
        let slot = self.task.graph().store_slot(name, &mut self.outbox);
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
