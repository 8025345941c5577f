//! Ctrl-C and the signal to terminate, for programs that run until then.

use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};

/// Whether a signal came. A process has one set of signals, so this is the one static of the crate.
static INTERRUPTED: Mutex<bool> = Mutex::new(false);
static CAME: Condvar = Condvar::new();
static LISTEN: Once = Once::new();

/// How often `done` is asked.
const GLANCE: Duration = Duration::from_millis(200);

/// Waits until a signal comes or `done` says so.
pub(crate) fn wait(done: impl Fn() -> bool) -> Result<()> {
    let mut listening = Ok(());
    LISTEN.call_once(|| {
        listening = ctrlc::set_handler(|| {
            *INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner) = true;
            CAME.notify_all();
        });
    });
    listening.map_err(Error::Signal)?;
    let mut interrupted = INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner);
    while !*interrupted && !done() {
        let waited = CAME.wait_timeout(interrupted, GLANCE);
        interrupted = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    Ok(())
}
