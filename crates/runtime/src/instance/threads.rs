//! The stream threads of an instance: which there are, how they come and go, and what the instance makes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kstreams_client::Waker;
use kstreams_store::CacheBudget;
use tracing::{error, info};

use super::{Instance, Life};
use crate::error::{Error, Result};
use crate::metrics::ThreadMetrics;
use crate::state::State;
use crate::thread::{ThreadState, spawn};

pub(super) struct ThreadSlot {
    pub(super) name: String,
    pub(super) state: ThreadState,
    pub(super) metrics: Arc<ThreadMetrics>,
    cache: CacheBudget,
    removed: Arc<AtomicBool>,
    waker: Option<Waker>,
    handle: Option<JoinHandle<()>>,
}

/// What a new stream thread is given.
pub(crate) struct ThreadPlace {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) metrics: Arc<ThreadMetrics>,
    pub(crate) cache: CacheBudget,
    /// Set when this thread is to stop while others go on.
    pub(crate) removed: Arc<AtomicBool>,
}

impl Life {
    /// A place under the lowest number that is free, or whose thread is dead.
    fn take_place(&mut self, client_id: &str) -> ThreadPlace {
        self.threads.retain(|_, slot| slot.state != ThreadState::Dead);
        let index = (1..).find(|n| !self.threads.contains_key(n)).unwrap_or(usize::MAX);
        let place = ThreadPlace {
            index,
            name: format!("{client_id}-StreamThread-{index}"),
            metrics: Arc::default(),
            cache: CacheBudget::new(0),
            removed: Arc::default(),
        };
        let slot = ThreadSlot {
            name: place.name.clone(),
            state: ThreadState::Created,
            metrics: place.metrics.clone(),
            cache: place.cache.clone(),
            removed: place.removed.clone(),
            waker: None,
            handle: None,
        };
        self.threads.insert(index, slot);
        place
    }

    /// Divides the memory for caches among the threads there are.
    fn divide_cache(&mut self, cache_bytes: usize) {
        let alive = |slot: &&mut ThreadSlot| slot.state.is_alive();
        let count = self.threads.values().filter(|slot| slot.state.is_alive()).count();
        for slot in self.threads.values_mut().filter(alive) {
            slot.cache.resize(cache_bytes / count.max(1));
        }
    }
}

impl Instance {
    /// Starts one more stream thread, if the instance runs and has something to do for it; its name.
    pub(crate) fn add_stream_thread(self: &Arc<Self>) -> Result<Option<String>> {
        // Held until the thread is in its place: whoever stops the instance meanwhile waits for it, too.
        let mut life = self.life();
        if !life.state.is_running_or_rebalancing() || !self.layout.has_tasks() {
            return Ok(None);
        }
        let place = life.take_place(&self.client_id);
        let (index, name) = (place.index, place.name.clone());
        let spawned = spawn(self.clone(), place).inspect_err(|_| {
            life.threads.remove(&index);
        })?;
        if let Some(slot) = life.threads.get_mut(&index) {
            slot.handle = Some(spawned);
        }
        life.divide_cache(self.settings.state.cache_bytes);
        Ok(Some(name))
    }

    /// Stops one stream thread and waits for its end; its name.
    pub(crate) fn remove_stream_thread(&self, timeout: Option<Duration>) -> Result<Option<String>> {
        if !self.state().is_running_or_rebalancing() {
            return Ok(None);
        }
        let own = self.current_thread();
        let (index, thread) = {
            let mut life = self.life();
            let alive = |slot: &ThreadSlot| slot.state.is_alive() && !slot.removed.load(Ordering::Relaxed);
            let is_own = |slot: &ThreadSlot| own.as_ref() == Some(&slot.name);
            let other = life.threads.iter().find(|(_, slot)| alive(slot) && !is_own(slot));
            let chosen = other.or_else(|| life.threads.iter().find(|(_, slot)| alive(slot)));
            let Some((index, slot)) = chosen else { return Ok(None) };
            slot.removed.store(true, Ordering::Relaxed);
            slot.waker.iter().for_each(Waker::wake);
            let chosen = (*index, slot.name.clone());
            info!(thread = chosen.1, "stream thread is to be removed");
            life.divide_cache(self.settings.state.cache_bytes);
            chosen
        };
        // Waiting for itself a thread would wait forever.
        let stops_itself = own.as_ref() == Some(&thread);
        if stops_itself || self.wait_for_death(index, timeout.map(|timeout| Instant::now() + timeout)) {
            return Ok(Some(thread));
        }
        Err(Error::ThreadNotStopped { thread })
    }

