//! How values come back from the I/O thread to a caller that blocks.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A queue between the I/O thread and one blocking caller. What goes in is bounded by its users: batches by the bytes
/// that were asked for, everything else by what the caller has under way.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    inner: Arc<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

#[derive(Debug)]
struct State<T> {
    letters: Vec<T>,
    /// There is a letter worth waking for, or someone asked for it.
    woken: bool,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        let state = Mutex::new(State {
            letters: Vec::new(),
            woken: false,
        });
        Self {
            inner: Arc::new(Inner {
                state,
                filled: Condvar::new(),
            }),
        }
    }

    pub(crate) fn put(&self, letter: T) {
        let mut state = self.lock();
        state.letters.push(letter);
        state.woken = true;
        drop(state);
        self.inner.filled.notify_one();
    }

    /// Adds a letter that is read when there is another reason to look.
    pub(crate) fn put_quietly(&self, letter: T) {
        self.lock().letters.push(letter);
    }

    /// Moves everything that is there into `into`, which should be empty.
    pub(crate) fn take(&self, into: &mut Vec<T>) {
        let mut state = self.lock();
        state.woken = false;
        into.append(&mut state.letters);
    }

    /// Waits until there is something, someone calls [`Mailbox::wake`], or the time is up; then takes what there is.
    pub(crate) fn wait(&self, limit: Duration, into: &mut Vec<T>) {
        let waited = self
            .inner
            .filled
            .wait_timeout_while(self.lock(), limit, |state| !state.woken);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.woken = false;
        into.append(&mut state.letters);
    }

    /// Ends the present wait, or the next one if nobody waits.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.inner.filled.notify_one();
    }

    // Nothing in here panics while it holds the lock, so a poisoned lock still guards a whole state.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_ends_one_wait_and_letters_come_in_order() {
        let mailbox = Mailbox::new();
        let mut letters = Vec::new();
        mailbox.wake();
        mailbox.wait(Duration::from_secs(60), &mut letters);
        assert!(letters.is_empty());
        let sender = mailbox.clone();
        let thread = std::thread::spawn(move || {
            sender.put(1);
            sender.put(2);
        });
        while letters.len() < 2 {
            mailbox.wait(Duration::from_secs(60), &mut letters);
        }
        thread.join().unwrap();
        assert_eq!(letters, [1, 2]);
    }
}
