//! A stream thread: one consumer, one producer, its tasks, and the loop that turns them.
//!
//! * `mod`: the life of the thread, and what errors lead to
//! * [`turn`]: one iteration: poll, admit, process, punctuate, commit
//! * [`events`]: what the consumer and the group say
//! * [`recovery`]: what is done about what failed
//! * [`state`], [`budget`], [`reaction`]: the parts that are pure

mod budget;
mod events;
mod reaction;
mod recovery;
mod state;
mod turn;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kstreams_client::{Consumer, Leave};
use kstreams_task::Close;
use kstreams_topology::Panic;
use kstreams_wire::TopicPartition;
use tracing::{info, info_span, warn};

use crate::commit::starts::Starts;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::instance::{Instance, ThreadPlace};
use crate::metrics::ThreadMetrics;
use crate::output::ProducerOutput;
use crate::query::hosts::{Desk, Question};
use crate::restore::Restorer;
use crate::state::Move;
use crate::tasks::Tasks;
use budget::Budget;
pub(crate) use state::ThreadState;

/// How long a thread that is to stop waits for the group to finish a rebalance, so that it can commit.
const REBALANCE_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long leaving the group and closing the producer may take.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// Starts a stream thread.
pub(crate) fn spawn(instance: Arc<Instance>, place: ThreadPlace) -> Result<JoinHandle<()>> {
    let name = place.name.clone();
    std::thread::Builder::new()
        .name(name.clone())
        .spawn(move || live(&instance, place))
        .map_err(|source| Error::Thread { name, source })
}

/// The whole life of a stream thread. However it ends, its tasks are closed and the instance is told.
fn live(instance: &Arc<Instance>, place: ThreadPlace) {
    let span = info_span!("thread", name = %place.name);
    let _entered = span.enter();
    let (index, name) = (place.index, place.name.clone());
    let mut thread = StreamThread::new(instance.clone(), place);
    let ended = caught(&name, || thread.run());
    let close = if ended.is_ok() { Close::Clean } else { Close::Dirty };
    let closed = caught(&name, || {
        thread.end(close);
        Ok(())
    });
    match ended.and(closed) {
        Ok(()) => instance.thread_moved(index, ThreadState::Dead),
        Err(error) => instance.thread_failed(index, &error),
    }
}

/// Makes an error of a panic.
pub(crate) fn caught<T>(thread: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(Error::Panicked {
            thread: thread.to_owned(),
            message: Panic::of(panic.as_ref()).message,
        })
    })
}

/// One stream thread.
struct StreamThread {
    instance: Arc<Instance>,
    metrics: Arc<ThreadMetrics>,
    index: usize,
    /// Set when this thread is to stop while others go on.
    removed: Arc<AtomicBool>,
    state: ThreadState,
    /// Which of the topics that match patterns the group was told of.
    matched: u64,
    consumer: Consumer,
    output: ProducerOutput,
    tasks: Tasks,
    restorer: Restorer,
    budget: Budget,
    /// Partitions that were full when records came in; those still full at the end of the turn are paused.
    full: Vec<TopicPartition>,
    /// Repartition records before these offsets are consumed and may be deleted.
    consumed: BTreeMap<TopicPartition, i64>,
    /// What failed in this turn.
    failures: Vec<Failure>,
    /// Where partitions were begun that no transaction has committed yet.
    starts: Starts,
    times: Times,
    /// Where others leave what they want to read of its stores, and how they know of it.
    desk: Desk,
    questions: Receiver<Question>,
}

/// When things were last done.
struct Times {
    polled: Instant,
    committed: Instant,
    purged: Instant,
    summarised: Instant,
    /// When the stores were last asked how much they hold uncommitted.
    weighed: Instant,
    /// Whether the last turn processed anything.
    busy: bool,
    /// Whether something came in since the last commit.
    uncommitted: bool,
}

