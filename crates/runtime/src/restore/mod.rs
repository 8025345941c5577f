//! State from changelogs: read from where each store stands to where the log ended, in batches.
//!
//! Restoring happens on the stream thread, between the turns of tasks that run already: fetching, checking and
//! decompressing is the I/O thread's work, and what is left, putting batches into the store, comes in small portions.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kstreams_client::admin::OffsetSpec;
use kstreams_client::consume::Isolation;
use kstreams_client::group::Stability;
use kstreams_client::{Consumer, ConsumerEvent, Start};
use kstreams_store::{Changelog, ChangelogId, ChangelogRecord};
use kstreams_task::{ActiveTask, ChangelogState};
use kstreams_topology::TaskId;
use kstreams_wire::batch::{RawRecord, Records};
use kstreams_wire::{Headers, TopicName, TopicPartition};
use tracing::{debug, info, warn};

use crate::error::{Error, Result};
use crate::failure::{Failure, Hurdle};
use crate::instance::Instance;
use crate::tasks::{Owned, Tasks};

/// Restores the stores of a stream thread's tasks.
pub(crate) struct Restorer {
    instance: Arc<Instance>,
    consumer: Consumer,
    tasks: BTreeMap<TaskId, Restoring>,
    /// What is being read, and which task it belongs to.
    reading: BTreeMap<TopicPartition, Reading>,
    broken: Vec<(TaskId, String)>,
}

/// A task that restores.
struct Restoring {
    since: Instant,
    records: u64,
    /// Changelogs whose end is not known yet.
    unlisted: Vec<ChangelogState>,
    /// Changelogs that are being read.
    open: BTreeSet<TopicPartition>,
}

struct Reading {
    task: TaskId,
    store: String,
    /// The offset behind the last record to be restored.
    end: i64,
}

/// What came of a step.
#[derive(Default)]
pub(crate) struct Step {
    /// The tasks that are through; each is to be forgotten when it runs.
    pub(crate) restored: Vec<Restored>,
    pub(crate) failures: Vec<Failure>,
}

/// A task whose stores are up to date.
pub(crate) struct Restored {
    pub(crate) task: TaskId,
    pub(crate) records: u64,
    pub(crate) took: Duration,
}

impl Restorer {
    pub(crate) fn new(instance: &Arc<Instance>) -> Self {
        Self {
            consumer: instance.client.consumer(instance.settings.restore_consumer.clone()),
            instance: instance.clone(),
            tasks: BTreeMap::new(),
            reading: BTreeMap::new(),
            broken: Vec::new(),
        }
    }

