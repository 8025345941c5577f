//! The driver: pipes records through a task and keeps what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kstreams_store::{CacheBudget, KeyRange, Order, Storage};
use kstreams_task::{ActiveTask, Close, Input, TaskConfig};
use kstreams_topology::blueprint::{GraphScope, TaskEnvironment};
use kstreams_topology::graph::{Clock, ErrorHandlers};
use kstreams_topology::stores::{StoreHandle, StoreKind};
use kstreams_topology::{DefaultSerde, Nullable, Serde, TaskId, Topology};
use kstreams_wire::batch::{Batch, BatchBuilder, ProducerStamp, Records, stamp};
use kstreams_wire::compression::Compression;
use kstreams_wire::{TopicName, TopicPartition};

use crate::error::{Error, Result};
use crate::input::{InputTopic, millis};
use crate::output::{Outbox, OutputTopic, ProducedRecord};
use crate::record::TestRecord;

/// How a [`TopologyTestDriver`] is to run.
pub struct Builder {
    topology: Topology,
    application_id: String,
    start: i64,
    cache_bytes: usize,
    handlers: ErrorHandlers,
    idle_ms_max: i64,
}

/// Kafka's own default: caches are on, and flushed after each record.
const CACHE_BYTES: usize = 10 << 20;

impl Builder {
    /// The application id; "test" otherwise.
    pub fn application_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.application_id);
        self
    }

    /// Where the driver's clock starts, in milliseconds; 0 otherwise.
    pub fn start_at(mut self, start: i64) -> Self {
        self.start = start;
        self
    }

    /// The record cache's size, `statestore.cache.max.bytes`; 10 MiB otherwise. 0 turns it off.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Who decides about records that fail; by default they fail the task.
    pub fn handlers(mut self, handlers: ErrorHandlers) -> Self {
        self.handlers = handlers;
        self
    }

    /// `max.task.idle.ms`: how long, on the driver's clock, to wait for topics without records; 0 otherwise.
    pub fn max_task_idle_ms(mut self, idle_ms_max: i64) -> Self {
        self.idle_ms_max = idle_ms_max;
        self
    }

    /// Opens the stores and initialises the processors.
    pub fn build(self) -> Result<TopologyTestDriver> {
        TopologyTestDriver::start(self)
    }
}

/// Runs a topology without Kafka. See the [crate's page](crate) for an example.
pub struct TopologyTestDriver {
    topology: Topology,
    task: ActiveTask,
    outbox: Outbox,
    now: i64,
    /// The input partitions, and how many records each had.
    inputs: BTreeMap<TopicName, (TopicPartition, i64)>,
    /// What was captured so far, and up to where each topic was read.
    produced: Vec<ProducedRecord>,
    read: BTreeMap<String, usize>,
    batch: BatchBuilder,
}

const TASK: TaskId = TaskId::new(0, 0);

impl TopologyTestDriver {
    /// A driver of this topology.
    pub fn builder(topology: Topology) -> Builder {
        Builder {
            topology,
            application_id: "test".to_owned(),
            start: 0,
            cache_bytes: CACHE_BYTES,
            handlers: ErrorHandlers::default(),
            idle_ms_max: 0,
        }
    }

    fn start(builder: Builder) -> Result<Self> {
        let topology = builder.topology;
        let storage = Storage::in_memory();
        let cache = CacheBudget::new(builder.cache_bytes);
        let task = TASK.to_string();
        let mut open_store = |spec: &_, changelog| storage.state(spec, &task, changelog, &cache);
        let environment = TaskEnvironment {
            task: TASK,
            application_id: &builder.application_id,
            handlers: builder.handlers,
            open_store: &mut open_store,
        };
        let graph = topology.build_graph(GraphScope::All, environment)?;
        let parts = topology.subtopologies(&builder.application_id);
        let partitions: Vec<TopicPartition> = parts
            .source_topics()
            .into_iter()
            .map(|topic| TopicPartition::new(topic.clone(), 0))
            .collect();
        let config = TaskConfig {
            buffered_records_max: usize::MAX,
            idle_ms_max: builder.idle_ms_max,
        };
        let mut driver = Self {
            topology,
            task: ActiveTask::new(TASK, graph, &partitions, config)?,
            outbox: Outbox::default(),
            now: builder.start,
            inputs: partitions
                .into_iter()
                .map(|partition| (partition.topic.clone(), (partition, 0)))
                .collect(),
            produced: Vec::new(),
            read: BTreeMap::new(),
            batch: BatchBuilder::new(Compression::None),
        };
        driver.run()?;
        Ok(driver)
    }

    fn run(&mut self) -> Result<()> {
        self.task.start_restoring()?;
        let inputs: Vec<Input> = self
            .inputs
            .values()
            .map(|(partition, _)| Input {
                partition: partition.clone(),
                offset: None,
                metadata: String::new(),
            })
            .collect();
        self.task.complete_restoration(&inputs, self.now, &mut self.outbox)?;
        for input in inputs {
            // Nothing ever waits on a broker: only records that the test has piped do.
            self.task.set_lag(&input.partition, Some(0))?;
        }
        Ok(())
    }

    /// A topic to write to, with the types' own serdes.
    pub fn input<K: Nullable, V: Nullable>(&self, topic: &str) -> InputTopic<K, V>
    where
        K::Inner: DefaultSerde,
        V::Inner: DefaultSerde,
    {
        self.input_with(
            topic,
            Arc::new(<K::Inner as DefaultSerde>::Serde::default()),
            Arc::new(<V::Inner as DefaultSerde>::Serde::default()),
        )
    }

