//! What the threads of one instance share: settings, connections, state directory, and the instance's life.
//!
//! * `mod`: start, close, and the states in between
//! * [`threads`]: the stream threads; they report where they are, and the instance's own state follows from that
//! * [`uncaught`]: what follows when one of them has failed
//!
//! No lock is held while user code runs.

mod threads;
mod uncaught;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kstreams_assignor::ProcessId;
use kstreams_client::{Client, Waker};
use kstreams_store::Storage;
use kstreams_topology::Topology;
use kstreams_topology::graph::ErrorHandlers;
use tracing::{info, warn};

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::global::{self, Globals};
use crate::housekeeping::Chores;
use crate::metrics::{Gauge, Metric, names};
use crate::query::hosts::Hosts;
use crate::rebalance::Layout;
use crate::rebalance::matched::Matched;
use crate::state::{Move, State};
pub(crate) use threads::ThreadPlace;
use threads::ThreadSlot;
pub use uncaught::StreamThreadExceptionResponse;
pub(crate) use uncaught::UncaughtHandler;

/// A move of the instance from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// Where it was.
    pub from: State,
    /// Where it is.
    pub to: State,
}

pub(crate) type Listener = Box<dyn Fn(StateChange) + Send + Sync>;
/// Shared by the façade and all threads of an instance.
pub(crate) struct Instance {
    pub(crate) settings: Settings,
    pub(crate) topology: Topology,
    pub(crate) layout: Arc<Layout>,
    /// The topics that patterns match.
    pub(crate) matched: Arc<Matched>,
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    pub(crate) process: ProcessId,
    pub(crate) client_id: String,
    pub(crate) chores: Chores,
    /// The stores that can be read.
    pub(crate) hosts: Hosts,
    listener: Option<Listener>,
    handler: Option<UncaughtHandler>,
    /// Asked about records that fail.
    pub(crate) handlers: ErrorHandlers,
    /// Set when threads are to stop; looked at once a turn.
    stopping: AtomicBool,
    /// Set when the members are to ask the whole application to shut down.
    announcing: AtomicBool,
    failed: Gauge,
    /// Set before the stream threads start.
    globals: OnceLock<Globals>,
    life: Mutex<Life>,
    changed: Condvar,
}

struct Life {
    state: State,
    threads: BTreeMap<usize, ThreadSlot>,
    /// The thread that fills global stores, and what wakes it.
    global: Option<JoinHandle<()>>,
    global_waker: Option<Waker>,
    /// Waits for the stream threads to end.
    closing: Option<JoinHandle<()>>,
}

/// What an instance is made of.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) topology: Topology,
    pub(crate) layout: Arc<Layout>,
    pub(crate) matched: Arc<Matched>,
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    pub(crate) process: ProcessId,
    pub(crate) client_id: String,
    pub(crate) chores: Chores,
    pub(crate) listener: Option<Listener>,
    pub(crate) handler: Option<UncaughtHandler>,
    pub(crate) handlers: ErrorHandlers,
}

