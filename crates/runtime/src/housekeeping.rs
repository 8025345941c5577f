//! What can wait and must not hold a stream thread up: deleting consumed repartition records and forgotten local state,
//! looking for topics that match a pattern.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kstreams_client::Client;
use kstreams_store::Storage;
use kstreams_topology::TaskId;
use kstreams_wire::TopicPartition;
use tracing::{debug, info, warn};

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::rebalance::Layout;
use crate::rebalance::matched::Matched;

/// Purges that may wait; more are dropped, because the next commit asks again.
const QUEUE: usize = 8;

/// The tasks that stream threads of this process have, so that no two have the same and nobody deletes what is in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<Mutex<BTreeSet<TaskId>>>);

impl Claims {
    /// Takes a task; `false` if another thread has it still.
    pub(crate) fn take(&self, task: TaskId) -> bool {
        self.set().insert(task)
    }

    /// Gives a task back.
    pub(crate) fn release(&self, task: TaskId) {
        self.set().remove(&task);
    }

    fn holds(&self, task: TaskId) -> bool {
        self.set().contains(&task)
    }

    fn set(&self) -> MutexGuard<'_, BTreeSet<TaskId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that does the chores, and what the stream threads tell it.
pub(crate) struct Chores {
    pub(crate) claims: Claims,
    wishes: SyncSender<Wish>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What there is to work on.
pub(crate) struct Work<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    pub(crate) layout: Arc<Layout>,
    pub(crate) matched: Arc<Matched>,
}

enum Wish {
    /// Delete what lies before these offsets.
    Purge(BTreeMap<TopicPartition, i64>),
    Stop,
}

impl Chores {
    pub(crate) fn start(work: Work<'_>) -> Result<Self> {
        let (wishes, inbox) = sync_channel(QUEUE);
        let claims = Claims::default();
        let has_patterns = !work.layout.parts.patterns.is_empty();
        let cleaner = Cleaner {
            claims: claims.clone(),
            client: work.client,
            storage: work.storage,
            layout: work.layout,
            matched: work.matched,
            look_every: has_patterns.then_some(work.settings.client.metadata_age_max),
            delay: work.settings.state.cleanup_delay,
            timeout: work.settings.client.request_timeout,
            unclaimed: BTreeMap::new(),
        };
        let name = format!("{}-CleanupThread", work.client_id);
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || cleaner.run(&inbox))
            .map_err(|source| Error::Thread { name, source })?;
        Ok(Self {
            claims,
            wishes,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Asks that repartition records before these offsets are deleted. Never waits.
    pub(crate) fn purge(&self, offsets: BTreeMap<TopicPartition, i64>) {
        // A full queue means that a purge is under way; the next one covers this.
        let _ = self.wishes.try_send(Wish::Purge(offsets));
    }

    /// Ends the thread and waits for it.
    pub(crate) fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Neither a thread that is gone nor one that panicked is to be told.
            let _ = self.wishes.send(Wish::Stop);
            let _ = thread.join();
        }
    }
}

struct Cleaner {
    claims: Claims,
    client: Client,
    storage: Storage,
    layout: Arc<Layout>,
    matched: Arc<Matched>,
    /// `metadata.max.age.ms`, if there are patterns.
    look_every: Option<Duration>,
    delay: Duration,
    timeout: Duration,
    /// Tasks on disk that nobody here has, and since when that is known.
    unclaimed: BTreeMap<TaskId, Instant>,
}

impl Cleaner {
    fn run(mut self, wishes: &Receiver<Wish>) {
        let mut clean_at = Instant::now() + self.delay;
        let mut look_at = self.look_every.map(|every| Instant::now() + every);
        loop {
            let next = look_at.map_or(clean_at, |look_at| look_at.min(clean_at));
            match wishes.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Wish::Purge(offsets)) => self.purge(&offsets),
                Ok(Wish::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if now >= clean_at {
                self.clean(now);
                clean_at = now + self.delay;
            }
            if look_at.is_some_and(|look_at| now >= look_at) {
                self.look();
                look_at = self.look_every.map(|every| now + every);
            }
        }
    }

    /// Looks for topics that match a pattern. Stream threads notice by themselves if there are others.
    fn look(&self) {
        let admin = self.client.admin().within(self.timeout);
        if let Err(error) = self.matched.look(&self.layout, &admin) {
            warn!(
                error = &error as &dyn std::error::Error,
                "could not look for topics; trying again later"
            );
        }
    }

    fn purge(&self, offsets: &BTreeMap<TopicPartition, i64>) {
        let before: Vec<_> = offsets
            .iter()
            .map(|(partition, offset)| (partition.clone(), Some(*offset)))
            .collect();
        match self.client.admin().within(self.timeout).delete_records(&before) {
            Ok(_) => debug!(partitions = offsets.len(), "consumed repartition records deleted"),
            Err(error) => warn!(%error, "consumed repartition records were not deleted; the next commit tries again"),
        }
    }

    /// Deletes the state of tasks that no thread here has had for the whole delay.
    fn clean(&mut self, now: Instant) {
        let tasks = match self.storage.tasks() {
            Ok(tasks) => tasks,
            Err(error) => return warn!(%error, "could not list local state"),
        };
        let idle: Vec<TaskId> = tasks
            .iter()
            .filter_map(|task| task.parse().ok())
            .filter(|task| !self.claims.holds(*task))
            .collect();
        self.unclaimed.retain(|task, _| idle.contains(task));
        for task in idle {
            let since = *self.unclaimed.entry(task).or_insert(now);
            if now.duration_since(since) < self.delay || !self.claims.take(task) {
                continue;
            }
            match self.storage.delete(&task.to_string()) {
                Ok(()) => info!(%task, "deleted local state that was not used for long"),
                Err(error) => warn!(%task, %error, "could not delete local state"),
            }
            self.claims.release(task);
            self.unclaimed.remove(&task);
        }
    }
}
