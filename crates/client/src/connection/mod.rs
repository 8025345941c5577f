//! One connection to one broker: requests pipelined, answers matched by correlation id.
//!
//! [`open`] connects and agrees on versions; a [`Connection`] is then a cheap handle to two tasks, one that writes what
//! is queued and one that reads. When either ends, everything that waits for an answer learns of it.

mod backoff;
mod handshake;
mod reader;
mod writer;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kstreams_wire::messages::{self, Frame, Request};
use rustc_hash::FxBuildHasher;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use backoff::Backoff;
pub(crate) use handshake::open;

use crate::config::Address;
use crate::error::{Error, Result};
use crate::network::{Instant, timeout};

/// An open connection. Cloning shares it; it closes when the last handle is gone, when it was idle for too long, or
/// when the broker does not answer in time.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Frame>,
}

/// What handle, reader and writer have in common.
#[derive(Debug)]
struct Shared {
    address: Address,
    client_id: String,
    versions: handshake::Known,
    correlation: AtomicI32,
    pending: Mutex<Pending>,
    closing: watch::Sender<bool>,
}

/// The requests that wait for an answer.
#[derive(Debug)]
struct Pending {
    answers: HashMap<i32, oneshot::Sender<Bytes>, FxBuildHasher>,
    used: Instant,
    closed: bool,
}

/// An answer on its way: what [`Connection::ask`] gives.
#[derive(Debug)]
pub(crate) struct Answer<R> {
    connection: Connection,
    version: i16,
    answer: oneshot::Receiver<Bytes>,
    request: PhantomData<fn(R)>,
}

impl Connection {
    /// The highest version of `R` that both sides know.
    pub(crate) fn version<R: Request>(&self) -> Result<i16> {
        self.shared.versions.of::<R>().ok_or_else(|| Error::Unsupported {
            address: self.shared.address.to_string(),
            api: R::NAME,
        })
    }

    /// The level of a feature that the broker's cluster has agreed on; 0 if it does not have it.
    pub(crate) fn feature(&self, name: &str) -> i16 {
        self.shared.versions.feature(name)
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn send<R: Request>(&self, request: &R, version: i16, limit: Duration) -> Result<R::Response> {
        self.ask(request, version)?.wait(limit).await
    }

    /// Queues a request; requests leave in the order of these calls.
    pub(crate) fn ask<R: Request>(&self, request: &R, version: i16) -> Result<Answer<R>> {
        let (correlation, frame) = self.frame(request, version)?;
        let (sender, answer) = oneshot::channel();
        let mut pending = self.shared.pending();
        if pending.closed {
            return Err(self.shared.disconnected(R::NAME));
        }
        pending.used = Instant::now();
        pending.answers.insert(correlation, sender);
        drop(pending);
        self.queue.send(frame).map_err(|_| self.shared.disconnected(R::NAME))?;
        Ok(Answer {
            connection: self.clone(),
            version,
            answer,
            request: PhantomData,
        })
    }

    /// Queues a request that has no answer (a Produce with `acks=0`).
    pub(crate) fn tell<R: Request>(&self, request: &R, version: i16) -> Result<()> {
        let (_, frame) = self.frame(request, version)?;
        self.shared.pending().used = Instant::now();
        self.queue.send(frame).map_err(|_| self.shared.disconnected(R::NAME))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.pending().closed
    }

    /// True if the connection was made to this address.
    pub(crate) fn goes_to(&self, address: &Address) -> bool {
        self.shared.address == *address
    }

    fn frame<R: Request>(&self, request: &R, version: i16) -> Result<(i32, Frame)> {
        let correlation = self.shared.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = messages::encode_request(request, version, correlation, Some(&self.shared.client_id))?;
        Ok((correlation, frame))
    }
}

impl<R: Request> Answer<R> {
    /// Waits for the answer. A broker that does not answer in time loses the connection: whatever it still says would
    /// come too late for everyone.
    pub(crate) async fn wait(self, limit: Duration) -> Result<R::Response> {
        let shared = &self.connection.shared;
        match timeout(limit, self.answer).await {
            Ok(Ok(frame)) => Ok(messages::decode_response::<R>(frame, self.version)?.1),
            Ok(Err(_)) => Err(shared.disconnected(R::NAME)),
            Err(_) => {
                shared.close();
                Err(Error::RequestTimeout {
                    address: shared.address.to_string(),
                    api: R::NAME,
                    waited: limit,
                })
            }
        }
    }
}

impl Shared {
    // Nothing panics while it holds this lock, so a poisoned lock still guards a whole state.
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut pending = self.pending();
        pending.closed = true;
        pending.answers.clear();
        self.closing.send_replace(true);
    }

    /// Returns when the connection is to end.
    async fn closing(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    fn disconnected(&self, api: &'static str) -> Error {
        Error::Disconnected {
            address: self.address.to_string(),
            api,
        }
    }
}
