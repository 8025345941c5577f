//! What the consumer and the group say, and what the thread does about it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kstreams_client::admin::OffsetSpec;
use kstreams_client::consume::Isolation;
use kstreams_client::group::Stability;
use kstreams_client::{ConsumerEvent, GroupEvent, Start};
use kstreams_task::{Admission, Close, Input};
use kstreams_topology::TaskId;
use kstreams_topology::blueprint::ResetPolicy;
use kstreams_wire::batch::Records;
use kstreams_wire::{TopicName, TopicPartition};
use tracing::{debug, info, warn};

use super::{StreamThread, ThreadState};
use crate::config::Guarantee;
use crate::error::{Disposition, Error, Result};
use crate::failure::{Failure, Hurdle};
use crate::output::now_ms;
use crate::rebalance::topics::InternalTopics;
use crate::rebalance::{Leader, Shutdown, read_assignment, subscription};
use crate::tasks::diff::{Diff, diff};

/// What is committed for input partitions, and where to begin reading them.
struct Committed {
    inputs: Vec<Input>,
    starts: Vec<(TopicPartition, Start)>,
}

impl StreamThread {
    pub(super) fn on_event(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Fetched {
                partition,
                records,
                next_offset,
                ..
            } => self.admit(&partition, records, next_offset),
            ConsumerEvent::OutOfRange { partition, offset } => self.reset(&partition, offset),
            ConsumerEvent::CutOff { partition, offset, end } => {
                warn!(%partition, offset, end, "the log was cut off before the position: records that were read are gone");
                self.consumer.seek(&partition, Start::Offset(end));
            }
            ConsumerEvent::NoOffset { partition } => self.reset(&partition, -1),
            ConsumerEvent::Group(event) => self.on_group(event),
            ConsumerEvent::GroupFailed(source) => {
                let source = source.into();
                self.failed(Failure::of_thread(Error::Membership { source }));
            }
            ConsumerEvent::Error(source) => self.failed(Failure::of_thread(Error::Client {
                action: "read the source topics".to_owned(),
                source: source.into(),
            })),
            other => debug!(?other, "event ignored"),
        }
    }

    /// Hands fetched batches to the task that reads them.
    fn admit(&mut self, partition: &TopicPartition, records: Vec<Records>, next_offset: i64) {
        let Some(id) = self.instance.layout.task(partition) else {
            return;
        };
        let Some(task) = self.tasks.get_mut(id).and_then(|owned| owned.running()) else {
            return;
        };
        match task.add_records(partition, records, next_offset) {
            Ok(Admission::Full) => self.full.push(partition.clone()),
            Ok(_) => {}
            Err(source) => self.failed(Failure::within(id, Hurdle::Commit, source)),
        }
        self.times.uncommitted = true;
    }

    fn on_group(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Joining => {
                let shutdown = if self.instance.is_announcing_shutdown() {
                    Shutdown::Announced
                } else {
                    Shutdown::NotAsked
                };
                let data = subscription(
                    self.instance.process,
                    self.tasks.ids(),
                    &self.instance.storage,
                    shutdown,
                );
                let matched = &self.instance.matched;
                if let Err(error) = matched.look(&self.instance.layout, &self.instance.client.admin()) {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "going on with the topics known before"
                    );
                }
                let (version, topics) = matched.topics();
                self.matched = version;
                self.abandon_gone();
                self.consumer.subscribe(self.instance.layout.topics(topics), data);
            }
            GroupEvent::Lead { generation, members } => {
                info!(generation, members = members.len(), "leading the group");
                let leader = Leader {
                    layout: &self.instance.layout,
                    topics: InternalTopics {
                        admin: &self.instance.client.admin(),
                        settings: &self.instance.settings.topics,
                    },
                    patience: self.instance.settings.group.poll_interval_max / 2,
                };
                self.consumer.assign_members(leader.lead(&members));
            }
            GroupEvent::Assigned {
                generation,
                assigned,
                user_data,
                ..
            } => {
                info!(generation, partitions = assigned.len(), "assigned");
                if let Err(error) = self.take_over(&assigned, &user_data) {
                    self.failed(Failure::of_thread(error));
                }
            }
            GroupEvent::Lost => {
                warn!("the group counts this thread out; its tasks may be run elsewhere");
                self.lose();
            }
            other => debug!(?other, "group event ignored"),
        }
    }

    /// Gives up the tasks that are not assigned any more, takes on the new ones, and tells the group.
    fn take_over(&mut self, assigned: &[TopicPartition], user_data: &Bytes) -> Result<()> {
        read_assignment(user_data)?;
        let Diff { close, open, grow } = diff(&self.tasks.inputs(), self.instance.layout.by_task(assigned));
        if !close.is_empty() {
            self.give_up(close.into_iter().collect());
        }
        for (task, inputs) in open {
            self.tasks.add(task, inputs);
        }
        for (task, inputs) in grow {
            self.grow(task, inputs);
        }
        self.consumer.acknowledge(assigned.to_vec());
        self.go(ThreadState::PartitionsAssigned);
        Ok(())
    }

    /// Nothing is committed any more for topics that matched a pattern and are gone: no broker would take it.
    pub(super) fn abandon_gone(&mut self) {
        let (_, matched) = self.instance.matched.topics();
        let layout = &self.instance.layout;
        let is_gone = |topic: &TopicName| !layout.names(topic) && !matched.contains(topic);
        for (_, owned) in self.tasks.iter_mut() {
            let gone: Vec<_> = owned
                .inputs
                .iter()
                .filter(|input| is_gone(&input.topic))
                .cloned()
                .collect();
            if let Some(task) = owned.running() {
                gone.iter().for_each(|partition| task.abandon(partition));
            }
        }
    }

    /// Commits, then closes these tasks. What could not be committed is done again by whoever gets them, and by the tasks
    /// that stay.
    fn give_up(&mut self, close: Vec<TaskId>) {
        self.go(ThreadState::PartitionsRevoked);
        let needed = self
            .tasks
            .running()
            .any(|(id, task)| close.contains(&id) && task.commit_needed());
        if needed {
            self.commit_now();
        }
        let how = match self.failures.is_empty() {
            true => Close::Clean,
            false => Close::Dirty,
        };
        for task in close {
            self.withdraw(task);
            self.close_task(task, how);
        }
    }

    /// Nothing more is read for a task.
    pub(super) fn withdraw(&mut self, task: TaskId) {
        let inputs = self.tasks.inputs_of(task);
        self.consumer.unassign(&inputs);
        self.starts.forget(&inputs);
        self.full.retain(|partition| !inputs.contains(partition));
        self.restorer.forget(task);
    }

    /// Opens tasks that wait, and begins to restore them.
    pub(super) fn open_tasks(&mut self) {
        if self.tasks.has_waiting() {
            let opened = self.tasks.open();
            for id in opened.tasks {
                if let Some(task) = self.tasks.get_mut(id).and_then(|owned| owned.restoring()) {
                    self.restorer.add(id, task.changelogs());
                }
            }
            opened.failures.into_iter().for_each(|failure| self.failed(failure));
        }
        if self.state == ThreadState::PartitionsAssigned && self.tasks.all_run() && !self.restorer.is_busy() {
            self.go(ThreadState::Running);
        }
    }

    /// Reads changelogs for a moment; tasks that are through begin to run.
    pub(super) fn restore(&mut self) {
        if !self.restorer.is_busy() {
            return;
        }
        let idle = !self.times.busy && !self.tasks.all_run();
        let timeout = if idle {
            self.instance.settings.thread.poll_timeout
        } else {
            Duration::ZERO
        };
        let step = self.restorer.step(&mut self.tasks, &mut self.consumer, timeout);
        step.failures.into_iter().for_each(|failure| self.failed(failure));
        for (task, store) in self.restorer.take_broken() {
            if let Err(error) = self.rebuild(task, &store) {
                self.failed(Failure::of_task(task, Hurdle::Start, error));
            }
        }
        for restored in step.restored {
            let owned = self.tasks.get_mut(restored.task);
            if owned.is_none_or(|owned| owned.restoring().is_none()) {
                continue;
            }
            if let Err(error) = self.begin_to_run(restored.task) {
                self.failed(Failure::of_task(restored.task, Hurdle::Start, error));
                continue;
            }
            info!(
                task = %restored.task,
                records = restored.records,
                millis = restored.took.as_millis() as u64,
                "state restored"
            );
            self.restorer.forget(restored.task);
            self.tasks.deadlines.passed(restored.task, Hurdle::Start);
        }
        self.open_tasks();
    }

    /// Deletes a store that its changelog cannot complete, so that it is built from the changelog's beginning.
    fn rebuild(&mut self, task: TaskId, store: &str) -> Result<()> {
        self.restorer.forget(task);
        self.tasks.revive(task);
        let deleted = self.instance.storage.delete_store(&task.to_string(), store);
        deleted.map_err(|source| Error::Store {
            action: format!("delete store {store} of task {task}, which is to be built anew"),
            source: source.into(),
        })
    }

    /// Lets a task read further partitions: topics that match a source's pattern appeared. One that does not run yet, or
    /// cannot go on with them as it is, is opened anew.
    fn grow(&mut self, id: TaskId, new: Vec<TopicPartition>) {
        let Some(owned) = self.tasks.get_mut(id) else {
            return;
        };
        owned.inputs.extend(new.iter().cloned());
        if owned.running().is_none() {
            self.restorer.forget(id);
            self.tasks.revive(id);
            return;
        }
        if let Err(error) = self.take_up(id, &new) {
            let mut failure = Failure::of_task(id, Hurdle::Start, error);
            if failure.asks == Disposition::Retry {
                failure.asks = Disposition::Revive;
            }
            self.failed(failure);
        }
    }

    /// Goes on with further partitions where they are committed.
    fn take_up(&mut self, id: TaskId, new: &[TopicPartition]) -> Result<()> {
        let Committed { inputs, starts } = self.committed(id, new)?;
        if let Some(task) = self.tasks.get_mut(id).and_then(|owned| owned.running()) {
            let grown = inputs.iter().try_for_each(|input| {
                task.add_input(&input.partition)?;
                task.take_up(input)
            });
            grown.map_err(|source| Error::Task {
                task: id,
                source: source.into(),
            })?;
        }
        self.consumer.assign(&starts);
        Ok(())
    }

    /// Reads the committed offsets of a restored task, initialises its nodes and begins to fetch for it.
    fn begin_to_run(&mut self, id: TaskId) -> Result<()> {
        let Some(owned) = self.tasks.get_mut(id) else {
            return Ok(());
        };
        let partitions = owned.inputs.clone();
        let Committed { inputs, starts } = self.committed(id, &partitions)?;
        let Some(owned) = self.tasks.get_mut(id) else {
            return Ok(());
        };
        if let Some(task) = owned.restoring() {
            self.output.serve(id);
            task.complete_restoration(&inputs, now_ms(), &mut self.output)
                .map_err(|source| Error::Task {
                    task: id,
                    source: source.into(),
                })?;
        }
        owned.run();
        if let Some(task) = owned.running() {
            self.instance.hosts.enter(id, &self.desk, task.graph().stores());
        }
        self.consumer.assign(&starts);
        self.times.committed = self
            .times
            .committed
            .max(Instant::now() - self.instance.settings.commit.interval);
        Ok(())
    }

    /// What is committed for input partitions of a task, and where to begin reading them.
    fn committed(&mut self, id: TaskId, partitions: &[TopicPartition]) -> Result<Committed> {
        let limit = self.instance.settings.client.api_timeout;
        let committed = self
            .consumer
            .committed(partitions, Stability::Required, limit)
            .map_err(|source| Error::Client {
                action: format!("read the committed offsets of task {id}"),
                source: source.into(),
            })?;
        let mut inputs = Vec::new();
        let mut starts = Vec::new();
        for partition in partitions {
            let committed = committed.get(partition);
            let start = match committed {
                Some(committed) => match committed.leader_epoch {
                    Some(epoch) => Start::After {
                        offset: committed.offset,
                        epoch,
                    },
                    None => Start::Offset(committed.offset),
                },
                None => self.start_by_policy(partition, -1)?,
            };
            starts.push((partition.clone(), start));
            if self.output.guarantee() == Guarantee::ExactlyOnce {
                let offset = committed.map(|committed| committed.offset);
                self.starts.begun(partition.clone(), offset);
            }
            inputs.push(Input {
                partition: partition.clone(),
                offset: committed.map(|committed| committed.offset),
                metadata: committed
                    .map(|committed| committed.metadata.clone())
                    .unwrap_or_default(),
            });
        }
        Ok(Committed { inputs, starts })
    }

    /// Goes on with a partition whose log does not have the offset that is to be read.
    fn reset(&mut self, partition: &TopicPartition, offset: i64) {
        match self.start_by_policy(partition, offset) {
            Ok(start) => {
                warn!(%partition, offset, ?start, "the log has no such offset");
                self.consumer.seek(partition, start);
            }
            Err(error) => {
                let tasks = self.instance.layout.task(partition).into_iter().collect();
                let mut failure = Failure::of_tasks(tasks, Hurdle::Commit, error);
                if failure.asks == Disposition::Retry {
                    // Nothing more comes of the partition: the task looks for its place anew when it begins again.
                    failure.asks = Disposition::Revive;
                }
                self.failed(failure);
            }
        }
    }

    /// Where a partition begins for which no offset is committed, or whose log does not have this offset.
    fn start_by_policy(&self, partition: &TopicPartition, offset: i64) -> Result<Start> {
        if self.instance.layout.is_repartition(&partition.topic) {
            return Ok(Start::Beginning);
        }
        let own = self.instance.layout.reset(&partition.topic);
        match own.unwrap_or(self.instance.settings.reset) {
            ResetPolicy::Earliest => Ok(Start::Beginning),
            ResetPolicy::Latest => Ok(Start::End),
            ResetPolicy::None => Err(Error::OffsetOutOfRange {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset,
            }),
            ResetPolicy::ByDuration(age) => {
                let time = now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
                let wanted = [(partition.clone(), OffsetSpec::Timestamp(time))];
                let found = self
                    .instance
                    .client
                    .admin()
                    .list_offsets(&wanted, Isolation::ReadUncommitted)
                    .and_then(|mut found| found.remove(partition).transpose())
                    .map_err(|source| Error::Client {
                        action: format!("find the offset of {partition} by time"),
                        source: source.into(),
                    })?;
                Ok(found.and_then(|found| found.offset).map_or(Start::End, Start::Offset))
            }
        }
    }
}
