//! The only room that names sockets, the clock, threads and chance: a simulation swaps this one.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

pub(crate) use tokio::net::TcpStream;
pub(crate) use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::config::Address;
use crate::error::{Error, Result};

/// A way onto the I/O thread.
#[derive(Clone, Debug)]
pub struct Io {
    handle: Handle,
}

impl Io {
    /// Runs `future` on the I/O thread and lets it go.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(future);
    }

    /// Runs `future` on the I/O thread and blocks until it is done or the time is up. Never call it on the I/O thread.
    pub fn run<T: Send + 'static>(
        &self,
        what: &str,
        limit: Duration,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (done, answer) = std::sync::mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // The caller may be gone when the time is up: then nobody wants the answer.
            let _ = done.send(timeout(limit, future).await);
        });
        match answer.recv() {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::Timeout {
                what: what.to_owned(),
                waited: limit,
                source: None,
            }),
            Err(_) => Err(Error::Closed),
        }
    }
}

/// The I/O thread itself; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct IoThread {
    io: Io,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl IoThread {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let io = Io {
            handle: runtime.handle().clone(),
        };
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let run = move || {
            runtime.block_on(stopped.notified());
            // Name look-ups run on helper threads that nobody should wait for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("kstreams-io".into()).spawn(run)?;
        Ok(Self {
            io,
            stop,
            thread: Some(thread),
        })
    }

    pub(crate) fn io(&self) -> &Io {
        &self.io
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        self.stop.notify_one();
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() != thread::current().id() {
            // A panic on the I/O thread was reported there; there is nothing to add to it here.
            let _ = thread.join();
        }
    }
}

/// Connects to the first address of the host that answers.
pub(crate) async fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for candidate in tokio::net::lookup_host((address.host.as_str(), address.port)).await? {
        match TcpStream::connect(candidate).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A number between 0 and 1 that nobody foresees.
pub(crate) fn chance() -> f64 {
    let bits = RandomState::new().hash_one(0_u8);
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
