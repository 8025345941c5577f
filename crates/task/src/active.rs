//! The task that processes: buffered records go through its graph, and their offsets are committed when what they caused
//! is safe.

use std::collections::BTreeMap;

use kstreams_store::{Changelog, ChangelogId, ChangelogRecord, Output, State};
use kstreams_topology::TaskId;
use kstreams_topology::graph::{Clock, Graph};
use kstreams_wire::TopicPartition;
use kstreams_wire::batch::Records;

use crate::error::{Error, Result};
use crate::inbox::{Admission, Inbox, Next, Queue, TaskConfig};
use crate::lifecycle::TaskState;
use crate::metadata::OffsetMetadata;

/// An input partition of a task with what was committed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The partition.
    pub partition: TopicPartition,
    /// The committed offset, if there is one.
    pub offset: Option<i64>,
    /// The text committed along with it; empty without one.
    pub metadata: String,
}

/// What to commit for an input partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committable {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to be read.
    pub offset: i64,
    /// The text to be committed along with it.
    pub metadata: String,
}

/// A store of a task, as far as restoring it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogState {
    /// The store's name.
    pub store: String,
    /// Where it is restored from.
    pub changelog: Changelog,
    /// The offset of the last record that it has; `None` if it has none.
    pub offset: Option<i64>,
    /// Which topic it was restored from so far, if that is known.
    pub id: Option<ChangelogId>,
}

/// What a task has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records taken from the input.
    pub processed: u64,
    /// Records dropped on the way.
    pub dropped: u64,
    /// Records restored from changelogs.
    pub restored: u64,
    /// Punctuations called.
    pub punctuations: u64,
}

/// How a task is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// What was processed is committed, or of no interest.
    Clean,
    /// Something failed: what was not committed is thrown away.
    Dirty,
}

/// A task that processes records.
pub struct ActiveTask {
    id: TaskId,
    state: TaskState,
    graph: Graph,
    inbox: Inbox,
    /// Inputs whose topics are gone: there is nothing to be committed for them.
    gone: Vec<TopicPartition>,
    /// What processors remembered when it was last committed.
    remembered: BTreeMap<String, i64>,
    processed: u64,
    restored: u64,
    /// Whether something happened since the last commit that has to be committed.
    dirty: bool,
}

impl ActiveTask {
    /// A task over an executable graph, reading these partitions.
    pub fn new(id: TaskId, mut graph: Graph, inputs: &[TopicPartition], config: TaskConfig) -> Result<Self> {
        let mut known = Vec::with_capacity(inputs.len());
        for partition in inputs {
            let input = graph.add_input(partition).ok_or_else(|| Error::UnknownInput {
                partition: partition.clone(),
            })?;
            known.push((partition.clone(), input, graph.looks_ahead(input)));
        }
        Ok(Self {
            id,
            state: TaskState::Created,
            graph,
            inbox: Inbox::new(known, config),
            gone: Vec::new(),
            remembered: BTreeMap::new(),
            processed: 0,
            restored: 0,
            dirty: false,
        })
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Where the task is in its life.
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// Adds an input partition to those that the task was made with: a topic that matches a source's pattern appeared.
    pub fn add_input(&mut self, partition: &TopicPartition) -> Result<()> {
        let input = self.graph.add_input(partition).ok_or_else(|| Error::UnknownInput {
            partition: partition.clone(),
        })?;
        self.inbox
            .add_queue(partition.clone(), input, self.graph.looks_ahead(input));
        Ok(())
    }

    /// Leaves an input out of all commits to come: its topic is gone, and brokers know no offsets of it.
    pub fn abandon(&mut self, partition: &TopicPartition) {
        if !self.gone.contains(partition) {
            self.gone.push(partition.clone());
        }
    }

    /// The input partitions.
    pub fn inputs(&self) -> impl Iterator<Item = &TopicPartition> {
        self.inbox.queues().iter().map(|queue| &queue.partition)
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        let totals = self.graph.totals();
        Counters {
            processed: self.processed,
            dropped: totals.dropped,
            restored: self.restored,
            punctuations: totals.punctuations,
        }
    }

    /// The largest timestamp that was processed; −1 before the first record.
    pub fn stream_time(&self) -> i64 {
        self.graph.stream_time()
    }
}

/// Restoring.
impl ActiveTask {
    /// Begins to restore.
    pub fn start_restoring(&mut self) -> Result<()> {
        self.state.step(TaskState::Restoring, "start to restore")
    }

    /// The stores that are rebuilt from a topic, and how far each is.
    pub fn changelogs(&mut self) -> Vec<ChangelogState> {
        let states = self.graph.stores().filter_map(|state| {
            Some(ChangelogState {
                store: state.name().to_owned(),
                changelog: state.changelog()?.clone(),
                offset: state.offset(),
                id: state.changelog_id(),
            })
        });
        states.collect()
    }

