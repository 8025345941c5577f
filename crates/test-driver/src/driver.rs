//! The driver: pipes records through a task and keeps what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kstreams_store::CacheBudget;
use kstreams_task::{ActiveTask, Close, Input, TaskConfig};
use kstreams_topology::blueprint::{GraphScope, TaskEnvironment};
use kstreams_topology::graph::{Clock, InputId};
use kstreams_topology::{DefaultSerde, Nullable, Serde, TaskId, Topology};
use kstreams_wire::batch::{Batch, BatchBuilder, ProducerStamp, Records, stamp};
use kstreams_wire::compression::Compression;
use kstreams_wire::{TopicName, TopicPartition};

use crate::builder::Builder;
use crate::error::{Error, Result};
use crate::input::{InputTopic, millis};
use crate::output::{Outbox, OutputTopic, ProducedRecord};
use crate::record::TestRecord;

/// Runs a topology without Kafka. See the [crate's page](crate) for an example.
pub struct TopologyTestDriver {
    pub(crate) topology: Topology,
    pub(crate) task: ActiveTask,
    pub(crate) outbox: Outbox,
    now: i64,
    inputs: BTreeMap<TopicName, InputPartition>,
    /// What was captured so far, and up to where each topic was read.
    pub(crate) produced: Vec<ProducedRecord>,
    pub(crate) read: BTreeMap<String, usize>,
    batch: BatchBuilder,
}

/// A topic that the topology reads.
struct InputPartition {
    partition: TopicPartition,
    /// How many records it had.
    next_offset: i64,
    /// It fills a global store: its records go there at once, not through the task's inbox.
    global: Option<InputId>,
}

const TASK: TaskId = TaskId::new(0, 0);

impl TopologyTestDriver {
    /// A driver of this topology.
    pub fn builder(topology: Topology) -> Builder {
        Builder::new(topology)
    }

    pub(crate) fn start(builder: Builder) -> Result<Self> {
        let topology = builder.topology;
        let storage = builder.storage;
        let cache = CacheBudget::new(builder.cache_bytes);
        let task = TASK.to_string();
        let mut open_store = |spec: &_, changelog| storage.state(spec, &task, changelog, &cache);
        let environment = TaskEnvironment {
            task: TASK,
            application_id: &builder.application_id,
            handlers: builder.handlers,
            emit_interval_ms: builder.emit_interval_ms,
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
            inputs: BTreeMap::new(),
            produced: Vec::new(),
            read: BTreeMap::new(),
            batch: BatchBuilder::new(Compression::None),
        };
        driver.task.start_restoring()?;
        driver.run(partitions)?;
        for topic in parts.global_topics {
            let partition = TopicPartition::new(topic, 0);
            let global = driver.task.graph().add_input(&partition);
            driver.add(partition, global);
        }
        Ok(driver)
    }

    fn run(&mut self, partitions: Vec<TopicPartition>) -> Result<()> {
        let uncommitted = |partition: &TopicPartition| Input {
            partition: partition.clone(),
            offset: None,
            metadata: String::new(),
        };
        let inputs: Vec<Input> = partitions.iter().map(uncommitted).collect();
        self.task.complete_restoration(&inputs, self.now, &mut self.outbox)?;
        for partition in partitions {
            // Nothing ever waits on a broker: only records that the test has piped do.
            self.task.set_lag(&partition, Some(0))?;
            self.add(partition, None);
        }
        Ok(())
    }

    fn add(&mut self, partition: TopicPartition, global: Option<InputId>) {
        let topic = partition.topic.clone();
        let input = InputPartition {
            partition,
            next_offset: 0,
            global,
        };
        self.inputs.insert(topic, input);
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

    /// Appends the record to its topic's queue, or to the global store that it fills; false if no source reads it.
    fn enqueue(&mut self, record: &ProducedRecord) -> Result<bool> {
        if !self.inputs.contains_key(&record.topic) {
            if !self.topology.matches_pattern(&record.topic) {
                return Ok(false);
            }
            self.add_input(&record.topic)?;
        }
        let Some(input) = self.inputs.get_mut(&record.topic) else {
            return Ok(false);
        };
        let timestamp = record.timestamp.unwrap_or(self.now);
        self.batch.append(
            timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        )?;
        let mut records = batch_at(input.next_offset, self.batch.finish(ProducerStamp::NONE)?)?;
        input.next_offset += 1;
        let Some(global) = input.global else {
            let next_offset = input.next_offset;
            self.task.add_records(&input.partition, vec![records], next_offset)?;
            return Ok(true);
        };
        while let Some(raw) = records.next()? {
            self.task.graph().update_global(global, &raw, &mut self.outbox)?;
        }
        Ok(true)
    }

    /// Makes a topic that a source's pattern matches an input.
    fn add_input(&mut self, topic: &TopicName) -> Result<()> {
        let partition = TopicPartition::new(topic.clone(), TASK.partition);
        self.task.add_input(&partition)?;
        self.task.set_lag(&partition, Some(0))?;
        self.add(partition, None);
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
