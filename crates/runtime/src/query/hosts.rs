//! Which stores the running tasks of this instance have, and how each can be read.
//!
//! Stream threads enter a task's stores when it begins to run and strike them out before it is closed. Whoever reads looks
//! here first; stream threads look at questions between passes over their tasks, and nowhere else.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::ThreadId;

use kstreams_client::Waker;
use kstreams_store::{State, StoreReader};
use kstreams_topology::TaskId;

/// Questions that wait for a stream thread; whoever has one more waits, too.
const QUESTIONS: usize = 64;

/// What is to be done with a store by the thread that owns it; with none if the task has gone meanwhile.
pub(crate) type Ask = Box<dyn FnOnce(Option<&mut State>) + Send>;

/// Something to be read from a store by the thread that owns it.
pub(crate) struct Question {
    pub(crate) task: TaskId,
    pub(crate) store: String,
    pub(crate) ask: Ask,
}

/// The way to a stream thread.
#[derive(Clone)]
pub(crate) struct Desk {
    questions: SyncSender<Question>,
    waker: Waker,
    thread: ThreadId,
}

impl Desk {
    /// A desk of the thread that calls this, whose polls the waker ends.
    pub(crate) fn of_this_thread(waker: Waker) -> (Self, Receiver<Question>) {
        let (questions, asked) = sync_channel(QUESTIONS);
        let desk = Self {
            questions,
            waker,
            thread: std::thread::current().id(),
        };
        (desk, asked)
    }

    /// Whether this runs on the thread that would have to answer.
    pub(crate) fn is_here(&self) -> bool {
        self.thread == std::thread::current().id()
    }

    /// Hands a question over. One that the thread cannot take any more is dropped.
    pub(crate) fn hand(&self, question: Question) {
        if self.questions.send(question).is_ok() {
            self.waker.wake();
        }
    }
}

/// A store of a running task.
pub(crate) struct Hosted {
    pub(crate) task: TaskId,
    pub(crate) desk: Desk,
    pub(crate) committed: Committed,
}

/// How what is committed can be read.
pub(crate) enum Committed {
    /// By anybody, as long as the task is here: a task is closed when nobody reads.
    Shared(RwLock<Option<StoreReader>>),
    /// By the task's thread alone.
    Owned,
}

/// The stores of running tasks, by name.
#[derive(Default)]
pub(crate) struct Hosts(Mutex<BTreeMap<String, Vec<Arc<Hosted>>>>);

impl Hosts {
    /// The stores of this name.
    pub(crate) fn find(&self, store: &str) -> Vec<Arc<Hosted>> {
        self.stores().get(store).cloned().unwrap_or_default()
    }

    /// Lets the stores of a task be read.
    pub(crate) fn enter<'s>(&self, task: TaskId, desk: &Desk, states: impl Iterator<Item = &'s mut State>) {
        for state in states {
            let committed = match state.share() {
                Some(reader) => Committed::Shared(RwLock::new(Some(reader))),
                None => Committed::Owned,
            };
            let hosted = Arc::new(Hosted {
                task,
                desk: desk.clone(),
                committed,
            });
            self.stores().entry(state.name().to_owned()).or_default().push(hosted);
        }
    }

    /// Ends that, and waits for who reads.
    pub(crate) fn strike(&self, task: TaskId) {
        let mut gone = Vec::new();
        for hosted in self.stores().values_mut() {
            gone.extend(hosted.extract_if(.., |hosted| hosted.task == task));
        }
        for hosted in gone {
            if let Committed::Shared(reader) = &hosted.committed {
                *reader.write().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
    }

    fn stores(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Arc<Hosted>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