impl StreamThread {
    fn new(instance: Arc<Instance>, place: ThreadPlace) -> Self {
        let settings = &instance.settings;
        let consumer = instance.client.consumer(settings.main_consumer.clone());
        instance.thread_wakes_by(place.index, consumer.waker());
        let (desk, questions) = Desk::of_this_thread(consumer.waker());
        let now = Instant::now();
        Self {
            desk,
            questions,
            index: place.index,
            state: ThreadState::Created,
            matched: instance.matched.version(),
            consumer,
            output: ProducerOutput::new(
                instance
                    .client
                    .producer(settings.producer(instance.process, place.index)),
                settings.guarantee,
                instance.handlers.production.clone(),
            ),
            tasks: Tasks::new(instance.clone(), place.metrics.clone(), place.cache),
            removed: place.removed,
            restorer: Restorer::new(&instance),
            budget: Budget::new(settings.group.poll_interval_max),
            full: Vec::new(),
            consumed: BTreeMap::new(),
            failures: Vec::new(),
            starts: Starts::default(),
            times: Times {
                polled: now,
                committed: now,
                purged: now,
                summarised: now,
                weighed: now,
                busy: false,
                uncommitted: false,
            },
            metrics: place.metrics,
            instance,
        }
    }

    /// Turns until it is told to stop, or until an error asks for that.
    fn run(&mut self) -> Result<()> {
        self.go(ThreadState::Starting);
        let mut group = self.instance.settings.group.clone();
        group.instance_id = group.instance_id.map(|id| format!("{id}-{}", self.index));
        self.consumer.join(group);
        while !self.instance.is_stopping() && !self.is_removed() {
            if self.instance.is_announcing_shutdown() {
                self.consumer.rejoin("the application is to shut down");
            }
            if self.matched != self.instance.matched.version() {
                self.matched = self.instance.matched.version();
                self.abandon_gone();
                self.consumer.rejoin("other topics match the patterns");
            }
            self.turn();
            self.react()?;
        }
        self.go(ThreadState::PendingShutdown);
        self.finish();
        Ok(())
    }

    /// Commits for the last time, if the group lets it.
    fn finish(&mut self) {
        let deadline = Instant::now() + REBALANCE_WAIT_MAX;
        while self.consumer.is_rebalancing() && self.has_uncommitted() && Instant::now() < deadline {
            self.turn();
            if !self.failures.is_empty() {
                break;
            }
        }
        self.commit_now();
        if !self.failures.is_empty() {
            warn!("not everything could be committed at the end: it will be done again");
            for task in self.tasks.ids() {
                self.close_task(task, Close::Dirty);
            }
        }
    }

    fn has_uncommitted(&mut self) -> bool {
        self.tasks.running().any(|(_, task)| task.commit_needed())
    }

    /// Lets others read what they asked for: between passes, when every store is whole.
    fn answer(&mut self) {
        while let Ok(Question { task, store, ask }) = self.questions.try_recv() {
            let running = self.tasks.get_mut(task).and_then(|owned| owned.running());
            ask(running.and_then(|task| task.graph().stores().find(|state| state.name() == store)));
        }
    }

    /// Closes what is left and says farewell.
    fn end(mut self, close: Close) {
        self.go(ThreadState::PendingShutdown);
        for task in self.tasks.ids() {
            self.restorer.forget(task);
            self.close_task(task, close);
        }
        self.answer();
        let leave = if self.is_removed() {
            Leave::Always
        } else {
            Leave::IfDynamic
        };
        if let Err(error) = self.consumer.leave(leave, FAREWELL_MAX) {
            warn!(%error, "leaving the group failed: it waits for the session to end");
        }
        // What was sent before a failure is to arrive, the dead letters of the failure among it.
        if let Err(error) = self.output.close(FAREWELL_MAX) {
            warn!(%error, "the producer had undelivered records");
        }
        info!("stream thread ended");
    }

    fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    fn close_task(&mut self, task: kstreams_topology::TaskId, close: Close) {
        if let Err(error) = self.tasks.remove(task, close) {
            warn!(%task, error = &error as &dyn std::error::Error, "closing failed");
        }
    }

    /// Goes to a state, if the table allows it, and tells the instance.
    fn go(&mut self, to: ThreadState) {
        match self.state.moves_to(to) {
            Move::Allowed => {
                info!(from = %self.state, %to, "state changed");
                self.state = to;
                self.instance.thread_moved(self.index, to);
            }
            Move::Refused => {}
            Move::Illegal => warn!(from = %self.state, %to, "state change refused"),
        }
    }
}
