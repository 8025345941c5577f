//! The tasks of one stream thread: which there are, how far each has come, and how they are opened and closed.

pub(crate) mod deadlines;
pub(crate) mod diff;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kstreams_store::CacheBudget;
use kstreams_task::{ActiveTask, Close, TaskConfig};
use kstreams_topology::TaskId;
use kstreams_topology::blueprint::{GraphScope, TaskEnvironment};
use kstreams_topology::graph::ErrorHandlers;
use kstreams_wire::TopicPartition;
use tracing::{info, warn};

use crate::error::{Error, Result};
use crate::failure::{Failure, Hurdle};
use crate::instance::Instance;
use crate::metrics::{TaskMetrics, ThreadMetrics};
use deadlines::Deadlines;

/// The least time between two looks for closed windows and unmatched rows of outer joins, as in Java.
pub(crate) const EMIT_INTERVAL_MS: i64 = 1000;

/// How far a task has come.
pub(crate) enum Stage {
    /// Assigned, but its stores are still open elsewhere in this process.
    Waiting,
    /// Its stores are being brought up to date.
    Restoring(Box<ActiveTask>),
    /// It processes records.
    Running(Box<ActiveTask>),
}

/// A task that is assigned to this thread.
pub(crate) struct Owned {
    pub(crate) inputs: Vec<TopicPartition>,
    pub(crate) stage: Stage,
    pub(crate) metrics: Arc<TaskMetrics>,
}

/// The tasks of one stream thread, in the order in which they run.
pub(crate) struct Tasks {
    instance: Arc<Instance>,
    metrics: Arc<ThreadMetrics>,
    cache: CacheBudget,
    handlers: ErrorHandlers,
    owned: BTreeMap<TaskId, Owned>,
    /// Which of them fail at the moment.
    pub(crate) deadlines: Deadlines,
}

/// What came of opening tasks.
#[derive(Default)]
pub(crate) struct Opened {
    /// The tasks that have to be restored now.
    pub(crate) tasks: Vec<TaskId>,
    pub(crate) failures: Vec<Failure>,
}

impl Tasks {
    pub(crate) fn new(instance: Arc<Instance>, metrics: Arc<ThreadMetrics>, cache: CacheBudget) -> Self {
        let handlers = instance.handlers.clone();
        let deadlines = Deadlines::new(
            instance.settings.thread.task_timeout,
            instance.settings.topics.retry_backoff,
        );
        Self {
            deadlines,
            instance,
            metrics,
            cache,
            handlers,
            owned: BTreeMap::new(),
        }
    }

    pub(crate) fn ids(&self) -> BTreeSet<TaskId> {
        self.owned.keys().copied().collect()
    }

    /// The input partitions of each task.
    pub(crate) fn inputs(&self) -> diff::Inputs {
        let inputs = self.owned.iter().map(|(id, owned)| (*id, owned.inputs.clone()));
        inputs.collect()
    }

    /// The input partitions of a task.
    pub(crate) fn inputs_of(&self, id: TaskId) -> Vec<TopicPartition> {
        self.owned
            .get(&id)
            .map(|owned| owned.inputs.clone())
            .unwrap_or_default()
    }

    /// Takes a task on; it is opened by [`open`](Self::open).
    pub(crate) fn add(&mut self, task: TaskId, inputs: Vec<TopicPartition>) {
        let owned = Owned {
            inputs,
            stage: Stage::Waiting,
            metrics: self.metrics.task(task),
        };
        self.owned.insert(task, owned);
    }

    /// Opens the tasks that wait and whose stores are free.
    pub(crate) fn open(&mut self) -> Opened {
        let mut opened = Opened::default();
        let waiting: Vec<TaskId> = self
            .owned
            .iter()
            .filter(|(id, owned)| matches!(owned.stage, Stage::Waiting) && !self.deadlines.is_paused(**id))
            .map(|(task, _)| *task)
            .collect();
        for id in waiting {
            if !self.instance.chores.claims.take(id) {
                continue;
            }
            let inputs = self.inputs_of(id);
            match self.build(id, inputs) {
                Ok(task) => {
                    if let Some(owned) = self.owned.get_mut(&id) {
                        owned.stage = Stage::Restoring(Box::new(task));
                    }
                    self.metrics.tasks_created.add(1);
                    opened.tasks.push(id);
                }
                Err(error) => {
                    self.instance.chores.claims.release(id);
                    opened.failures.push(Failure::of_task(id, Hurdle::Start, error));
                }
            }
        }
        opened
    }

