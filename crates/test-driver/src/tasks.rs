//! The tasks of a driver: which there are, how they are opened, restored, and closed.

use std::collections::BTreeMap;

use kstreams_store::{CacheBudget, Changelog, ChangelogRecord, GLOBAL, StoreReader};
use kstreams_task::{ActiveTask, ChangelogState, Close, GlobalTask, Input, TaskConfig};
use kstreams_topology::TaskId;
use kstreams_topology::blueprint::{GraphScope, PartitionCounts, Subtopologies, Subtopology, TaskEnvironment};
use kstreams_topology::graph::ErrorHandlers;
use kstreams_wire::{TopicName, TopicPartition};

use crate::builder::Builder;
use crate::driver::TopologyTestDriver;
use crate::error::Result;
use crate::log::{Reader, SourceTopic};

/// The task that runs everything if there is one partition.
const TASK: TaskId = TaskId::new(0, 0);

/// A task to be opened.
pub(crate) struct Place {
    id: TaskId,
    scope: GraphScope,
    pub(crate) inputs: Vec<TopicPartition>,
}

/// What a driver runs: its tasks, and the topics that they read.
pub(crate) struct Layout {
    pub(crate) places: Vec<Place>,
    globals: Vec<Subtopology>,
    pub(crate) topics: BTreeMap<TopicName, SourceTopic>,
}

impl Layout {
    pub(crate) fn new(setup: &Builder) -> Result<Self> {
        let parts = setup.topology.subtopologies(&setup.application_id);
        let mut topics = BTreeMap::new();
        for (at, part) in parts.globals.iter().enumerate() {
            for topic in &part.source_topics {
                topics.insert(topic.clone(), SourceTopic::new(Reader::Global(at), setup.partitions));
            }
        }
        let places = if setup.partitions == 1 {
            let sources = parts.source_topics().into_iter().cloned();
            let inputs: Vec<_> = sources.map(|topic| TopicPartition::new(topic, 0)).collect();
            vec![Place {
                id: TASK,
                scope: GraphScope::All,
                inputs,
            }]
        } else {
            partitioned(setup, &parts)?
        };
        for partition in places.iter().flat_map(|place| &place.inputs) {
            let topic = topics
                .entry(partition.topic.clone())
                .or_insert_with(|| SourceTopic::new(Reader::Tasks, 1));
            topic.grow(partition.partition + 1);
        }
        Ok(Self {
            places,
            globals: parts.globals,
            topics,
        })
    }
}

/// The tasks as in a cluster.
fn partitioned(setup: &Builder, parts: &Subtopologies) -> Result<Vec<Place>> {
    let external = parts.external_topics().into_iter();
    let external = external.map(|topic| (topic.clone(), setup.partitions)).collect();
    let counts = PartitionCounts::decide(parts, &external)?;
    let mut places = Vec::new();
    for part in &parts.parts {
        let by_pattern = if part.source_patterns.is_empty() {
            0
        } else {
            setup.partitions
        };
        for partition in 0..counts.tasks(part).max(by_pattern) {
            places.push(Place {
                id: TaskId::new(part.id, partition),
                scope: GraphScope::Subtopology(part.id),
                inputs: counts.inputs(part, partition),
            });
        }
    }
    Ok(places)
}

impl TopologyTestDriver {
    /// Opens all tasks, restores their stores from what the driver remembers, and lets them run.
    pub(crate) fn open(&mut self) -> Result<()> {
        let mut readers = Vec::new();
        for part in &self.layout.globals {
            let task = global_task(&self.setup, part, &mut readers, self.now)?;
            self.globals.push(task);
        }
        for at in 0..self.globals.len() {
            self.replay_global(at)?;
        }
        let cache = CacheBudget::new(self.setup.cache_bytes);
        for place in &self.layout.places {
            let task = active_task(&self.setup, place, &readers, &cache)?;
            self.tasks.push(task);
        }
        for at in 0..self.tasks.len() {
            self.restore(at)?;
            self.run(at)?;
        }
        Ok(())
    }

    /// Closes all tasks; the first error.
    pub(crate) fn close_tasks(&mut self) -> Result<()> {
        let mut result = self.commit();
        for mut task in std::mem::take(&mut self.tasks) {
            let suspended = task.suspend();
            let closed = task.close(Close::Clean);
            result = result
                .and(suspended.map_err(Into::into))
                .and(closed.map_err(Into::into));
        }
        for task in std::mem::take(&mut self.globals) {
            result = result.and(task.close().map_err(Into::into));
        }
        result
    }

    /// Applies what the topics of a global task have beyond its position.
    fn replay_global(&mut self, at: usize) -> Result<()> {
        let Some(task) = self.globals.get_mut(at) else {
            return Ok(());
        };
        let positions: Vec<_> = task
            .positions()
            .map(|(at, next)| (at.clone(), next.unwrap_or(0)))
            .collect();
        for (partition, from) in positions {
            let Some(topic) = self.layout.topics.get(&partition.topic) else {
                continue;
            };
            let records = topic.records(partition.partition, from..i64::MAX)?;
            task.update(&partition, records, topic.end(partition.partition), self.now)?;
        }
        task.commit()?;
        Ok(())
    }

