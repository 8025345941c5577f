//! The driver: pipes records through a task and keeps what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kstreams_task::{ActiveTask, Committable, GlobalTask};
use kstreams_topology::graph::Clock;
use kstreams_topology::{DefaultSerde, Nullable, Serde, Topology};
use kstreams_wire::batch::{BatchBuilder, ProducerStamp};
use kstreams_wire::compression::Compression;
use kstreams_wire::{TopicName, TopicPartition};

use crate::builder::Builder;
use crate::error::{Error, Result};
use crate::input::{InputTopic, millis};
use crate::log::{Reader, SourceTopic};
use crate::output::{Outbox, OutputTopic, ProducedRecord};
use crate::record::TestRecord;
use crate::tasks::Layout;

/// Runs a topology without Kafka. See the [crate's page](crate) for an example.
pub struct TopologyTestDriver {
    pub(crate) setup: Builder,
    pub(crate) layout: Layout,
    pub(crate) tasks: Vec<ActiveTask>,
    pub(crate) globals: Vec<GlobalTask>,
    pub(crate) outbox: Outbox,
    pub(crate) now: i64,
    /// Where each input partition goes on after a restart.
    pub(crate) committed: BTreeMap<TopicPartition, Committable>,
    /// What was captured so far, and up to where each topic was read.
    pub(crate) produced: Vec<ProducedRecord>,
    pub(crate) read: BTreeMap<String, usize>,
    batch: BatchBuilder,
}

impl TopologyTestDriver {
    /// A driver of this topology.
    pub fn builder(topology: Topology) -> Builder {
        Builder::new(topology)
    }

    pub(crate) fn start(builder: Builder) -> Result<Self> {
        let mut driver = Self {
            layout: Layout::new(&builder)?,
            tasks: Vec::new(),
            globals: Vec::new(),
            outbox: Outbox::new(builder.partitions),
            now: builder.start,
            committed: BTreeMap::new(),
            produced: Vec::new(),
            read: BTreeMap::new(),
            batch: BatchBuilder::new(Compression::None),
            setup: builder,
        };
        driver.open()?;
        Ok(driver)
    }

    /// Stops and starts again, as an application does that is closed and comes back: processors and timers are new, stores
    /// are restored from their changelogs, global ones from their topics, and tasks go on behind the records that they had
    /// committed, at their stream time. Stores in memory that are not logged are empty. The clock, the topics, and what was
    /// not read of them stay.
    ///
    /// ```
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// # use kstreams_topology::processor::{Context, Processor};
    /// # use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
    /// # use kstreams_topology::{BoxError, Consumed, Record, Topology};
    /// struct Sum(StoreHandle<KeyValueStore<String, i64>>);
    ///
    /// impl Processor for Sum {
    ///     type KIn = String;
    ///     type VIn = i64;
    ///     type KOut = String;
    ///     type VOut = i64;
    ///
    ///     fn stores(&self) -> Vec<StoreId> {
    ///         vec![self.0.id()]
    ///     }
    ///
    ///     fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, i64>) -> Result<(), BoxError> {
    ///         let sum = cx.store(self.0).get(&record.key)?.unwrap_or(0) + record.value;
    ///         Ok(cx.store(self.0).put(&record.key, &sum)?)
    ///     }
    /// }
    ///
    /// let mut topology = Topology::new();
    /// let sums = topology.add_store(Stores::in_memory("sums").key_value::<String, i64>())?;
    /// topology
    ///     .add_source("source", "in", Consumed::<String, i64>::default())?
    ///     .add_processor("sum", move || Sum(sums), &["source"])?;
    ///
    /// let mut driver = TopologyTestDriver::builder(topology).build()?;
    /// let input = driver.input::<String, i64>("in");
    /// driver.pipe(&input, ("k", 40))?;
    /// driver.restart()?;
    /// driver.pipe(&input, ("k", 2))?;
    /// assert_eq!(driver.store(sums)?.get(&"k".to_owned())?, Some(42));
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn restart(&mut self) -> Result<()> {
        self.close_tasks()?;
        self.capture()?;
        self.open()?;
        self.complete()
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

    /// Writes these records, each processed to the end before the next one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// # use kstreams_topology::{Consumed, Produced, Topology};
    /// let mut topology = Topology::new();
    /// topology
    ///     .add_source("source", "in", Consumed::<String, i64>::default())?
    ///     .add_sink("sink", "out", Produced::<String, i64>::default(), &["source"])?;
    ///
    /// let mut driver = TopologyTestDriver::builder(topology).build()?;
    /// let input = driver.input::<String, i64>("in").start_at(100).auto_advance(Duration::from_millis(5));
    /// let output = driver.output::<String, i64>("out");
    /// driver.pipe_all(&input, [("a", 1), ("b", 2)])?;
    /// driver.pipe_all(&input, [record("c", 3).at(7)])?;
    /// let expected = [record("a", 1).at(100), record("b", 2).at(105), record("c", 3).at(7)];
    /// assert_eq!(driver.read_all(&output)?, expected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pipe_all<K, V, A, B, R>(
        &mut self,
        input: &InputTopic<K, V>,
        records: impl IntoIterator<Item = R>,
    ) -> Result<()>
    where
        K: Nullable,
        V: Nullable,
        A: Into<K>,
        B: Into<V>,
        R: Into<TestRecord<A, B>>,
    {
        records.into_iter().try_for_each(|record| self.pipe(input, record))
    }

