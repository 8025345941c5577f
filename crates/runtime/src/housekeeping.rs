//! What can wait and must not hold a stream thread up: deleting consumed repartition records and forgotten local state.

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

enum Wish {
    /// Delete what lies before these offsets.
    Purge(BTreeMap<TopicPartition, i64>),
    Stop,
}

impl Chores {
    pub(crate) fn start(client_id: &str, settings: &Settings, client: Client, storage: Storage) -> Result<Self> {
        let (wishes, inbox) = sync_channel(QUEUE);
        let claims = Claims::default();
        let cleaner = Cleaner {
            claims: claims.clone(),
            client,
            storage,
            delay: settings.state.cleanup_delay,
            timeout: settings.client.request_timeout,
            unclaimed: BTreeMap::new(),
        };
        let name = format!("{client_id}-CleanupThread");
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
    delay: Duration,
    timeout: Duration,
    /// Tasks on disk that nobody here has, and since when that is known.
    unclaimed: BTreeMap<TaskId, Instant>,
}

impl Cleaner {
    fn run(mut self, wishes: &Receiver<Wish>) {
        let mut clean_at = Instant::now() + self.delay;
        loop {
            match wishes.recv_timeout(clean_at.saturating_duration_since(Instant::now())) {
                Ok(Wish::Purge(offsets)) => self.purge(&offsets),
                Ok(Wish::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    self.clean(now);
                    clean_at = now + self.delay;
                }
            }
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
