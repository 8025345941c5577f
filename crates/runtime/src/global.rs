//! The global thread: it fills global stores from their topics before any task runs, and keeps them up to date.
//!
//! The thread owns the stores. Stream threads read through handles of their own and never wait for it, see
//! [`StoreReader`]: it commits what it applied, they take over what was committed once a turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kstreams_client::admin::OffsetSpec;
use kstreams_client::{Consumer, ConsumerEvent, Start};
use kstreams_store::{GLOBAL, State, StoreReader, StoreSpec};
use kstreams_task::GlobalTask;
use kstreams_topology::TaskId;
use kstreams_topology::blueprint::{GraphScope, Subtopology, TaskEnvironment};
use kstreams_topology::graph::ErrorHandlers;
use kstreams_wire::TopicPartition;
use tracing::{info, info_span, warn};

use crate::error::{Disposition, Error, Result};
use crate::instance::Instance;
use crate::output::now_ms;
use crate::thread::caught;

/// How long the consumer may wait for records while a commit waits for readers.
const POLL_WHILE_PENDING: Duration = Duration::from_millis(10);

/// While the stores are filled, they are committed when this many bytes wait.
const BOOTSTRAP_BYTES: usize = 4 << 20;

/// The global stores of an instance, to be read.
#[derive(Default)]
pub(crate) struct Globals(Vec<StoreReader>);

impl Globals {
    /// A handle on a store.
    pub(crate) fn open(&self, spec: &StoreSpec) -> kstreams_store::Result<State> {
        let reader = self.0.iter().find(|reader| reader.name() == spec.name);
        reader
            .expect("global stores are filled before tasks are opened")
            .state()
    }

    /// What a global store is read by, if this is one.
    pub(crate) fn reader(&self, store: &str) -> Option<&StoreReader> {
        self.0.iter().find(|reader| reader.name() == store)
    }

    fn put(&mut self, reader: StoreReader) {
        self.0.retain(|other| other.name() != reader.name());
        self.0.push(reader);
    }
}

/// Starts the global thread, and returns when its stores have all that their topics had.
pub(crate) fn start(instance: &Arc<Instance>) -> Result<(Globals, JoinHandle<()>)> {
    let name = format!("{}-GlobalStreamThread", instance.client_id);
    let (ready, bootstrapped) = sync_channel(1);
    let thread = {
        let (instance, name) = (instance.clone(), name.clone());
        let started = std::thread::Builder::new().name(name.clone());
        started.spawn(move || live(&instance, &name, &ready))
    };
    let thread = thread.map_err(|source| Error::Thread {
        name: name.clone(),
        source,
    })?;
    match bootstrapped.recv() {
        Ok(Ok(globals)) => Ok((globals, thread)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Panicked {
            thread: name,
            message: "it ended before its stores were filled".to_owned(),
        }),
    }
}