    /// A topic to write to, with these serdes.
    pub fn input_with<K: Nullable, V: Nullable>(
        &self,
        topic: &str,
        key: Arc<dyn Serde<K::Inner>>,
        value: Arc<dyn Serde<V::Inner>>,
    ) -> InputTopic<K, V> {
        InputTopic::new(topic, key, value, self.now)
    }

    /// A topic to read, with the types' own serdes.
    pub fn output<K: Nullable, V: Nullable>(&self, topic: &str) -> OutputTopic<K, V>
    where
        K::Inner: DefaultSerde,
        V::Inner: DefaultSerde,
    {
        self.output_with(
            topic,
            Arc::new(<K::Inner as DefaultSerde>::Serde::default()),
            Arc::new(<V::Inner as DefaultSerde>::Serde::default()),
        )
    }

    /// A topic to read, with these serdes.
    pub fn output_with<K: Nullable, V: Nullable>(
        &self,
        topic: &str,
        key: Arc<dyn Serde<K::Inner>>,
        value: Arc<dyn Serde<V::Inner>>,
    ) -> OutputTopic<K, V> {
        OutputTopic {
            name: topic.to_owned(),
            key,
            value,
        }
    }

    /// Writes a record and processes it, and all that comes of it, to the end. A pair will do for a record; keys and
    /// values are converted, so that `("k", 1)` may go into a topic of `String` and `i64`.
    pub fn pipe<K, V, A, B>(&mut self, input: &InputTopic<K, V>, record: impl Into<TestRecord<A, B>>) -> Result<()>
    where
        K: Nullable,
        V: Nullable,
        A: Into<K>,
        B: Into<V>,
    {
        let record = record.into();
        let timestamp = record.timestamp.unwrap_or_else(|| input.tick());
        if timestamp < 0 {
            return Err(Error::NegativeTimestamp { timestamp });
        }
        let key = encode(&record.key.into(), input.key.as_ref(), &input.name)?;
        let value = encode(&record.value.into(), input.value.as_ref(), &input.name)?;
        self.pipe_raw(ProducedRecord {
            topic: TopicName::new(&input.name),
            partition: None,
            key,
            value,
            timestamp: Some(timestamp),
            headers: record.headers,
        })
    }

    /// Writes a record as bytes. Without a timestamp it gets the driver's clock.
    pub fn pipe_raw(&mut self, record: ProducedRecord) -> Result<()> {
        self.enqueue(&record)?
            .then_some(())
            .ok_or_else(|| Error::UnknownTopic {
                topic: record.topic.to_string(),
            })?;
        self.complete()
    }

    /// Moves the driver's clock on: timers on the wall clock that are due are called, once each.
    pub fn advance_wall_clock(&mut self, by: Duration) -> Result<()> {
        self.now = self.now.saturating_add(millis(by));
        self.task.punctuate(Clock::WallClock, self.now, &mut self.outbox)?;
        self.commit()?;
        self.complete()
    }

    /// The driver's clock, in milliseconds.
    pub fn wall_clock(&self) -> i64 {
        self.now
    }

    /// Appends the record to its topic's queue; false if no source reads it.
    fn enqueue(&mut self, record: &ProducedRecord) -> Result<bool> {
        if !self.inputs.contains_key(&record.topic) {
            if !self.topology.matches_pattern(&record.topic) {
                return Ok(false);
            }
            self.add_input(&record.topic)?;
        }
        let Some((partition, offset)) = self.inputs.get_mut(&record.topic) else {
            return Ok(false);
        };
        let timestamp = record.timestamp.unwrap_or(self.now);
        self.batch.append(
            timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        )?;
        let records = batch_at(*offset, self.batch.finish(ProducerStamp::NONE)?)?;
        *offset += 1;
        self.task.add_records(partition, vec![records], *offset)?;
        Ok(true)
    }

    /// Makes a topic that a source's pattern matches an input.
    fn add_input(&mut self, topic: &TopicName) -> Result<()> {
        let partition = TopicPartition::new(topic.clone(), TASK.partition);
        self.task.add_input(&partition)?;
        self.task.set_lag(&partition, Some(0))?;
        self.inputs.insert(topic.clone(), (partition, 0));
        Ok(())
    }

    /// Processes one record after the other, feeding back what goes to topics that are read, until none is left.
    fn complete(&mut self) -> Result<()> {
        self.capture()?;
        while self.task.process(1, self.now, &mut self.outbox)? > 0 {
            self.task.punctuate(Clock::StreamTime, self.now, &mut self.outbox)?;
            self.commit()?;
            self.capture()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.task.prepare_commit(&mut self.outbox)?;
        let outbox = &self.outbox;
        Ok(self
            .task
            .post_commit(|changelog| outbox.last_offset(&changelog.topic))?)
    }

    fn capture(&mut self) -> Result<()> {
        for record in std::mem::take(&mut self.outbox.sent) {
            self.enqueue(&record)?;
            self.produced.push(record);
        }
        Ok(())
    }

    /// Closes processors and stores. What is in the stores is gone.
    pub fn close(mut self) -> Result<()> {
        let result = self.commit();
        let suspended = self.task.suspend();
        self.task.close(Close::Clean)?;
        suspended?;
        result
    }
}

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

fn batch_at(offset: i64, batch: Bytes) -> Result<Records> {
    let mut batch = Vec::from(batch);
    stamp::place(&mut batch, offset, -1)?;
    Ok(Batch::new(batch.into())?.into_records()?)
}

fn encode<T: Nullable>(value: &T, serde: &dyn Serde<T::Inner>, topic: &str) -> Result<Option<Bytes>> {
    let Some(value) = value.as_option() else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    serde
        .serialize(topic, value, &mut bytes)
        .map_err(|source| Error::Serde {
            topic: topic.to_owned(),
            source,
        })?;
    Ok(Some(bytes.into()))
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
