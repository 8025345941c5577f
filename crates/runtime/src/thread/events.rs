//! What the consumer and the group say, and what the thread does about it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kstreams_client::admin::OffsetSpec;
use kstreams_client::consume::Isolation;
use kstreams_client::{ConsumerEvent, GroupEvent, Start};
use kstreams_task::{Admission, Close, Input};
use kstreams_topology::TaskId;
use kstreams_topology::blueprint::ResetPolicy;
use kstreams_wire::batch::Records;
use kstreams_wire::{TopicName, TopicPartition};
use tracing::{debug, info, warn};

use super::{StreamThread, ThreadState};
use crate::error::{Error, Result};
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
    pub(super) fn on_event(&mut self, event: ConsumerEvent) -> Result<()> {
        match event {
            ConsumerEvent::Fetched {
                partition,
                records,
                next_offset,
                ..
            } => self.admit(&partition, records, next_offset),
            ConsumerEvent::OutOfRange { partition, offset } => self.reset(&partition, offset),
            ConsumerEvent::NoOffset { partition } => self.reset(&partition, -1),
            ConsumerEvent::Group(event) => self.on_group(event),
            ConsumerEvent::GroupFailed(source) => Err(Error::Client {
                action: "take part in the group".to_owned(),
                source: source.into(),
            }),
            ConsumerEvent::Error(source) => Err(Error::Client {
                action: "read the source topics".to_owned(),
                source: source.into(),
            }),
            other => {
                debug!(?other, "event ignored");
                Ok(())
            }
        }
    }

    /// Hands fetched batches to the task that reads them.
    fn admit(&mut self, partition: &TopicPartition, records: Vec<Records>, next_offset: i64) -> Result<()> {
        let Some(id) = self.instance.layout.task(partition) else {
            return Ok(());
        };
        let Some(task) = self.tasks.get_mut(id).and_then(|owned| owned.running()) else {
            return Ok(());
        };
        let admission = task
            .add_records(partition, records, next_offset)
            .map_err(|source| Error::Task {
                task: id,
                source: source.into(),
            })?;
        if admission == Admission::Full {
            self.full.push(partition.clone());
        }
        self.times.uncommitted = true;
        Ok(())
    }

    fn on_group(&mut self, event: GroupEvent) -> Result<()> {
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
                Ok(())
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
                Ok(())
            }
            GroupEvent::Assigned {
                generation,
                assigned,
                user_data,
                ..
            } => {
                info!(generation, partitions = assigned.len(), "assigned");
                self.take_over(&assigned, &user_data)
            }
            GroupEvent::Lost => {
                warn!("the group counts this thread out; its tasks may be run elsewhere");
                self.lose();
                Ok(())
            }
            other => {
                debug!(?other, "group event ignored");
                Ok(())
            }
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
            self.grow(task, inputs)?;
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

    /// Commits, then closes these tasks. What could not be committed is done again by whoever gets them.
    fn give_up(&mut self, close: Vec<TaskId>) {
        self.go(ThreadState::PartitionsRevoked);
        let needed = self
            .tasks
            .running()
            .any(|(id, task)| close.contains(&id) && task.commit_needed());
        let how = match if needed { self.commit_now().map(|_| ()) } else { Ok(()) } {
            Ok(()) => Close::Clean,
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "commit failed while giving tasks up"
                );
                Close::Dirty
            }
        };
        for task in close {
            let inputs = self
                .tasks
                .get_mut(task)
                .map(|owned| owned.inputs.clone())
                .unwrap_or_default();
            self.consumer.unassign(&inputs);
            self.full.retain(|partition| !inputs.contains(partition));
            self.restorer.forget(task);
            self.close_task(task, how);
        }
    }

    /// Opens tasks that wait, and begins to restore them.
    pub(super) fn open_tasks(&mut self) -> Result<()> {
        if self.tasks.has_waiting() {
            for id in self.tasks.open()? {
                if let Some(task) = self.tasks.get_mut(id).and_then(|owned| owned.restoring()) {
                    self.restorer.add(id, task.changelogs());
                }
            }
        }
        if self.state == ThreadState::PartitionsAssigned && self.tasks.all_run() && !self.restorer.is_busy() {
            self.go(ThreadState::Running);
        }
        Ok(())
    }

    /// Reads changelogs for a moment; tasks that are through begin to run.
    pub(super) fn restore(&mut self) -> Result<()> {
        if !self.restorer.is_busy() {
            return Ok(());
        }
        let idle = !self.times.busy && !self.tasks.all_run();
        let timeout = if idle {
            self.instance.settings.thread.poll_timeout
        } else {
            Duration::ZERO
        };
        let ready = self.restorer.step(&mut self.tasks, &mut self.consumer, timeout)?;
        for (task, store) in self.restorer.take_broken() {
            self.rebuild(task, &store)?;
        }
        for restored in ready {
            if self
                .tasks
                .get_mut(restored.task)
                .is_none_or(|owned| owned.restoring().is_none())
            {
                continue;
            }
            self.begin_to_run(restored.task)?;
            info!(
                task = %restored.task,
                records = restored.records,
                millis = restored.took.as_millis() as u64,
                "state restored"
            );
            self.restorer.forget(restored.task);
        }
        self.open_tasks()
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

    /// Lets a task read further partitions: topics that match a source's pattern appeared. One that does not run yet is
    /// opened anew with them.
    fn grow(&mut self, id: TaskId, new: Vec<TopicPartition>) -> Result<()> {
        let Some(owned) = self.tasks.get_mut(id) else {
            return Ok(());
        };
        owned.inputs.extend(new.iter().cloned());
        if owned.running().is_none() {
            self.restorer.forget(id);
            self.tasks.revive(id);
            return Ok(());
        }
        let Committed { inputs, starts } = self.committed(id, &new)?;
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
            task.complete_restoration(&inputs, now_ms(), &mut self.output)
                .map_err(|source| Error::Task {
                    task: id,
                    source: source.into(),
                })?;
        }
        owned.run();
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
            .committed(partitions, limit)
            .map_err(|source| Error::Client {
                action: format!("read the committed offsets of task {id}"),
                source: source.into(),
            })?;
        let mut inputs = Vec::new();
        let mut starts = Vec::new();
        for partition in partitions {
            let committed = committed.get(partition);
            let start = match committed {
                Some(committed) => Start::Offset(committed.offset),
                None => self.start_by_policy(partition, -1)?,
            };
            starts.push((partition.clone(), start));
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
    fn reset(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        let start = self.start_by_policy(partition, offset)?;
        warn!(%partition, offset, ?start, "the log has no such offset");
        self.consumer.seek(partition, start);
        Ok(())
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
