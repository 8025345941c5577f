//! The brokers of a cluster: who is there, who leads what, and a way to send requests to them.
//!
//! Everything in here runs on the I/O thread. One attempt is one call: whoever sends decides, by
//! [`Error::is_retriable`], whether to try again; look-ups (a leader, a coordinator) try until they know, so bound them
//! with a time limit.

mod coordinator;
mod metadata;
mod node;
mod refresh;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kstreams_wire::messages::Request;
use rustc_hash::FxBuildHasher;
use tokio::sync::{Notify, watch};

pub use metadata::{Leader, Topic};

use crate::config::{Address, ClientConfig};
use crate::connection::{Backoff, Connection};
use crate::error::{Error, Result};
use crate::network::Io;
use coordinator::Coordinators;
use metadata::Metadata;
use node::{Absences, Slot};

/// The id of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i32);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The async handle to a cluster. Cloning shares connections; [`Cluster::separate`] does not.
#[derive(Clone, Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    lane: u32,
}

#[derive(Debug)]
struct Shared {
    config: ClientConfig,
    io: Io,
    lanes: AtomicU32,
    state: Mutex<State>,
    /// Counts the metadata that was received.
    received: watch::Sender<u64>,
    wanted: Notify,
}

#[derive(Debug)]
struct State {
    metadata: Metadata,
    coordinators: Coordinators,
    slots: HashMap<(i32, u32), Arc<Slot>, FxBuildHasher>,
    absences: Absences,
    next_any: usize,
}

impl Cluster {
    pub(crate) fn start(config: ClientConfig, io: &Io) -> Self {
        let state = State {
            metadata: Metadata::new(&config),
            coordinators: Coordinators::default(),
            slots: HashMap::default(),
            absences: Absences::default(),
            next_any: 0,
        };
        let shared = Shared {
            config,
            io: io.clone(),
            lanes: AtomicU32::new(1),
            state: Mutex::new(state),
            received: watch::Sender::new(0),
            wanted: Notify::new(),
        };
        let cluster = Self {
            shared: Arc::new(shared),
            lane: 0,
        };
        io.spawn(refresh::run(cluster.clone()));
        cluster
    }

    /// A handle whose requests travel on connections of its own. A broker answers the requests of one connection one
    /// after the other: what may wait for long (a fetch, a JoinGroup) must not stand before what may not.
    pub fn separate(&self) -> Self {
        let lane = self.shared.lanes.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
            lane,
        }
    }

    /// What the client was started with.
    pub fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    /// The I/O thread.
    pub fn io(&self) -> &Io {
        &self.shared.io
    }

    /// Sends a request to one broker and waits for its answer: one attempt, connecting if need be.
    pub async fn send<R: Request>(&self, node: NodeId, request: R) -> Result<R::Response> {
        self.send_built(node, |_| request).await
    }

    /// As [`Cluster::send`], for a request that looks different from version to version.
    pub async fn send_built<R: Request>(&self, node: NodeId, build: impl FnOnce(i16) -> R) -> Result<R::Response> {
        let connection = self.connection(node).await?;
        let version = connection.version::<R>()?;
        connection
            .send(&build(version), version, self.shared.config.request_timeout)
            .await
    }

    /// As [`Cluster::send`], but waits up to `limit` for the answer: for requests that a broker holds back on purpose.
    pub async fn send_patiently<R: Request>(
        &self,
        node: NodeId,
        request: R,
        limit: std::time::Duration,
    ) -> Result<R::Response> {
        let connection = self.connection(node).await?;
        let version = connection.version::<R>()?;
        connection.send(&request, version, limit).await
    }

    /// Sends a request to any broker that answers: tries one after the other until one does.
    pub async fn send_any<R: Request + Clone>(&self, request: R) -> Result<R::Response> {
        self.send_any_built(move |_| request.clone()).await
    }

    /// As [`Cluster::send_any`], for a request that looks different from version to version.
    pub async fn send_any_built<R: Request>(&self, build: impl Fn(i16) -> R) -> Result<R::Response> {
        let mut attempt = 0;
        loop {
            match self.send_built(self.any_node(attempt), &build).await {
                // Connecting waits for its turn by itself, so this does not spin.
                Err(error) if error.is_retriable() => attempt += 1,
                result => return result,
            }
        }
    }

    /// A connection to this broker, open and ready.
    pub(crate) async fn connection(&self, node: NodeId) -> Result<Connection> {
        let (slot, address) = {
            let mut state = self.state();
            let address = state
                .metadata
                .address(node)
                .ok_or(Error::UnknownNode { node: node.0 })?;
            (Arc::clone(state.slots.entry((node.0, self.lane)).or_default()), address)
        };
        slot.connection(&address, &self.shared).await
    }

    /// The broker's host and port, if it is known.
    pub fn address(&self, node: NodeId) -> Option<Address> {
        self.state().metadata.address(node)
    }

    /// The brokers that are known, by their ids.
    pub fn nodes(&self) -> BTreeMap<NodeId, Address> {
        self.state().metadata.nodes().clone()
    }

    /// A pause between attempts, as `retry.backoff.ms` says.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.shared.config.retry_backoff, self.shared.config.retry_backoff_max)
    }

    /// A broker to ask what anyone can answer.
    fn any_node(&self, attempt: usize) -> NodeId {
        let mut state = self.state();
        if attempt == 0 {
            state.next_any = state.next_any.wrapping_add(1);
        }
        state.metadata.any(state.next_any, attempt)
    }

    /// Closes the connections that only this handle and its clones use.
    pub(crate) fn close(&self) {
        self.state().slots.retain(|(_, lane), _| *lane != self.lane);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    // Nothing panics while it holds this lock, so a poisoned lock still guards a whole state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
