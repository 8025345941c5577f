//! What a driver is told before it starts.

use kstreams_store::Storage;
use kstreams_topology::Topology;
use kstreams_topology::graph::ErrorHandlers;

use crate::driver::TopologyTestDriver;
use crate::error::Result;

/// How a [`TopologyTestDriver`] is to run.
pub struct Builder {
    pub(crate) topology: Topology,
    pub(crate) application_id: String,
    pub(crate) start: i64,
    pub(crate) cache_bytes: usize,
    pub(crate) handlers: ErrorHandlers,
    pub(crate) idle_ms_max: i64,
    pub(crate) emit_interval_ms: i64,
    pub(crate) storage: Storage,
    pub(crate) partitions: i32,
}

/// Kafka's own default: caches are on, and flushed after each record.
const CACHE_BYTES: usize = 10 << 20;

impl Builder {
    pub(crate) fn new(topology: Topology) -> Self {
        Self {
            topology,
            application_id: "test".to_owned(),
            start: 0,
            cache_bytes: CACHE_BYTES,
            handlers: ErrorHandlers::default(),
            idle_ms_max: 0,
            emit_interval_ms: 0,
            storage: Storage::in_memory(),
            partitions: 1,
        }
    }

    /// The application id; "test" otherwise.
    pub fn application_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.application_id);
        self
    }

    /// Where the driver's clock starts, in milliseconds; 0 otherwise.
    pub fn start_at(mut self, start: i64) -> Self {
        self.start = start;
        self
    }

    /// The record cache's size, `statestore.cache.max.bytes`; 10 MiB otherwise. 0 turns it off.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Who decides about records that fail; by default they fail the task.
    pub fn handlers(mut self, handlers: ErrorHandlers) -> Self {
        self.handlers = handlers;
        self
    }

    /// `max.task.idle.ms`: how long, on the driver's clock, to wait for topics without records; 0 otherwise.
    pub fn max_task_idle_ms(mut self, idle_ms_max: i64) -> Self {
        self.idle_ms_max = idle_ms_max;
        self
    }

    /// How long, on the driver's clock, outer joins and emission on window close wait between two looks for what is due;
    /// 0 otherwise: they look after every record. The runtime's is a second.
    pub fn emit_interval_ms(mut self, interval_ms: i64) -> Self {
        self.emit_interval_ms = interval_ms;
        self
    }

    /// Where persistent stores are kept; in memory otherwise.
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// How many partitions every topic has, but for internal topics that say it themselves; 1 otherwise. With one
    /// partition a single task runs all subtopologies, as in Java's driver; with more, each subtopology has its own tasks,
    /// one per partition, as in a cluster, and keys decide which partition a record belongs to.
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = partitions.max(1);
        self
    }

    /// Opens the stores and initialises the processors.
    pub fn build(self) -> Result<TopologyTestDriver> {
        TopologyTestDriver::start(self)
    }
}