    fn build(&self, id: TaskId, inputs: Vec<TopicPartition>) -> Result<ActiveTask> {
        let instance = &self.instance;
        let name = id.to_string();
        let environment = TaskEnvironment {
            task: id,
            application_id: &instance.settings.application_id,
            handlers: self.handlers.clone(),
            emit_interval_ms: EMIT_INTERVAL_MS,
            read_global: &mut |spec| instance.globals().open(spec),
            open_store: &mut |spec, changelog| instance.storage.state(spec, &name, changelog, &self.cache),
        };
        let graph = instance
            .topology
            .build_graph(GraphScope::Subtopology(id.subtopology), environment)
            .map_err(|error| match error {
                kstreams_topology::Error::Store(source) => Error::Store {
                    action: format!("open the stores of task {id}"),
                    source,
                },
                error => Error::Topology(error),
            })?;
        let config = TaskConfig {
            buffered_records_max: instance.settings.thread.buffered_records_max,
            idle_ms_max: instance.settings.thread.task_idle_ms,
        };
        let task = ActiveTask::new(id, graph, &inputs, config);
        let begun = task.and_then(|mut task| task.start_restoring().map(|()| task));
        begun.map_err(|source| Error::Task {
            task: id,
            source: source.into(),
        })
    }

    /// Closes a task and gives it back.
    pub(crate) fn remove(&mut self, id: TaskId, close: Close) -> Result<()> {
        self.deadlines.forget(id);
        match self.owned.remove(&id) {
            Some(owned) => self.end(id, owned.stage, close),
            None => Ok(()),
        }
    }

    /// Closes a task without committing, and lets it wait to be opened again.
    pub(crate) fn revive(&mut self, id: TaskId) {
        let Some(owned) = self.owned.get_mut(&id) else { return };
        let stage = std::mem::replace(&mut owned.stage, Stage::Waiting);
        if let Err(error) = self.end(id, stage, Close::Dirty) {
            warn!(task = %id, error = &error as &dyn std::error::Error, "closing before revival failed");
        }
    }

    fn end(&mut self, id: TaskId, stage: Stage, close: Close) -> Result<()> {
        let (Stage::Restoring(mut task) | Stage::Running(mut task)) = stage else {
            return Ok(());
        };
        self.instance.hosts.strike(id);
        let suspended = task.suspend();
        let closed = suspended.and(task.close(close));
        self.instance.chores.claims.release(id);
        self.metrics.tasks_closed.add(1);
        info!(task = %id, ?close, "task closed");
        closed.map_err(|source| Error::Task {
            task: id,
            source: source.into(),
        })
    }

    /// Lets the tasks see what was committed to global stores since the last call. All tasks, also those that restore: who
    /// holds on to what was before keeps the global thread from writing.
    pub(crate) fn refresh_globals(&mut self) {
        for owned in self.owned.values_mut() {
            if let Stage::Restoring(task) | Stage::Running(task) = &mut owned.stage {
                task.refresh_globals();
            }
        }
    }

    pub(crate) fn get_mut(&mut self, id: TaskId) -> Option<&mut Owned> {
        self.owned.get_mut(&id)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (TaskId, &mut Owned)> {
        self.owned.iter_mut().map(|(id, owned)| (*id, owned))
    }

    /// The tasks that process records, in order.
    pub(crate) fn running(&mut self) -> impl Iterator<Item = (TaskId, &mut ActiveTask)> {
        self.owned.iter_mut().filter_map(|(id, owned)| match &mut owned.stage {
            Stage::Running(task) => Some((*id, &mut **task)),
            _ => None,
        })
    }

    /// The tasks that process records and do not pause for a failure, in order.
    pub(crate) fn ready(&mut self) -> impl Iterator<Item = (TaskId, &mut ActiveTask)> {
        let deadlines = &self.deadlines;
        self.owned.iter_mut().filter_map(|(id, owned)| match &mut owned.stage {
            Stage::Running(task) if !deadlines.is_paused(*id) => Some((*id, &mut **task)),
            _ => None,
        })
    }

    /// The tasks that did something since the last commit.
    pub(crate) fn writers(&mut self) -> BTreeSet<TaskId> {
        self.running()
            .filter_map(|(id, task)| (task.commit_needed() || task.uncommitted_bytes() > 0).then_some(id))
            .collect()
    }

    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.owned.is_empty()
    }

    /// Whether a task waits to be opened.
    pub(crate) fn has_waiting(&self) -> bool {
        self.owned.values().any(|owned| matches!(owned.stage, Stage::Waiting))
    }

    /// Whether every task processes records.
    pub(crate) fn all_run(&self) -> bool {
        self.owned
            .values()
            .all(|owned| matches!(owned.stage, Stage::Running(_)))
    }
}

impl Owned {
    /// The task, if it is restoring.
    pub(crate) fn restoring(&mut self) -> Option<&mut ActiveTask> {
        match &mut self.stage {
            Stage::Restoring(task) => Some(task),
            _ => None,
        }
    }

    /// The task, if it is running.
    pub(crate) fn running(&mut self) -> Option<&mut ActiveTask> {
        match &mut self.stage {
            Stage::Running(task) => Some(task),
            _ => None,
        }
    }

    /// Goes from restoring to running.
    pub(crate) fn run(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Restoring(task) => Stage::Running(task),
            other => other,
        };
    }
}