    /// Says which topic a changelog is: the stores that are restored from it remember that.
    pub fn identify(&mut self, changelog: &TopicPartition, id: ChangelogId) {
        for state in self.graph.stores() {
            if state.changelog().is_some_and(|known| known.partition() == changelog) {
                state.identify(id);
            }
        }
    }

    /// Applies records of a changelog to its store. `last_offset` is that of the last one. How many there were.
    pub fn restore<'r>(
        &mut self,
        changelog: &TopicPartition,
        records: impl IntoIterator<Item = impl Into<ChangelogRecord<'r>>>,
        last_offset: i64,
    ) -> Result<u64> {
        let mut count = 0;
        let from = |state: &&mut State| state.changelog().is_some_and(|known| known.partition() == changelog);
        let state = self.graph.stores().find(from).ok_or_else(|| Error::UnknownInput {
            partition: changelog.clone(),
        })?;
        state.restore(records.into_iter().inspect(|_| count += 1), last_offset)?;
        self.restored += count;
        Ok(count)
    }

    /// Ends restoring: makes it durable, takes over the times committed with the input offsets, and initialises the nodes.
    pub fn complete_restoration(&mut self, inputs: &[Input], now: i64, output: &mut dyn Output) -> Result<()> {
        self.state.step(TaskState::Running, "run")?;
        for state in self.graph.stores() {
            state.commit(None)?;
        }
        for input in inputs {
            self.take_up(input)?;
        }
        self.remembered.clone_from(self.graph.processor_metadata());
        self.graph.set_wall_clock(now);
        self.dirty = false;
        Ok(self.graph.init(output)?)
    }

    /// Goes on with an input where it was committed: one that was [added](Self::add_input) to a running task.
    pub fn take_up(&mut self, input: &Input) -> Result<()> {
        let queue = self.inbox.queue_mut(&input.partition)?;
        queue.start_at(input.offset);
        let committed = OffsetMetadata::decode(&input.metadata);
        self.graph.set_partition_time(queue.input, committed.partition_time);
        self.graph.recall_metadata(committed.processors);
        Ok(())
    }
}

/// Processing.
impl ActiveTask {
    /// Takes fetched batches of an input partition. `next_offset` is the next offset to be fetched.
    pub fn add_records(
        &mut self,
        partition: &TopicPartition,
        batches: Vec<Records>,
        next_offset: i64,
    ) -> Result<Admission> {
        self.inbox.add(partition, batches, next_offset)
    }

    /// The partitions that were paused because they were full, and have room again.
    pub fn take_resumable(&mut self) -> Vec<TopicPartition> {
        self.inbox.take_resumable()
    }

    /// Says how many records of a partition wait on the broker behind those fetched; `None` if that is not known. Tasks
    /// with several partitions wait for it, see [`TaskConfig::idle_ms_max`].
    pub fn set_lag(&mut self, partition: &TopicPartition, lag: Option<i64>) -> Result<()> {
        self.inbox.queue_mut(partition)?.set_lag(lag);
        Ok(())
    }

    /// How many records wait in all.
    pub fn buffered(&self) -> usize {
        self.inbox.buffered()
    }

    /// Whether [`process`](Self::process) would take a record now.
    pub fn is_processable(&mut self, now: i64) -> bool {
        self.state == TaskState::Running && self.inbox.is_ready(now)
    }

    /// Processes up to `records_max` records, as long as there is one to choose. How many. `now` is the wall clock in
    /// milliseconds that nodes see meanwhile.
    ///
    /// A failed record counts as taken: whoever goes on after an error goes on behind it.
    pub fn process(&mut self, records_max: usize, now: i64, output: &mut dyn Output) -> Result<usize> {
        if self.state != TaskState::Running {
            return Ok(0);
        }
        self.graph.set_wall_clock(now);
        let mut done = 0;
        let result = loop {
            if done == records_max || !self.inbox.is_ready(now) {
                break Ok(());
            }
            match self.process_next(output) {
                Ok(true) => done += 1,
                Ok(false) => break Ok(()),
                Err(error) => {
                    done += 1;
                    break Err(error);
                }
            }
        };
        self.processed += done as u64;
        self.dirty |= done > 0;
        result.map(|()| done)
    }

    #[inline]
    fn process_next(&mut self, output: &mut dyn Output) -> Result<bool> {
        let Some(at) = self.choose(output)? else {
            return Ok(false);
        };
        let (input, next) = self.inbox.take(at)?;
        match next {
            Next::Raw(raw) => self.graph.process(input, &raw, output)?,
            Next::Held { offset } => self.graph.process_held(input, offset, output)?,
        }
        Ok(true)
    }

    /// The queue to take from. Heads whose timestamp is in their value are decoded for that.
    #[inline]
    fn choose(&mut self, output: &mut dyn Output) -> Result<Option<usize>> {
        while let Some(at) = self.inbox.settle() {
            self.look(at, output)?;
        }
        Ok(self.inbox.choose())
    }

