//! Counters under Kafka's names. Threads count in plain fields and publish once a turn, so that no record pays for it.

pub mod names;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kstreams_topology::TaskId;

/// One value of the snapshot that `KafkaStreams::metrics` takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Kafka's group, such as `stream-thread-metrics`.
    pub group: &'static str,
    /// Kafka's name, such as `process-total`.
    pub name: &'static str,
    /// What it is measured on: `client-id`, `thread-id`, `task-id`.
    pub tags: BTreeMap<&'static str, String>,
    /// The value.
    pub value: f64,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.group, self.name)?;
        for (tag, value) in &self.tags {
            write!(f, " {tag}={value}")?;
        }
        write!(f, " {}", self.value)
    }
}

/// A number that one thread sets and others read.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a stream thread counts.
#[derive(Debug, Default)]
pub(crate) struct ThreadMetrics {
    pub(crate) state: Gauge,
    pub(crate) processed: Gauge,
    pub(crate) polls: Gauge,
    pub(crate) punctuations: Gauge,
    pub(crate) commits: Gauge,
    pub(crate) tasks_created: Gauge,
    pub(crate) tasks_closed: Gauge,
    tasks: Mutex<BTreeMap<TaskId, Arc<TaskMetrics>>>,
}

/// What is counted per task.
#[derive(Debug, Default)]
pub(crate) struct TaskMetrics {
    pub(crate) processed: Gauge,
    pub(crate) dropped: Gauge,
    pub(crate) restored: Gauge,
    pub(crate) restore_remaining: Gauge,
}

impl ThreadMetrics {
    /// The counters of a task; they go on where they were if it was here before.
    pub(crate) fn task(&self, task: TaskId) -> Arc<TaskMetrics> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.entry(task).or_default().clone()
    }

    /// Appends this thread's metrics to a snapshot.
    pub(crate) fn collect(&self, thread: &str, out: &mut Vec<Metric>) {
        let tags = BTreeMap::from([("thread-id", thread.to_owned())]);
        let mut push = |group, name, tags: &BTreeMap<&'static str, String>, value: &Gauge| {
            out.push(Metric {
                group,
                name,
                tags: tags.clone(),
                value: value.value() as f64,
            });
        };
        for (name, value) in [
            (names::THREAD_STATE, &self.state),
            (names::PROCESS, &self.processed),
            (names::POLL, &self.polls),
            (names::PUNCTUATE, &self.punctuations),
            (names::COMMIT, &self.commits),
            (names::TASK_CREATED, &self.tasks_created),
            (names::TASK_CLOSED, &self.tasks_closed),
        ] {
            push(names::THREAD, name, &tags, value);
        }
        for (task, counters) in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut tags = tags.clone();
            tags.insert("task-id", task.to_string());
            for (name, value) in [
                (names::PROCESS, &counters.processed),
                (names::DROPPED, &counters.dropped),
                (names::RESTORED, &counters.restored),
                (names::RESTORE_REMAINING, &counters.restore_remaining),
            ] {
                push(names::TASK, name, &tags, value);
            }
        }
    }
}