    /// Whether any task is not restored yet.
    pub(crate) fn is_busy(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Whether there is anything to do for them at once: not all of them pause for a failure.
    pub(crate) fn has_work(&self, tasks: &Tasks) -> bool {
        !self.reading.is_empty() || self.tasks.keys().any(|task| !tasks.deadlines.is_paused(*task))
    }

    /// Begins to restore a task. One without changelogs is through at the next step.
    pub(crate) fn add(&mut self, task: TaskId, changelogs: Vec<ChangelogState>) {
        let restoring = Restoring {
            since: Instant::now(),
            records: 0,
            unlisted: changelogs,
            open: BTreeSet::new(),
        };
        self.tasks.insert(task, restoring);
    }

    /// The task runs, or is gone.
    pub(crate) fn forget(&mut self, task: TaskId) {
        self.tasks.remove(&task);
        let gone: Vec<TopicPartition> = self
            .reading
            .iter()
            .filter(|(_, reading)| reading.task == task)
            .map(|(partition, _)| partition.clone())
            .collect();
        self.consumer.unassign(&gone);
        for partition in gone {
            self.reading.remove(&partition);
        }
    }

    /// Reads for up to `timeout` and applies what came.
    pub(crate) fn step(&mut self, tasks: &mut Tasks, group: &mut Consumer, timeout: Duration) -> Step {
        let mut step = Step::default();
        step.failures
            .extend(self.list(tasks, group).err().map(|failure| *failure));
        if !self.reading.is_empty() {
            for event in self.consumer.poll(timeout) {
                let failed = self.on_event(event, tasks).err();
                step.failures.extend(failed.map(|failure| *failure));
            }
            self.close_ended(tasks);
        }
        let through = self
            .tasks
            .iter()
            .filter(|(_, task)| task.open.is_empty() && task.unlisted.is_empty());
        let restored = through.filter(|(id, _)| !tasks.deadlines.is_paused(**id));
        step.restored = restored
            .map(|(id, task)| Restored {
                task: *id,
                records: task.records,
                took: task.since.elapsed(),
            })
            .collect();
        step
    }

    /// Finds out where the new changelogs end, and begins to read those that are behind.
    fn list(&mut self, tasks: &mut Tasks, group: &mut Consumer) -> Result<(), Box<Failure>> {
        let due = |id: &&TaskId| !tasks.deadlines.is_paused(**id);
        let new: Vec<(TaskId, ChangelogState)> = self
            .tasks
            .iter()
            .filter(|(id, _)| due(id))
            .flat_map(|(id, task)| task.unlisted.iter().map(|state| (*id, state.clone())))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let found = self.ids(&new).and_then(|ids| Ok((ids, self.ends(&new, group)?)));
        let (ids, ends) = found.map_err(|error| {
            let tasks = new.iter().map(|(id, _)| *id).collect();
            Box::new(Failure::of_tasks(tasks, Hurdle::Start, error))
        })?;
        let mut starts = Vec::new();
        for (task, state) in new {
            let partition = state.changelog.partition().clone();
            let end = ends.get(&partition).copied().unwrap_or(0);
            if let Some(restoring) = self.tasks.get_mut(&task) {
                restoring
                    .unlisted
                    .retain(|other| other.changelog.partition() != &partition);
                let id = ids.get(&partition.topic).copied();
                if let (Some(id), Some(owned)) = (id, tasks.get_mut(task).and_then(Owned::restoring)) {
                    owned.identify(&partition, id);
                }
                let next = state.offset.map_or(0, |offset| offset + 1);
                debug!(%task, store = state.store, changelog = %partition, from = next, to = end, "changelog to be read");
                if state.id.is_some() && id.is_some() && state.id != id {
                    warn!(%task, store = state.store, changelog = %partition, "the changelog was deleted and created anew: building the store anew");
                    self.broken.push((task, state.store));
                } else if next > end {
                    warn!(%task, store = state.store, changelog = %partition, next, end, "the changelog ends before the store does: building the store anew");
                    self.broken.push((task, state.store));
                } else if next < end {
                    restoring.open.insert(partition.clone());
                    info!(%task, store = state.store, changelog = %partition, from = next, to = end, "restoring");
                    let reading = Reading {
                        task,
                        store: state.store,
                        end,
                    };
                    self.reading.insert(partition.clone(), reading);
                    let start = state
                        .offset
                        .map_or(Start::Beginning, |offset| Start::Offset(offset + 1));
                    starts.push((partition, start));
                }
            }
        }
        self.consumer.assign(&starts);
        Ok(())
    }

    /// The ids of the changelogs' topics.
    fn ids(&self, new: &[(TaskId, ChangelogState)]) -> Result<BTreeMap<TopicName, ChangelogId>> {
        let topics: BTreeSet<TopicName> = new
            .iter()
            .map(|(_, state)| state.changelog.partition().topic.clone())
            .collect();
        let topics: Vec<TopicName> = topics.into_iter().collect();
        let described = self.instance.client.admin().describe_topics(&topics);
        let described = described.map_err(|source| Error::Client {
            action: "find out which topics the changelogs are".to_owned(),
            source: source.into(),
        })?;
        // One that is missing is told of when its end is asked for.
        let ids = described
            .into_iter()
            .filter_map(|(topic, found)| Some((topic, ChangelogId(found.ok()?.id?))));
        Ok(ids.collect())
    }

    /// Where changelogs end. A source topic that serves as changelog ends where the group has committed: what comes
    /// after it is input.
    fn ends(&self, new: &[(TaskId, ChangelogState)], group: &mut Consumer) -> Result<BTreeMap<TopicPartition, i64>> {
        let partitions: Vec<TopicPartition> = new
            .iter()
            .map(|(_, state)| state.changelog.partition().clone())
            .collect();
        let wanted: Vec<_> = partitions
            .iter()
            .map(|partition| (partition.clone(), OffsetSpec::Latest))
            .collect();
        let failed = |source: kstreams_client::Error| Error::Client {
            action: "find the ends of the changelogs".to_owned(),
            source: source.into(),
        };
        let listed = self
            .instance
            .client
            .admin()
            .list_offsets(&wanted, Isolation::ReadUncommitted);
        let mut ends = BTreeMap::new();
        for (partition, end) in listed.map_err(failed)? {
            ends.insert(partition, end.map_err(failed)?.offset.unwrap_or(0));
        }
        let sources: Vec<TopicPartition> = new
            .iter()
            .filter(|(_, state)| matches!(state.changelog, Changelog::Source(_)))
            .map(|(_, state)| state.changelog.partition().clone())
            .collect();
        if !sources.is_empty() {
            let limit = self.instance.settings.client.api_timeout;
            let committed = group.committed(&sources, Stability::Required, limit).map_err(failed)?;
            for partition in sources {
                let consumed = committed.get(&partition).map_or(0, |committed| committed.offset);
                ends.entry(partition).and_modify(|end| *end = (*end).min(consumed));
            }
        }
        Ok(ends)
    }

    fn on_event(&mut self, event: ConsumerEvent, tasks: &mut Tasks) -> Result<(), Box<Failure>> {
        match event {
            ConsumerEvent::Fetched { partition, records, .. } => self.apply(&partition, records, tasks),
            ConsumerEvent::OutOfRange { partition, offset } | ConsumerEvent::CutOff { partition, offset, .. } => {
                self.give_up(&partition, offset);
                Ok(())
            }
            ConsumerEvent::NoOffset { partition } => {
                self.give_up(&partition, -1);
                Ok(())
            }
            ConsumerEvent::Error(source) => Err(Box::new(Failure::of_thread(Error::Client {
                action: "read the changelogs".to_owned(),
                source: source.into(),
            }))),
            _ => Ok(()),
        }
    }

    fn apply(
        &mut self,
        partition: &TopicPartition,
        records: Vec<Records>,
        tasks: &mut Tasks,
    ) -> Result<(), Box<Failure>> {
        let Some(reading) = self.reading.get(partition) else {
            return Ok(());
        };
        let id = reading.task;
        let Some(owned) = tasks.get_mut(id) else { return Ok(()) };
        let counters = owned.metrics.clone();
        let Some(task) = owned.restoring() else { return Ok(()) };
        let mut count = 0;
        for batch in records {
            count += apply_batch(task, partition, batch, reading.end)
                .map_err(|source| Box::new(Failure::within(id, Hurdle::Start, source)))?;
        }
        counters.restored.add(count);
        if let Some(restoring) = self.tasks.get_mut(&id) {
            restoring.records += count;
        }
        Ok(())
    }

    /// Ends the reading of changelogs that have been read to their end.
    fn close_ended(&mut self, tasks: &mut Tasks) {
        let mut ended = Vec::new();
        let mut remaining: BTreeMap<TaskId, u64> = BTreeMap::new();
        for (partition, reading) in &self.reading {
            let position = self.consumer.position(partition);
            if position.is_some_and(|position| position >= reading.end) {
                ended.push(partition.clone());
            }
            let left = reading.end - position.unwrap_or(reading.end).min(reading.end);
            *remaining.entry(reading.task).or_default() += left as u64;
        }
        for (task, left) in remaining {
            if let Some(owned) = tasks.get_mut(task) {
                owned.metrics.restore_remaining.set(left);
            }
        }
        self.consumer.unassign(&ended);
        for partition in ended {
            if let Some(reading) = self.reading.remove(&partition)
                && let Some(restoring) = self.tasks.get_mut(&reading.task)
            {
                restoring.open.remove(&partition);
            }
        }
    }

    /// The log begins behind the offset of the store: its state cannot be completed.
    fn give_up(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(reading) = self.reading.remove(partition) {
            warn!(task = %reading.task, store = reading.store, changelog = %partition, offset, "the changelog has no such offset any more: building the store anew");
            self.broken.push((reading.task, reading.store));
        }
    }

    /// The stores whose changelog does not reach back to where they stand: they are to be built anew.
    pub(crate) fn take_broken(&mut self) -> Vec<(TaskId, String)> {
        std::mem::take(&mut self.broken)
    }
}

/// Applies the records of a batch that lie before `end`. How many there were.
fn apply_batch(
    task: &mut ActiveTask,
    partition: &TopicPartition,
    mut batch: Records,
    end: i64,
) -> kstreams_task::Result<u64> {
    let mut places = Vec::new();
    let mut last = None;
    let mut shared = None;
    loop {
        let record = batch.next().map_err(|source| kstreams_task::Error::Corrupt {
            partition: partition.clone(),
            source,
        })?;
        let Some(record) = record.filter(|record| record.offset < end) else {
            break;
        };
        last = Some(record.offset);
        // A changelog record without a key says nothing about any entry.
        places.extend(Place::of(&record));
        if shared.is_none() {
            shared = Some(record.shared.clone());
        }
    }
    let (Some(last), Some(shared)) = (last, shared) else {
        return Ok(0);
    };
    let records = places.iter().map(|place| place.record(&shared));
    task.restore(partition, records, last)
}

/// A record of a batch: where its key and value are in the batch's bytes.
struct Place {
    key: Range<usize>,
    value: Option<Range<usize>>,
    timestamp: i64,
    offset: i64,
    headers: Headers,
}

impl Place {
    fn of(record: &RawRecord<'_>) -> Option<Self> {
        let base = record.shared.as_ptr() as usize;
        let place = |bytes: &[u8]| {
            let from = bytes.as_ptr() as usize - base;
            from..from + bytes.len()
        };
        Some(Self {
            key: place(record.key?),
            value: record.value.map(place),
            timestamp: record.timestamp,
            offset: record.offset,
            headers: record.to_headers(),
        })
    }

    fn record<'a>(&'a self, shared: &'a [u8]) -> ChangelogRecord<'a> {
        let slice = |place: &Range<usize>| shared.get(place.clone()).unwrap_or_default();
        ChangelogRecord {
            key: slice(&self.key),
            value: self.value.as_ref().map(slice),
            timestamp: self.timestamp,
            offset: self.offset,
            headers: &self.headers,
        }
    }
}