    /// Brings the stores of a task up to date.
    fn restore(&mut self, at: usize) -> Result<()> {
        let Some(task) = self.tasks.get_mut(at) else {
            return Ok(());
        };
        task.start_restoring()?;
        for ChangelogState { changelog, offset, .. } in task.changelogs() {
            let partition = changelog.partition();
            let from = offset.map_or(0, |offset| offset + 1);
            match &changelog {
                Changelog::Own(_) => {
                    let sent = self.produced.iter().filter(|record| {
                        record.topic == partition.topic && record.partition.unwrap_or(0) == partition.partition
                    });
                    let behind = sent.skip(usize::try_from(from).unwrap_or_default());
                    let numbered: Vec<_> = (from..).zip(behind).collect();
                    let rows = numbered.iter().filter_map(|(offset, record)| {
                        Some(ChangelogRecord {
                            key: record.key.as_deref()?,
                            value: record.value.as_deref(),
                            timestamp: record.timestamp.unwrap_or(self.now),
                            offset: *offset,
                            headers: &record.headers,
                        })
                    });
                    if let Some((last, _)) = numbered.last() {
                        task.restore(partition, rows, *last)?;
                    }
                }
                Changelog::Source(_) => {
                    let end = self.committed.get(partition).map_or(0, |committed| committed.offset);
                    let Some(topic) = self.layout.topics.get(&partition.topic) else {
                        continue;
                    };
                    for mut batch in topic.records(partition.partition, from..end)? {
                        while let Some(record) = batch.next()? {
                            let row = record.key.map(|key| (key, record.value, record.timestamp));
                            task.restore(partition, row, record.offset)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets a restored task go on where it had committed.
    fn run(&mut self, at: usize) -> Result<()> {
        let Some(task) = self.tasks.get_mut(at) else {
            return Ok(());
        };
        let partitions: Vec<TopicPartition> = task.inputs().cloned().collect();
        let input = |partition: &TopicPartition| {
            let committed = self.committed.get(partition);
            Input {
                partition: partition.clone(),
                offset: committed.map(|committed| committed.offset),
                metadata: committed
                    .map(|committed| committed.metadata.clone())
                    .unwrap_or_default(),
            }
        };
        let inputs: Vec<Input> = partitions.iter().map(input).collect();
        task.complete_restoration(&inputs, self.now, &mut self.outbox)?;
        for Input { partition, offset, .. } in inputs {
            // Nothing ever waits on a broker: only records that the test has piped do.
            task.set_lag(&partition, Some(0))?;
            if let Some(topic) = self.layout.topics.get(&partition.topic) {
                let end = topic.end(partition.partition);
                let waiting = topic.records(partition.partition, offset.unwrap_or(0)..end)?;
                if !waiting.is_empty() {
                    task.add_records(&partition, waiting, end)?;
                }
            }
        }
        Ok(())
    }
}

fn active_task(setup: &Builder, place: &Place, readers: &[StoreReader], cache: &CacheBudget) -> Result<ActiveTask> {
    let name = place.id.to_string();
    let environment = TaskEnvironment {
        task: place.id,
        application_id: &setup.application_id,
        handlers: setup.handlers.clone(),
        emit_interval_ms: setup.emit_interval_ms,
        read_global: &mut |spec| {
            let reader = readers.iter().find(|reader| reader.name() == spec.name);
            reader.expect("global stores are opened before the tasks").state()
        },
        open_store: &mut |spec, changelog| setup.storage.state(spec, &name, changelog, cache),
    };
    let graph = setup.topology.build_graph(place.scope, environment)?;
    let config = TaskConfig {
        buffered_records_max: usize::MAX,
        idle_ms_max: setup.idle_ms_max,
    };
    Ok(ActiveTask::new(place.id, graph, &place.inputs, config)?)
}

/// Opens a part that fills global stores. Undecodable records are always skipped, as in Java's driver.
fn global_task(setup: &Builder, part: &Subtopology, readers: &mut Vec<StoreReader>, now: i64) -> Result<GlobalTask> {
    let handlers = setup.handlers.clone().without_dead_letters();
    let handlers = ErrorHandlers {
        deserialization: ErrorHandlers::log_and_continue().deserialization,
        ..handlers
    };
    let environment = TaskEnvironment {
        task: TaskId::new(part.id, 0),
        application_id: &setup.application_id,
        handlers,
        emit_interval_ms: setup.emit_interval_ms,
        read_global: &mut |spec| {
            unreachable!(
                "store {} is global and read by the part that fills {GLOBAL} ones",
                spec.name
            )
        },
        open_store: &mut |spec, _| {
            let (state, reader) = setup.storage.global(spec)?;
            readers.push(reader);
            Ok(state)
        },
    };
    let graph = setup
        .topology
        .build_graph(GraphScope::Subtopology(part.id), environment)?;
    let topics = part.source_topics.iter();
    let partitions: Vec<_> = topics
        .flat_map(|topic| (0..setup.partitions).map(|at| TopicPartition::new(topic.clone(), at)))
        .collect();
    Ok(GlobalTask::new(graph, &partitions, now)?)
}
