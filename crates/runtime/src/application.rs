//! The application as its user holds it: start, close, state, handlers, metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kstreams_assignor::ProcessId;
use kstreams_client::Client;
use kstreams_store::{EngineKind, Storage, StorageConfig};
use kstreams_topology::Topology;
use kstreams_topology::graph::ErrorHandlers;
use kstreams_topology::stores::ReadableStore;
use tracing::info;

use crate::config::{Settings, StreamsConfig};
use crate::error::{Error, Result};
use crate::housekeeping::{Chores, Work};
use crate::instance::{Instance, Listener, Parts, StateChange, StreamThreadExceptionResponse, UncaughtHandler};
use crate::metrics::Metric;
use crate::query::{IsolationLevel, ReadOnlyStore};
use crate::rebalance::Layout;
use crate::rebalance::matched::Matched;
use crate::state::State;

/// One instance of a stream processing application. Several instances with the same `application.id` share the work.
///
/// An instance that is dropped is closed first.
pub struct KafkaStreams {
    stage: Stage,
}

/// Handlers can be set until the threads share them.
enum Stage {
    Built(Box<Built>),
    Started(Arc<Instance>),
}

struct Built {
    settings: Settings,
    topology: Topology,
    storage: Storage,
    process: ProcessId,
    client_id: String,
    listener: Option<Listener>,
    handler: Option<UncaughtHandler>,
    handlers: ErrorHandlers,
    closed: bool,
}

impl KafkaStreams {
    /// An instance that runs `topology`. Checks the configuration and takes the state directory; no broker is asked yet.
    pub fn new(topology: Topology, config: StreamsConfig) -> Result<Self> {
        let settings = Settings::parse(&config)?;
        let proposed = uuid::Uuid::new_v4();
        let storage = open(&settings, &topology, &proposed.to_string())?;
        let kept = storage.process_id().and_then(|id| uuid::Uuid::parse_str(id).ok());
        let process = kept.unwrap_or(proposed);
        let client_id = settings
            .client_id
            .clone()
            .unwrap_or_else(|| format!("{}-{process}", settings.application_id));
        let handlers = settings.errors.handlers();
        let built = Built {
            settings,
            topology,
            storage,
            process: ProcessId(*process.as_bytes()),
            client_id,
            listener: None,
            handler: None,
            handlers,
            closed: false,
        };
        Ok(Self {
            stage: Stage::Built(Box::new(built)),
        })
    }

    /// Calls `listener` after every change of state, on the thread that made it.
    #[must_use]
    pub fn on_state_change(mut self, listener: impl Fn(StateChange) + Send + Sync + 'static) -> Self {
        if let Stage::Built(built) = &mut self.stage {
            built.listener = Some(Box::new(listener));
        }
        self
    }

    /// Asks `handler` what to do when an error has ended a stream thread; without one the instance shuts down. A panic is
    /// an error, too ([`Error::Panicked`]). To be set before the start.
    ///
    /// The thread's tasks are closed by then, without what they had not committed, and the thread has left the group. The
    /// global thread cannot be replaced: for it that answer shuts the instance down. An instance that another one has asked
    /// to shut down ([`Error::ShutdownRequested`]) does so without asking again.
    ///
    /// ```
    /// use kstreams_runtime::{KafkaStreams, StreamThreadExceptionResponse, StreamsConfig};
    /// # use kstreams_topology::Topology;
    ///
    /// let mut streams = KafkaStreams::new(Topology::new(), StreamsConfig::new("app", "localhost:9092"))?;
    /// streams.set_uncaught_exception_handler(|error| {
    ///     eprintln!("{error}");
    ///     StreamThreadExceptionResponse::ReplaceThread
    /// })?;
    /// # Ok::<(), kstreams_runtime::Error>(())
    /// ```
    pub fn set_uncaught_exception_handler(
        &mut self,
        handler: impl Fn(&Error) -> StreamThreadExceptionResponse + Send + Sync + 'static,
    ) -> Result<()> {
        match &mut self.stage {
            Stage::Built(built) if !built.closed => {
                built.handler = Some(Box::new(handler));
                Ok(())
            }
            _ => Err(Error::State {
                call: "set the uncaught exception handler of",
                state: self.state(),
            }),
        }
    }

