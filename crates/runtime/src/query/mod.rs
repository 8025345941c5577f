//! Interactive reads: the state of this instance's tasks, read by other threads.
//!
//! * `mod`: a store as its reader holds it
//! * `hosts`: where the stores are, and the way to their threads

pub(crate) mod hosts;

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kstreams_store::{KeyRange, Kind, Order, State};
use kstreams_topology::stores::{ReadableStore, StoreDefinition};

use crate::error::{Error, Result};
use crate::instance::Instance;
use hosts::{Committed, Hosted, Question};

/// Which writes an interactive read sees (KIP-892).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    /// The latest ones, committed or not. Under exactly-once they may be undone. A read waits for the stream thread to be
    /// between two passes over its tasks.
    #[default]
    ReadUncommitted,
    /// Those of the last commit, in the store as on disk: under exactly-once nothing that is aborted later is ever seen.
    /// Reads of persistent stores wait for nobody.
    ReadCommitted,
}

/// A key-value store of this instance, to be read from any thread: the entries of those partitions whose tasks run here.
///
/// It stays valid as tasks come and go; each call reads from the tasks that run then. Made by
/// [`KafkaStreams::store`](crate::KafkaStreams::store).
pub struct ReadOnlyStore<S: ReadableStore> {
    instance: Arc<Instance>,
    name: String,
    kind: Kind,
    isolation: IsolationLevel,
    /// Serdes may keep something of their own.
    front: Mutex<S::Front>,
}

/// A key and a value as bytes.
type Row = (Vec<u8>, Vec<u8>);

impl<S: ReadableStore> ReadOnlyStore<S> {
    pub(crate) fn new(
        instance: &Arc<Instance>,
        definition: &StoreDefinition,
        isolation: IsolationLevel,
    ) -> Result<Self> {
        let (name, kind) = (definition.spec.name.clone(), definition.spec.kind);
        let topic = format!("{}-{name}-changelog", instance.settings.application_id);
        let front = (definition.front)(&topic).downcast::<S::Front>();
        match front {
            Ok(front) if S::reads(kind) => Ok(Self {
                instance: instance.clone(),
                name,
                kind,
                isolation,
                front: Mutex::new(*front),
            }),
            _ => Err(Error::StoreType {
                store: name,
                kind: format!("{kind:?}"),
                asked: std::any::type_name::<S>(),
            }),
        }
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of `key`.
    pub fn get(&self, key: &S::Key) -> Result<Option<S::Value>> {
        let key = self.typed(S::key_bytes(&self.front(), key))?;
        let isolation = self.isolation;
        let ask = move |state: &mut State| {
            let value = match isolation {
                IsolationLevel::ReadUncommitted => state.peek(&key)?,
                IsolationLevel::ReadCommitted => state.peek_committed(&key)?,
            };
            Ok(value.map(<[u8]>::to_vec))
        };
        let found = self.ask_until(ask, Option::is_some)?;
        let value = found.into_iter().flatten().next();
        value
            .map(|value| self.typed(S::value(&self.front(), self.kind, &value)))
            .transpose()
    }

    /// The entries from `from` to `to`, both inclusive, task after task, and of each the smallest key first; `None` leaves
    /// that end open.
    pub fn range(&self, from: Option<&S::Key>, to: Option<&S::Key>) -> Result<Vec<(S::Key, S::Value)>> {
        let bytes = |key: Option<&S::Key>| key.map(|key| S::key_bytes(&self.front(), key)).transpose();
        let (from, to) = (self.typed(bytes(from))?, self.typed(bytes(to))?);
        let range = KeyRange::between(from.as_deref(), to.as_deref());
        let isolation = self.isolation;
        let ask = move |state: &mut State| {
            let mut rows = match isolation {
                IsolationLevel::ReadUncommitted => state.range(&range, Order::Forward)?,
                IsolationLevel::ReadCommitted => state.range_committed(&range, Order::Forward)?,
            };
            let mut found: Vec<Row> = Vec::new();
            while let Some((key, value)) = rows.next_entry()? {
                found.push((key.to_vec(), value.to_vec()));
            }
            Ok(found)
        };
        let found = self.ask_until(ask, |_| false)?;
        let front = self.front();
        let rows = found.into_iter().flatten();
        rows.map(|(key, value)| {
            let key = self.typed(S::key(&front, &key))?;
            Ok((key, self.typed(S::value(&front, self.kind, &value))?))
        })
        .collect()
    }

    /// All entries, as in [`range`](Self::range).
    pub fn all(&self) -> Result<Vec<(S::Key, S::Value)>> {
        self.range(None, None)
    }

    /// Asks the tasks in turn until an answer will do.
    fn ask_until<T: Send + 'static>(
        &self,
        ask: impl Fn(&mut State) -> kstreams_store::Result<T> + Clone + Send + 'static,
        will_do: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>> {
        let state = self.instance.state();
        if !state.is_running_or_rebalancing() {
            return Err(Error::State {
                call: "read a store of",
                state,
            });
        }
        if let Some(reader) = self.instance.globals().reader(&self.name) {
            let read = reader.state().and_then(|mut state| ask(&mut state));
            return Ok(vec![self.typed(read.map_err(kstreams_topology::Error::from))?]);
        }
        let hosted = self.instance.hosts.find(&self.name);
        if hosted.is_empty() {
            return Err(self.not_here());
        }
        let mut answers = Vec::new();
        for hosted in hosted {
            let answer = self.ask_one(&hosted, ask.clone())?;
            let done = will_do(&answer);
            answers.push(answer);
            if done {
                break;
            }
        }
        Ok(answers)
    }

    fn ask_one<T: Send + 'static>(
        &self,
        hosted: &Hosted,
        ask: impl Fn(&mut State) -> kstreams_store::Result<T> + Send + 'static,
    ) -> Result<T> {
        let read = match (&hosted.committed, self.isolation) {
            (Committed::Shared(reader), IsolationLevel::ReadCommitted) => {
                let reader = reader.read().unwrap_or_else(PoisonError::into_inner);
                let reader = reader.as_ref().ok_or_else(|| self.not_here())?;
                reader.state().and_then(|mut state| ask(&mut state))
            }
            _ => self.ask_owner(hosted, ask)?,
        };
        self.typed(read.map_err(kstreams_topology::Error::from))
    }

    /// Has the store's own thread answer.
    fn ask_owner<T: Send + 'static>(
        &self,
        hosted: &Hosted,
        ask: impl Fn(&mut State) -> kstreams_store::Result<T> + Send + 'static,
    ) -> Result<kstreams_store::Result<T>> {
        if hosted.desk.is_here() {
            return Err(Error::ReadFromStreamThread {
                store: self.name.clone(),
            });
        }
        let (answer, answered) = sync_channel(1);
        hosted.desk.hand(Question {
            task: hosted.task,
            store: self.name.clone(),
            ask: Box::new(move |state| {
                if let Some(state) = state {
                    // Whoever asked waits.
                    let _ = answer.send(ask(state));
                }
            }),
        });
        // A question that nobody answered was dropped: the task went, or its thread.
        answered.recv().map_err(|_| self.not_here())
    }

    fn not_here(&self) -> Error {
        let store = self.name.clone();
        match self.instance.state() {
            crate::state::State::Rebalancing => Error::StreamsRebalancing { store },
            _ => Error::StateStoreMigrated { store },
        }
    }

    fn typed<T>(&self, read: kstreams_topology::Result<T>) -> Result<T> {
        read.map_err(|source| Error::StoreRead {
            store: self.name.clone(),
            source: source.into(),
        })
    }

    fn front(&self) -> MutexGuard<'_, S::Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