    /// Writes a record as bytes. Without a timestamp it gets the driver's clock, without a partition that of its key.
    pub fn pipe_raw(&mut self, record: ProducedRecord) -> Result<()> {
        self.publish()?;
        self.enqueue(&record)?
            .then_some(())
            .ok_or_else(|| Error::UnknownTopic {
                topic: record.topic.to_string(),
            })?;
        self.complete()
    }

    /// Moves the driver's clock on: timers on the wall clock that are due are called, once each.
    pub fn advance_wall_clock(&mut self, by: Duration) -> Result<()> {
        self.publish()?;
        self.now = self.now.saturating_add(millis(by));
        for task in &mut self.tasks {
            task.punctuate(Clock::WallClock, self.now, &mut self.outbox)?;
        }
        self.commit()?;
        self.complete()
    }

    /// The driver's clock, in milliseconds.
    pub fn wall_clock(&self) -> i64 {
        self.now
    }

    /// Appends the record to its topic, for the task or the global store that reads it; false if nobody does.
    fn enqueue(&mut self, record: &ProducedRecord) -> Result<bool> {
        if !self.layout.topics.contains_key(&record.topic) {
            if !self.setup.topology.matches_pattern(&record.topic) {
                return Ok(false);
            }
            self.add_input(&record.topic)?;
        }
        let Some(topic) = self.layout.topics.get_mut(&record.topic) else {
            return Ok(false);
        };
        let partition = match record.partition {
            // Whatever a partitioner says, there is one partition only.
            _ if self.setup.partitions == 1 => 0,
            Some(partition) if !topic.has(partition) => {
                return Err(Error::UnknownPartition {
                    topic: record.topic.to_string(),
                    partition,
                });
            }
            Some(partition) => partition,
            None => topic.choose(record.key.as_deref()),
        };
        let timestamp = record.timestamp.unwrap_or(self.now);
        self.batch.append(
            timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        )?;
        let records = topic.append(partition, self.batch.finish(ProducerStamp::NONE)?)?;
        let (reader, end) = (topic.reader, topic.end(partition));
        let partition = TopicPartition::new(record.topic.clone(), partition);
        match reader {
            Reader::Global(at) => {
                if let Some(task) = self.globals.get_mut(at) {
                    task.update(&partition, vec![records], end, self.now)?;
                }
                self.publish()?;
            }
            Reader::Tasks => {
                let reads = |task: &&mut ActiveTask| task.inputs().any(|input| *input == partition);
                if let Some(task) = self.tasks.iter_mut().find(reads) {
                    task.add_records(&partition, vec![records], end)?;
                }
            }
        }
        Ok(true)
    }

    /// Makes a topic that a source's pattern matches an input.
    fn add_input(&mut self, topic: &TopicName) -> Result<()> {
        let partitions = self.setup.partitions;
        for (task, place) in self.tasks.iter_mut().zip(&mut self.layout.places) {
            let partition = TopicPartition::new(topic.clone(), task.id().partition);
            if partition.partition < partitions && task.graph().reads(topic) {
                task.add_input(&partition)?;
                task.set_lag(&partition, Some(0))?;
                place.inputs.push(partition);
            }
        }
        let matching = SourceTopic::new(Reader::Tasks, partitions);
        self.layout.topics.insert(topic.clone(), matching);
        Ok(())
    }

    /// Lets the tasks see what global stores have.
    fn publish(&mut self) -> Result<()> {
        for global in &mut self.globals {
            global.commit()?;
        }
        if !self.globals.is_empty() {
            self.tasks.iter_mut().for_each(ActiveTask::refresh_globals);
        }
        Ok(())
    }

    /// Processes one record after the other, feeding back what goes to topics that are read, until none is left.
    fn complete(&mut self) -> Result<()> {
        self.capture()?;
        loop {
            let mut processed = 0;
            for at in 0..self.tasks.len() {
                processed += self.process_one(at)?;
            }
            if processed == 0 {
                return Ok(());
            }
        }
    }

    /// Lets a task process a record, if it has one, and everything that follows from that.
    fn process_one(&mut self, at: usize) -> Result<usize> {
        let Some(task) = self.tasks.get_mut(at) else {
            return Ok(0);
        };
        let processed = task.process(1, self.now, &mut self.outbox)?;
        if processed > 0 {
            task.punctuate(Clock::StreamTime, self.now, &mut self.outbox)?;
            commit_task(task, &mut self.outbox, &mut self.committed)?;
            self.capture()?;
        }
        Ok(processed)
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        for task in &mut self.tasks {
            commit_task(task, &mut self.outbox, &mut self.committed)?;
        }
        Ok(())
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
        self.close_tasks()
    }
}

fn commit_task(
    task: &mut ActiveTask,
    outbox: &mut Outbox,
    committed: &mut BTreeMap<TopicPartition, Committable>,
) -> Result<()> {
    task.prepare_commit(outbox).map_err(Error::Flush)?;
    for committable in task.committable() {
        committed.insert(committable.partition.clone(), committable);
    }
    Ok(task.post_commit(|changelog| outbox.last_offset(changelog))?)
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