impl Instance {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            layout: parts.layout,
            matched: parts.matched,
            settings: parts.settings,
            topology: parts.topology,
            client: parts.client,
            storage: parts.storage,
            process: parts.process,
            client_id: parts.client_id,
            chores: parts.chores,
            hosts: Hosts::default(),
            listener: parts.listener,
            handler: parts.handler,
            handlers: parts.handlers,
            stopping: AtomicBool::new(false),
            announcing: AtomicBool::new(false),
            failed: Gauge::default(),
            globals: OnceLock::new(),
            life: Mutex::new(Life {
                state: State::Created,
                threads: BTreeMap::new(),
                global: None,
                global_waker: None,
                closing: None,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.life().state
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn is_announcing_shutdown(&self) -> bool {
        self.announcing.load(Ordering::Relaxed)
    }

    /// Goes to REBALANCING and starts the stream threads.
    pub(crate) fn start(self: &Arc<Self>) -> Result<()> {
        let from = self.state();
        if from != State::Created || !self.go(State::Rebalancing) {
            return Err(Error::State {
                call: "start",
                state: from,
            });
        }
        self.fill_globals()
            .inspect_err(|_| self.stop_in_background(State::PendingError, State::Error))?;
        if self.layout.has_tasks() {
            for _ in 0..self.settings.thread.threads {
                self.add_stream_thread()?;
            }
        } else {
            // Threads without tasks would not even form a group.
            self.go(State::Running);
        }
        Ok(())
    }

    /// Starts the global thread, if there are global stores, and waits until it has filled them.
    fn fill_globals(self: &Arc<Self>) -> Result<()> {
        if self.layout.parts.globals.is_empty() {
            return Ok(());
        }
        let (globals, thread) = global::start(self)?;
        // The instance is started once.
        let _ = self.globals.set(globals);
        self.life().global = Some(thread);
        Ok(())
    }

    /// The global stores, to be read.
    pub(crate) fn globals(&self) -> &Globals {
        self.globals.get_or_init(Globals::default)
    }

    /// The global thread's consumer can be woken through this.
    pub(crate) fn global_wakes_by(&self, waker: Waker) {
        self.life().global_waker = Some(waker);
    }

    /// Stops everything and waits for it; `false` if that took longer than `timeout`.
    pub(crate) fn close(self: &Arc<Self>, timeout: Option<Duration>) -> Result<bool> {
        if let Some(thread) = self.current_thread() {
            return Err(Error::CloseFromStreamThread { thread });
        }
        self.stop_in_background(State::PendingShutdown, State::NotRunning);
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let closed = self.wait(deadline, State::is_final);
        if closed {
            self.join_closing();
        }
        Ok(closed)
    }

    /// Waits until the state is one of those; `false` if the deadline came first.
    pub(crate) fn wait(&self, deadline: Option<Instant>, until: impl Fn(State) -> bool) -> bool {
        let mut life = self.life();
        while !until(life.state) {
            life = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(life).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => {
                    let waited = self.changed.wait_timeout(life, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }

    /// Tells all threads to stop; a thread of its own waits for them, so that whoever asked may be one of them.
    fn stop_in_background(self: &Arc<Self>, pending: State, done: State) {
        if !self.go(pending) {
            return;
        }
        self.stopping.store(true, Ordering::Relaxed);
        let instance = self.clone();
        let name = format!("{}-CloseThread", self.client_id);
        let closing = std::thread::Builder::new().name(name).spawn(move || {
            instance.join_threads();
            instance.join_global();
            instance.chores.stop();
            instance.go(done);
        });
        match closing {
            Ok(closing) => self.life().closing = Some(closing),
            Err(error) => {
                warn!(%error, "no thread could be started to wait for the stream threads");
                self.go(done);
            }
        }
    }

    /// Lets the closing thread let go of this instance: whoever closes may open the same state directory right after.
    fn join_closing(&self) {
        let closing = self.life().closing.take();
        // A listener that is told of the last state, by the closing thread itself, may call, too.
        if let Some(closing) = closing.filter(|closing| closing.thread().id() != std::thread::current().id()) {
            // A panic was reported by the thread itself.
            let _ = closing.join();
        }
    }

    fn join_global(&self) {
        let (thread, waker) = {
            let mut life = self.life();
            (life.global.take(), life.global_waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        // A panic was reported by the thread itself.
        let _ = thread.map(JoinHandle::join);
    }

    /// Goes to a state, if the table allows it, and tells the listener.
    fn go(&self, to: State) -> bool {
        let from = {
            let mut life = self.life();
            let from = life.state;
            match from.moves_to(to) {
                Move::Allowed => life.state = to,
                Move::Refused => return false,
                Move::Illegal => {
                    warn!(%from, %to, "state change refused");
                    return false;
                }
            }
            from
        };
        if from != to {
            info!(application = %self.settings.application_id, %from, %to, "state changed");
        }
        if let Some(listener) = &self.listener {
            listener(StateChange { from, to });
        }
        self.changed.notify_all();
        true
    }

    /// The snapshot of all metrics.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let life = self.life();
        let tags = BTreeMap::from([("client-id", self.client_id.clone())]);
        let alive = life.threads.values().filter(|slot| slot.state.is_alive()).count();
        let mut metrics: Vec<Metric> = [
            (names::CLIENT_STATE, life.state as u64 as f64),
            (names::ALIVE_THREADS, alive as f64),
            (names::FAILED_THREADS, self.failed.value() as f64),
        ]
        .into_iter()
        .map(|(name, value)| Metric {
            group: names::STREAM,
            name,
            tags: tags.clone(),
            value,
        })
        .collect();
        for slot in life.threads.values() {
            slot.metrics.collect(&slot.name, &mut metrics);
        }
        metrics
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