    /// Has the source decode the record at the head of a queue, to know its timestamp.
    fn look(&mut self, at: usize, output: &mut dyn Output) -> Result<()> {
        let (input, raw) = self.inbox.look(at)?;
        let offset = raw.offset;
        match self.graph.hold(input, &raw, output) {
            Ok(Some(timestamp)) => self.inbox.held(at, timestamp, offset),
            Ok(None) => {
                self.dirty = true;
                self.inbox.dropped(at, offset);
            }
            Err(error) => {
                self.inbox.dropped(at, offset);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Calls the timers of this clock that are due; `now` is the wall clock in milliseconds. How many were called.
    pub fn punctuate(&mut self, clock: Clock, now: i64, output: &mut dyn Output) -> Result<usize> {
        if self.state != TaskState::Running {
            return Ok(0);
        }
        self.graph.set_wall_clock(now);
        let called = self.graph.punctuate(clock, output)?;
        self.dirty |= called > 0;
        Ok(called)
    }

    /// When the next timer of the wall clock is due; `i64::MAX` without one.
    pub fn next_wall_clock_due(&self) -> i64 {
        self.graph.next_due(Clock::WallClock)
    }
}

/// Committing, in three steps: [`prepare_commit`](ActiveTask::prepare_commit), then whoever drives the task waits for all
/// acknowledgements and commits [`committable`](ActiveTask::committable), then [`post_commit`](ActiveTask::post_commit).
impl ActiveTask {
    /// Whether there is something to commit.
    pub fn commit_needed(&self) -> bool {
        self.state == TaskState::Running && (self.dirty || self.inbox.queues().iter().any(|queue| queue.has_moved()))
    }

    /// Whether a processor asked for a commit.
    pub fn commit_requested(&self) -> bool {
        self.graph.commit_requested()
    }

    /// Empties the stores' caches and lets the nodes forward what comes out.
    pub fn prepare_commit(&mut self, output: &mut dyn Output) -> Result<()> {
        Ok(self.graph.flush(output)?)
    }

    /// The offsets to commit: of the partitions that were read since the last commit, or of all if processors have
    /// something new to remember.
    pub fn committable(&self) -> Vec<Committable> {
        let is_new = *self.graph.processor_metadata() != self.remembered;
        let wanted = |queue: &&Queue| (is_new || queue.has_moved()) && !self.gone.contains(&queue.partition);
        let queues = self.inbox.queues().iter().filter(wanted).filter_map(|queue| {
            Some(Committable {
                partition: queue.partition.clone(),
                offset: queue.committable()?,
                metadata: OffsetMetadata {
                    partition_time: self.graph.partition_time(queue.input),
                    processors: self.graph.processor_metadata().clone(),
                }
                .encode(),
            })
        });
        queues.collect()
    }

    /// The offsets are committed: makes the stores durable up to there. `acked` tells the highest acknowledged offset of a
    /// changelog partition, `None` if nothing was sent to it.
    pub fn post_commit(&mut self, mut acked: impl FnMut(&TopicPartition) -> Option<i64>) -> Result<()> {
        for state in self.graph.stores() {
            let offset = match state.changelog() {
                // What was acknowledged may be of long ago: before another ran the task, and wrote more.
                Some(Changelog::Own(partition)) => acked(partition).max(state.offset()),
                Some(Changelog::Source(partition)) => {
                    let queue = self.inbox.queues().iter().find(|queue| queue.partition == *partition);
                    queue.and_then(|queue| queue.committable()).map(|offset| offset - 1)
                }
                None => None,
            };
            state.commit(offset)?;
        }
        self.inbox.set_committed();
        if *self.graph.processor_metadata() != self.remembered {
            self.remembered.clone_from(self.graph.processor_metadata());
        }
        self.graph.take_commit_request();
        self.dirty = false;
        Ok(())
    }

    /// Bytes that wait in the stores' write buffers for the next commit.
    pub fn uncommitted_bytes(&mut self) -> usize {
        self.graph.stores().map(|state| state.buffered_bytes()).sum()
    }
}

/// Going away.
impl ActiveTask {
    /// Closes the nodes and forgets what is buffered. Always gets there: an error is that of a node that could not close.
    pub fn suspend(&mut self) -> Result<()> {
        let was_running = self.state == TaskState::Running;
        self.state.step(TaskState::Suspended, "be suspended")?;
        self.inbox.clear();
        self.graph.reset_times();
        self.dirty = false;
        if was_running {
            self.graph.close()?;
        }
        Ok(())
    }

    /// Closes a suspended task and its stores.
    pub fn close(mut self, close: Close) -> Result<()> {
        self.state.step(TaskState::Closed, "be closed")?;
        let mut result = Ok(());
        for mut state in self.graph.into_stores() {
            if close == Close::Dirty {
                state.discard();
            }
            result = result.and(state.close());
        }
        Ok(result?)
    }

    /// Lets the processors see what was committed to global stores since the last call.
    pub fn refresh_globals(&mut self) {
        self.graph.refresh_globals();
    }

    /// The graph, for access to the stores from outside of processing.
    pub fn graph(&mut self) -> &mut Graph {
        &mut self.graph
    }
}