    /// Sets who decides about records that cannot be decoded, processed or sent. `choose` gets the handlers that the
    /// configuration names, and returns those to be asked, with or without some of them:
    ///
    /// ```
    /// use kstreams_runtime::{KafkaStreams, StreamsConfig};
    /// use kstreams_topology::Topology;
    /// use kstreams_topology::graph::{DeadLetter, Response};
    ///
    /// let config = StreamsConfig::new("orders", "localhost:9092")
    ///     .set("deserialization.exception.handler", "LogAndContinueExceptionHandler");
    /// let streams = KafkaStreams::new(Topology::new(), config)?.with_handlers(|configured| {
    ///     configured.on_processing(|failure| {
    ///         Response::resume().with_dead_letter(DeadLetter::of(failure, "rejected-orders"))
    ///     })
    /// });
    /// # let _ = streams;
    /// # Ok::<(), kstreams_runtime::Error>(())
    /// ```
    #[must_use]
    pub fn with_handlers(mut self, choose: impl FnOnce(ErrorHandlers) -> ErrorHandlers) -> Self {
        if let Stage::Built(built) = &mut self.stage {
            built.handlers = choose(std::mem::take(&mut built.handlers));
        }
        self
    }

    /// Starts the stream threads. The state becomes REBALANCING, and RUNNING when all tasks are assigned and restored.
    pub fn start(&mut self) -> Result<()> {
        let Stage::Built(built) = &mut self.stage else {
            return Err(Error::State {
                call: "start",
                state: self.state(),
            });
        };
        if built.closed {
            return Err(Error::State {
                call: "start",
                state: State::NotRunning,
            });
        }
        let mut connection = built.settings.client.clone();
        connection.client_id.clone_from(&built.client_id);
        let client = Client::start(connection).map_err(|source| Error::Client {
            action: "start the Kafka client".to_owned(),
            source: source.into(),
        })?;
        let parts = built.topology.subtopologies(&built.settings.application_id);
        let layout = Arc::new(Layout::new(parts));
        let matched = Arc::new(Matched::default());
        let chores = Chores::start(Work {
            client_id: &built.client_id,
            settings: &built.settings,
            client: client.clone(),
            storage: built.storage.clone(),
            layout: layout.clone(),
            matched: matched.clone(),
        })?;
        info!(application = %built.settings.application_id, client = %built.client_id, "starting");
        let instance = Arc::new(Instance::new(Parts {
            settings: built.settings.clone(),
            topology: built.topology.clone(),
            layout,
            matched,
            client,
            storage: built.storage.clone(),
            process: built.process,
            client_id: built.client_id.clone(),
            chores,
            listener: built.listener.take(),
            handler: built.handler.take(),
            handlers: built.handlers.clone(),
        }));
        self.stage = Stage::Started(instance.clone());
        instance.start()
    }

    /// Starts one more stream thread, under the lowest free number, and gives its name: `None` unless the instance is
    /// RUNNING or REBALANCING. Caches are divided anew.
    pub fn add_stream_thread(&self) -> Result<Option<String>> {
        match &self.stage {
            Stage::Built(_) => Ok(None),
            Stage::Started(instance) => instance.add_stream_thread(),
        }
    }

    /// Stops one stream thread, preferably not the one that asks, and waits until it has; its tasks go to others. Gives its
    /// name: `None` if there is none, or the instance is neither RUNNING nor REBALANCING.
    ///
    /// [`Error::ThreadNotStopped`]: it took longer than `timeout`, and goes on.
    pub fn remove_stream_thread(&self, timeout: Option<Duration>) -> Result<Option<String>> {
        match &self.stage {
            Stage::Built(_) => Ok(None),
            Stage::Started(instance) => instance.remove_stream_thread(timeout),
        }
    }

    /// Stops processing, commits, closes the stores, leaves the group. `false` if that took longer than `timeout`: it
    /// goes on in the background.
    pub fn close(&mut self, timeout: Option<Duration>) -> Result<bool> {
        match &mut self.stage {
            Stage::Started(instance) => instance.close(timeout),
            Stage::Built(built) => {
                if !built.closed {
                    built.closed = true;
                    let changes = [
                        (State::Created, State::PendingShutdown),
                        (State::PendingShutdown, State::NotRunning),
                    ];
                    if let Some(listener) = &built.listener {
                        changes
                            .into_iter()
                            .for_each(|(from, to)| listener(StateChange { from, to }));
                    }
                }
                Ok(true)
            }
        }
    }