    fn wait_for_death(&self, index: usize, deadline: Option<Instant>) -> bool {
        let mut life = self.life();
        let dead = |slot: &ThreadSlot| slot.state == ThreadState::Dead;
        while !life.threads.get(&index).is_none_or(dead) {
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            // Spurious or not, waking up is followed by a look.
            let waited = self.changed.wait_timeout(life, left.min(Duration::from_secs(1)));
            life = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Puts a fresh thread into the place of one that failed, if the instance is to go on.
    pub(super) fn replace_thread(self: &Arc<Self>, index: usize) {
        // The instance is not to take itself for running without its tasks in between.
        if let Some(slot) = self.life().threads.get_mut(&index) {
            slot.state = ThreadState::Dead;
        }
        if let Err(error) = self.add_stream_thread() {
            error!(
                error = &error as &dyn std::error::Error,
                "no thread could be started in its place"
            );
            self.stop_in_background(State::PendingError, State::Error);
        }
        self.changed.notify_all();
    }

    pub(super) fn has_live_thread(&self) -> bool {
        self.life().threads.values().any(|slot| slot.state.is_alive())
    }

    /// A thread's consumer can be woken through this.
    pub(crate) fn thread_wakes_by(&self, index: usize, waker: Waker) {
        if let Some(slot) = self.life().threads.get_mut(&index) {
            slot.waker = Some(waker);
        }
    }

    /// A thread says where it is. The instance follows: any thread that takes on or gives up tasks makes it rebalance,
    /// and it runs when all do.
    pub(crate) fn thread_moved(&self, index: usize, to: ThreadState) {
        let follow = {
            let mut life = self.life();
            let Some(slot) = life.threads.get_mut(&index) else {
                return;
            };
            slot.state = to;
            slot.metrics.state.set(to as u64);
            if to == ThreadState::Dead {
                life.divide_cache(self.settings.state.cache_bytes);
            }
            follows(to, life.threads.values().map(|slot| slot.state))
        };
        self.changed.notify_all();
        if let Some(state) = follow {
            self.go(state);
        }
    }

    pub(super) fn join_threads(&self) {
        loop {
            let handle = {
                let mut life = self.life();
                for slot in life.threads.values() {
                    if let Some(waker) = &slot.waker {
                        waker.wake();
                    }
                }
                life.threads.values_mut().find_map(|slot| slot.handle.take())
            };
            let Some(handle) = handle else { return };
            // A panic was reported by the thread itself.
            let _ = handle.join();
        }
    }

    /// The name of the stream thread that is running this, if one is.
    pub(super) fn current_thread(&self) -> Option<String> {
        let current = std::thread::current();
        let name = current.name()?;
        let life = self.life();
        let slot = life.threads.values().find(|slot| slot.name == name)?;
        let handle = slot.handle.as_ref()?;
        (handle.thread().id() == current.id()).then(|| name.to_owned())
    }
}

/// What the instance does when a thread has moved, given where all threads are now.
fn follows(moved: ThreadState, threads: impl Iterator<Item = ThreadState>) -> Option<State> {
    match moved {
        ThreadState::PartitionsRevoked | ThreadState::PartitionsAssigned => Some(State::Rebalancing),
        ThreadState::Running | ThreadState::Dead => {
            let mut running = false;
            let mut stopping = false;
            for state in threads {
                match state {
                    ThreadState::Running => running = true,
                    ThreadState::Dead => {}
                    ThreadState::PendingShutdown => stopping = true,
                    _ => return None,
                }
            }
            (running || (moved == ThreadState::Running && !stopping)).then_some(State::Running)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_runs_when_every_thread_does() {
        use ThreadState::*;
        let cases = [
            (
                PartitionsRevoked,
                vec![PartitionsRevoked, Running],
                Some(State::Rebalancing),
            ),
            (Running, vec![Running, PartitionsAssigned], None),
            (Running, vec![Running, Running], Some(State::Running)),
            (Running, vec![Running, Dead], Some(State::Running)),
            (Dead, vec![Running, Dead], Some(State::Running)),
            (Dead, vec![Dead], None),
            (Running, vec![Running, PendingShutdown], Some(State::Running)),
            (Starting, vec![Starting], None),
        ];
        for (moved, threads, expected) in cases {
            assert_eq!(
                follows(moved, threads.clone().into_iter()),
                expected,
                "{moved} of {threads:?}"
            );
        }
    }
}
