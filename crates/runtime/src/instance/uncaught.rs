//! What follows when an error has ended a thread: its user is asked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{error, warn};

use super::Instance;
use crate::error::Error;
use crate::state::State;
use crate::thread::ThreadState;

/// What an error that ended a stream thread leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamThreadExceptionResponse {
    /// A fresh thread takes its place, under the same name. What fails each time is tried again and again.
    ReplaceThread,
    /// The instance stops, in state ERROR. Others go on, and take over its tasks.
    #[default]
    ShutdownClient,
    /// All instances of the application stop, in state ERROR.
    ShutdownApplication,
}

pub(crate) type UncaughtHandler = Box<dyn Fn(&Error) -> StreamThreadExceptionResponse + Send + Sync>;

impl Instance {
    /// The global thread ended by an error. No other one can take its place: the instance stops, or all do.
    pub(crate) fn global_failed(self: &Arc<Self>, error: &Error) {
        let response = self.response("global thread", error);
        if response == StreamThreadExceptionResponse::ShutdownApplication && self.layout.has_tasks() {
            self.announce_shutdown();
        } else {
            self.stop_in_background(State::PendingError, State::Error);
        }
    }

    /// A thread ended by an error: the handler decides what follows.
    pub(crate) fn thread_failed(self: &Arc<Self>, index: usize, error: &Error) {
        let response = match error {
            // Every member is told the same: there is nothing left to decide.
            Error::ShutdownRequested => StreamThreadExceptionResponse::ShutdownClient,
            _ => {
                self.failed.add(1);
                self.response("stream thread", error)
            }
        };
        match response {
            StreamThreadExceptionResponse::ReplaceThread => self.replace_thread(index),
            StreamThreadExceptionResponse::ShutdownClient => {
                self.stop_in_background(State::PendingError, State::Error);
                self.thread_moved(index, ThreadState::Dead);
            }
            StreamThreadExceptionResponse::ShutdownApplication => {
                self.thread_moved(index, ThreadState::Dead);
                self.announce_shutdown();
            }
        }
    }

    fn response(&self, thread: &str, error: &Error) -> StreamThreadExceptionResponse {
        let response = match &self.handler {
            None => StreamThreadExceptionResponse::default(),
            Some(handler) => catch_unwind(AssertUnwindSafe(|| handler(error))).unwrap_or_else(|_| {
                warn!("the uncaught exception handler panicked: the instance shuts down");
                StreamThreadExceptionResponse::default()
            }),
        };
        error!(?response, error = error as &dyn std::error::Error, "{thread} failed");
        response
    }

    /// Has the stream threads tell the group that all instances are to stop, until it says so itself.
    fn announce_shutdown(self: &Arc<Self>) {
        self.announcing.store(true, Ordering::Relaxed);
        // Somebody has to carry the message to the group.
        if !self.has_live_thread() && self.add_stream_thread().is_err() {
            self.stop_in_background(State::PendingError, State::Error);
        }
    }
}