    /// Where the instance is in its life.
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Built(built) if built.closed => State::NotRunning,
            Stage::Built(_) => State::Created,
            Stage::Started(instance) => instance.state(),
        }
    }

    /// Waits until the state is `state` or final. `false` if `timeout` passed first or it is another one.
    pub fn wait_for(&self, state: State, timeout: Duration) -> bool {
        if let Stage::Started(instance) = &self.stage {
            instance.wait(Some(Instant::now() + timeout), |now| now == state || now.is_final());
        }
        self.state() == state
    }

    /// Waits for Ctrl-C, for the signal to terminate, or until the instance has ended by itself; an error if that was by
    /// an error. Then close it, or drop it, which does the same.
    pub fn wait_for_ctrl_c(&self) -> Result<()> {
        crate::signal::wait(|| self.state().is_final())?;
        match self.state() {
            State::Error => Err(Error::Failed),
            _ => Ok(()),
        }
    }

    /// A key-value store of this instance, to be read by this and other threads while stream threads work on it: those
    /// partitions of it whose tasks run here, or all of it if it is global.
    ///
    /// ```no_run
    /// # use kstreams_runtime::{IsolationLevel, KafkaStreams, Result};
    /// # use kstreams_topology::stores::KeyValueStore;
    /// fn count_of(streams: &KafkaStreams, word: &str) -> Result<i64> {
    ///     let counts = streams.store::<KeyValueStore<String, i64>>("counts", IsolationLevel::ReadCommitted)?;
    ///     Ok(counts.get(&word.to_owned())?.unwrap_or(0))
    /// }
    /// ```
    ///
    /// Fails if the instance is not started or has ended, if the topology has no such store, or if it has other types.
    pub fn store<S: ReadableStore>(&self, name: &str, isolation: IsolationLevel) -> Result<ReadOnlyStore<S>> {
        let state = self.state();
        let instance = match &self.stage {
            Stage::Started(instance) if state.is_running_or_rebalancing() => instance,
            _ => {
                return Err(Error::State {
                    call: "read a store of",
                    state,
                });
            }
        };
        let mut stores = instance.topology.stores();
        let definition = stores.find(|definition| definition.spec.name == name);
        let definition = definition.ok_or_else(|| Error::UnknownStateStore { store: name.to_owned() })?;
        ReadOnlyStore::new(instance, definition, isolation)
    }

    /// All metrics as they are now, under Kafka's names.
    pub fn metrics(&self) -> Vec<Metric> {
        match &self.stage {
            Stage::Built(_) => Vec::new(),
            Stage::Started(instance) => instance.metrics(),
        }
    }

    /// Deletes the local state of this application. Only before the start and after the close.
    pub fn clean_up(&self) -> Result<()> {
        let storage = match &self.stage {
            Stage::Built(built) => &built.storage,
            Stage::Started(instance) if instance.state().is_final() => &instance.storage,
            Stage::Started(instance) => {
                return Err(Error::State {
                    call: "clean up",
                    state: instance.state(),
                });
            }
        };
        let tasks = storage.tasks().map_err(|source| Error::Store {
            action: "list local state".to_owned(),
            source: source.into(),
        })?;
        for task in tasks {
            storage.delete(&task).map_err(|source| Error::Store {
                action: format!("delete the state of task {task}"),
                source: source.into(),
            })?;
        }
        Ok(())
    }
}

impl Drop for KafkaStreams {
    fn drop(&mut self) {
        // The error, being called from a stream thread, has nobody to go to.
        let _ = self.close(None);
    }
}

/// The state directory, which only a topology with persistent stores needs.
fn open(settings: &Settings, topology: &Topology, process_id: &str) -> Result<Storage> {
    let (Some(engine), true) = (settings.state.engine, has_persistent_stores(topology)) else {
        return Ok(Storage::in_memory());
    };
    let directory = settings.state.directory.join(&settings.application_id);
    if directory.starts_with(std::env::temp_dir()) {
        tracing::warn!(directory = %directory.display(), "state.dir is in the temporary directory: it may be deleted at any time");
    }
    let config = StorageConfig {
        directory: directory.clone(),
        engine,
        process_id: process_id.to_owned(),
        block_cache_bytes: BLOCK_CACHE_BYTES,
        rocksdb: settings.state.rocksdb.clone(),
    };
    Storage::open(config).map_err(|source| Error::Store {
        action: format!("open the state directory {}", directory.display()),
        source: source.into(),
    })
}

fn has_persistent_stores(topology: &Topology) -> bool {
    topology
        .stores()
        .any(|store| store.spec.engine == EngineKind::Persistent)
}

/// Memory for the persistent engine's cached blocks.
const BLOCK_CACHE_BYTES: u64 = 32 * 1024 * 1024;