/// The whole life of the global thread.
fn live(instance: &Arc<Instance>, name: &str, ready: &SyncSender<Result<Globals>>) {
    let span = info_span!("thread", name);
    let _entered = span.enter();
    let filled = caught(name, || {
        let mut thread = GlobalThread::new(instance.clone());
        let globals = thread.bootstrap()?;
        Ok((thread, globals))
    });
    // Whoever starts the instance waits for the answer.
    let mut thread = match filled {
        Ok((thread, globals)) => {
            instance.global_wakes_by(thread.consumer.waker());
            let _ = ready.send(Ok(globals));
            thread
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let ended = caught(name, || thread.run());
    let closed = caught(name, || thread.close());
    if let Err(error) = ended.and(closed) {
        instance.global_failed(&error);
    }
    info!("global thread ended");
}

struct GlobalThread {
    instance: Arc<Instance>,
    consumer: Consumer,
    tasks: Vec<GlobalTask>,
    /// Whether undecodable records are the handler's affair: what the topics had before the start is not to prevent it.
    filled: Arc<AtomicBool>,
    /// Whether readers kept the last commit waiting.
    pending: bool,
}

impl GlobalThread {
    fn new(instance: Arc<Instance>) -> Self {
        Self {
            consumer: instance.client.consumer(instance.settings.global_consumer.clone()),
            instance,
            tasks: Vec::new(),
            filled: Arc::default(),
            pending: false,
        }
    }

    /// Opens the stores and reads their topics to where they end now.
    fn bootstrap(&mut self) -> Result<Globals> {
        let since = Instant::now();
        let mut globals = Globals::default();
        let instance = self.instance.clone();
        let mut records = 0;
        for part in &instance.layout.parts.globals {
            let partitions = self.patiently(|thread| thread.partitions(part))?;
            let ends = self.patiently(|thread| thread.ends(&partitions))?;
            // At most once: a store that is empty reads from the beginning, which every log has.
            for _ in 0..2 {
                let task = self.open(part, &partitions, &mut globals)?;
                self.tasks.push(task);
                match self.fill(&ends)? {
                    Filled::Records(count) => {
                        records += count;
                        break;
                    }
                    Filled::Unusable => self.wipe(part)?,
                }
            }
        }
        info!(
            records,
            millis = since.elapsed().as_millis() as u64,
            "global stores filled"
        );
        self.filled.store(true, Ordering::Relaxed);
        Ok(globals)
    }

    /// Applies what comes until the instance stops.
    fn run(&mut self) -> Result<()> {
        while !self.instance.is_stopping() {
            let timeout = if self.pending {
                POLL_WHILE_PENDING
            } else {
                self.instance.settings.thread.poll_timeout
            };
            for event in self.consumer.poll(timeout) {
                if let Applied::OutOfRange(partition, offset) = self.apply(event)? {
                    return Err(Error::GlobalOffset { partition, offset });
                }
            }
            self.commit()?;
            self.pause_or_resume();
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        for mut task in std::mem::take(&mut self.tasks) {
            task.commit().map_err(failed)?;
            task.close().map_err(failed)?;
        }
        Ok(())
    }

    /// All partitions of a part's topics.
    fn partitions(&mut self, part: &Subtopology) -> Result<Vec<TopicPartition>> {
        let topics: Vec<_> = part.source_topics.iter().cloned().collect();
        let admin = self.instance.client.admin();
        let described = admin.describe_topics(&topics).map_err(|source| Error::Client {
            action: "ask for the topics of global stores".to_owned(),
            source: source.into(),
        })?;
        let mut partitions = Vec::new();
        let mut missing = Vec::new();
        for (topic, found) in described {
            match found {
                Ok(found) if !found.partitions.is_empty() => {
                    let count = found.partitions.len() as i32;
                    partitions.extend((0..count).map(|at| TopicPartition::new(topic.clone(), at)));
                }
                _ => missing.push(topic.to_string()),
            }
        }
        if missing.is_empty() {
            return Ok(partitions);
        }
        Err(Error::MissingSourceTopics { topics: missing })
    }

    /// Where partitions end.
    fn ends(&mut self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>> {
        let failed = |source: kstreams_client::Error| Error::Client {
            action: "find the ends of the topics of global stores".to_owned(),
            source: source.into(),
        };
        let wanted: Vec<_> = partitions.iter().map(|p| (p.clone(), OffsetSpec::Latest)).collect();
        let admin = self.instance.client.admin();
        // Behind an open transaction nothing is read: what it wrote comes when it is decided.
        let isolation = self.instance.settings.global_consumer.isolation;
        let listed = admin.list_offsets(&wanted, isolation).map_err(failed)?;
        listed
            .into_iter()
            .map(|(partition, end)| Ok((partition, end.map_err(failed)?.offset.unwrap_or(0))))
            .collect()
    }

    /// Opens the stores of a part, and adds their readers.
    fn open(&self, part: &Subtopology, partitions: &[TopicPartition], globals: &mut Globals) -> Result<GlobalTask> {
        let instance = &self.instance;
        let environment = TaskEnvironment {
            task: TaskId::new(part.id, 0),
            application_id: &instance.settings.application_id,
            handlers: self.handlers(),
            emit_interval_ms: crate::tasks::EMIT_INTERVAL_MS,
            read_global: &mut |spec| unreachable!("store {} is global, and parts that fill such read none", spec.name),
            open_store: &mut |spec, _| {
                let (state, reader) = instance.storage.global(spec)?;
                globals.put(reader);
                Ok(state)
            },
        };
        let scope = GraphScope::Subtopology(part.id);
        let graph = instance
            .topology
            .build_graph(scope, environment)
            .map_err(Error::Topology)?;
        GlobalTask::new(graph, partitions, now_ms()).map_err(failed)
    }

    fn handlers(&self) -> ErrorHandlers {
        let filled = self.filled.clone();
        let asked = self.instance.handlers.deserialization.clone();
        let skip = ErrorHandlers::log_and_continue().deserialization;
        let mut handlers =
            ErrorHandlers::default().on_deserialization(move |failure| match filled.load(Ordering::Relaxed) {
                true => asked(failure),
                false => skip(failure),
            });
        if self.instance.settings.errors.processing_of_globals {
            handlers.processing = self.instance.handlers.processing.clone();
        }
        handlers.without_dead_letters()
    }

    /// Reads the topics of the task opened last to these ends.
    fn fill(&mut self, ends: &BTreeMap<TopicPartition, i64>) -> Result<Filled> {
        let Some(task) = self.tasks.last() else {
            return Ok(Filled::Records(0));
        };
        let mut starts = Vec::new();
        for (partition, next) in task.positions() {
            let end = ends.get(partition).copied().unwrap_or(0);
            if next.is_some_and(|next| next > end) {
                warn!(%partition, ?next, end, "the topic ends before its global store does");
                return Ok(Filled::Unusable);
            }
            starts.push((partition.clone(), next.map_or(Start::Beginning, Start::Offset)));
        }
        self.consumer.assign(&starts);
        let mut records = 0;
        let mut progressed = Instant::now();
        loop {
            let behind = |(partition, end): (&TopicPartition, &i64)| {
                self.consumer.position(partition).map_or(*end > 0, |at| at < *end)
            };
            if !ends.iter().any(behind) || self.instance.is_stopping() {
                break;
            }
            let before = records;
            for event in self.consumer.poll(self.instance.settings.thread.poll_timeout) {
                match self.apply(event)? {
                    Applied::Records(count) => records += count,
                    Applied::OutOfRange(partition, offset) => {
                        warn!(%partition, offset, "the topic has no such offset any more");
                        return Ok(Filled::Unusable);
                    }
                }
            }
            if self
                .tasks
                .iter_mut()
                .any(|task| task.uncommitted_bytes() >= BOOTSTRAP_BYTES)
            {
                self.commit()?;
            }
            if records > before {
                progressed = Instant::now();
            } else if progressed.elapsed() > self.instance.settings.thread.task_timeout {
                return Err(Error::GlobalStalled {
                    topics: starts.iter().map(|(partition, _)| partition.to_string()).collect(),
                });
            }
        }
        self.commit()?;
        Ok(Filled::Records(records))
    }

    /// Throws away the stores of the task opened last: their topics do not reach back to where they stand.
    fn wipe(&mut self, part: &Subtopology) -> Result<()> {
        if let Some(task) = self.tasks.pop() {
            let partitions: Vec<_> = task.positions().map(|(partition, _)| partition.clone()).collect();
            self.consumer.unassign(&partitions);
            task.close().map_err(failed)?;
        }
        for store in &part.stores {
            let deleted = self.instance.storage.delete_store(GLOBAL, &store.spec.name);
            deleted.map_err(|source| Error::Store {
                action: format!("delete global store {}, which is to be built anew", store.spec.name),
                source: source.into(),
            })?;
        }
        Ok(())
    }

    fn apply(&mut self, event: ConsumerEvent) -> Result<Applied> {
        match event {
            ConsumerEvent::Fetched {
                partition,
                records,
                next_offset,
                ..
            } => {
                let Some(task) = self.tasks.iter_mut().find(|task| task.reads(&partition)) else {
                    return Ok(Applied::Records(0));
                };
                let applied = task.update(&partition, records, next_offset, now_ms());
                applied.map(Applied::Records).map_err(failed)
            }
            ConsumerEvent::OutOfRange { partition, offset } | ConsumerEvent::CutOff { partition, offset, .. } => {
                Ok(Applied::OutOfRange(partition, offset))
            }
            ConsumerEvent::NoOffset { partition } => Ok(Applied::OutOfRange(partition, -1)),
            ConsumerEvent::Error(source) => Err(Error::Client {
                action: "read the topics of global stores".to_owned(),
                source: source.into(),
            }),
            _ => Ok(Applied::Records(0)),
        }
    }

    fn commit(&mut self) -> Result<()> {
        self.pending = false;
        for task in &mut self.tasks {
            self.pending |= !task.commit().map_err(failed)?;
        }
        Ok(())
    }

    /// What waits for readers is bounded.
    fn pause_or_resume(&mut self) {
        let waiting: usize = self.tasks.iter_mut().map(GlobalTask::uncommitted_bytes).sum();
        let partitions: Vec<_> = self.consumer.assignment().cloned().collect();
        if waiting > self.instance.settings.commit.uncommitted_bytes_max {
            self.consumer.pause(&partitions);
        } else {
            self.consumer.resume(&partitions);
        }
    }

    /// Tries until it works, it cannot work, or the time for it is up.
    fn patiently<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        let since = Instant::now();
        let settings = &self.instance.settings;
        let (patience, wait) = (settings.thread.task_timeout, settings.topics.retry_backoff);
        loop {
            match attempt(self) {
                Err(error) if error.disposition() == Disposition::Retry && since.elapsed() < patience => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "filling global stores; trying again"
                    );
                    std::thread::sleep(wait);
                }
                done => return done,
            }
        }
    }
}

/// What came of filling stores.
enum Filled {
    /// They have everything; so many records were applied.
    Records(u64),
    /// Their topics do not reach back to where they stand.
    Unusable,
}

/// What came of an event.
enum Applied {
    Records(u64),
    OutOfRange(TopicPartition, i64),
}

fn failed(source: kstreams_task::Error) -> Error {
    Error::Global { source: source.into() }
}
