//! A process's state directory and the stores in it.

#[cfg(test)]
#[cfg(feature = "fjall")]
mod damage_tests;
mod directory;
mod java;
#[cfg(test)]
#[cfg(all(feature = "fjall", feature = "rocksdb"))]
mod java_tests;
mod rocks_options;

#[cfg(test)]
#[cfg(feature = "fjall")]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use crate::engine::memory::MemoryEngine;
use crate::engine::shared::SharedEngine;
use crate::engine::{Engine, Home, NewReader, Opened, Place};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::layout;
use crate::spec::{Changelog, EngineKind, StoreSpec};
use crate::state::{CacheBudget, Parts, State};
use crate::storage::directory::Directory;

pub use rocks_options::RocksDbOptions;

/// Which engine keeps the persistent stores. The default is RocksDB where it is compiled in, else fjall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PersistentEngine {
    /// fjall: pure Rust, one database for the whole process. Needs the feature `fjall`, which is on by default.
    #[cfg_attr(not(feature = "rocksdb"), default)]
    Fjall,
    /// RocksDB: one database per store. Needs the feature `rocksdb`.
    #[cfg_attr(feature = "rocksdb", default)]
    RocksDb,
}

/// How a [`Storage`] is opened.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// `<state.dir>/<application.id>`: the directory that one process has to itself. It is created if need be.
    pub directory: PathBuf,
    /// Which engine keeps the persistent stores.
    pub engine: PersistentEngine,
    /// A fresh UUID, taken as the process id if the directory has none yet.
    pub process_id: String,
    /// Memory for the persistent engine's cached blocks, all stores together.
    pub block_cache_bytes: u64,
    /// Changes the options of stores in RocksDB.
    pub rocksdb: RocksDbOptions,
}

/// The stores of a process. Cloning is cheap; the directory stays locked until the last clone and the last store is gone.
#[derive(Clone)]
pub struct Storage(Arc<Shared>);

struct Shared {
    /// Dropped, and so closed, before the directory is unlocked.
    home: Option<Box<dyn Home>>,
    open: Mutex<BTreeSet<(String, String)>>,
    /// The tasks of which it was said that Java has state of them.
    told: Mutex<BTreeSet<String>>,
    /// The stores that were thrown away, so that what Java has of them is no better.
    discarded: Mutex<BTreeSet<(String, String)>>,
    directory: Option<Directory>,
}

/// In whose name global stores are kept.
pub const GLOBAL: &str = "global";

/// Makes handles with which other threads read a store.
#[derive(Clone)]
pub struct StoreReader {
    identity: Identity,
    new: Arc<NewReader>,
}

impl StoreReader {
    /// The store, to be read: it is as of its last commit, and goes on when it is [refreshed](State::refresh).
    pub fn state(&self) -> Result<State> {
        State::reader(self.identity.clone(), (self.new)())
    }

    pub(crate) fn new(identity: Identity, new: NewReader) -> Self {
        Self {
            identity,
            new: Arc::new(new),
        }
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.identity.store
    }
}

/// Says, while it lives, that a store is open.
pub(crate) struct Lease {
    storage: Storage,
    store: (String, String),
}

impl Storage {
    /// Opens the directory, takes its lock, and reads its process id.
    pub fn open(config: StorageConfig) -> Result<Self> {
        let directory = Directory::open(&config.directory, &config.process_id)?;
        let home = home(&config)?;
        Ok(Self::new(Some(home), Some(directory)))
    }

    /// A storage without a directory: persistent stores, too, live in memory, and are gone when they are closed.
    pub fn in_memory() -> Self {
        Self::new(None, None)
    }

    fn new(home: Option<Box<dyn Home>>, directory: Option<Directory>) -> Self {
        Self(Arc::new(Shared {
            home,
            open: Mutex::new(BTreeSet::new()),
            told: Mutex::new(BTreeSet::new()),
            discarded: Mutex::new(BTreeSet::new()),
            directory,
        }))
    }

    /// Removes everything under `directory`, which no process may be using.
    pub fn remove(directory: &Path) -> Result<()> {
        directory::remove(directory)
    }

    /// The process id kept in the directory; `None` without a directory.
    pub fn process_id(&self) -> Option<&str> {
        self.0.directory.as_ref().map(Directory::process_id)
    }

    /// Fails if the state directory was deleted, or replaced, while this process works in it. The engines would not notice
    /// before long: files that are open stay.
    pub fn verify(&self) -> Result<()> {
        self.0.directory.as_ref().map_or(Ok(()), Directory::verify)
    }

    /// Opens a store of a task. `changelog` is `None` where logging is disabled. A store on disk whose format is not the
    /// expected one is rebuilt from its changelog, or an error if it has none.
    pub fn state(
        &self,
        spec: &StoreSpec,
        task: &str,
        changelog: Option<Changelog>,
        cache: &CacheBudget,
    ) -> Result<State> {
        let mut identity = Identity {
            kind: spec.kind,
            engine: spec.engine,
            store: spec.name.clone(),
            task: task.to_owned(),
            path: PathBuf::from("memory"),
        };
        let mut lease = None;
        let engine: Box<dyn Engine> = match &self.0.home {
            Some(home) if spec.engine == EngineKind::Persistent => {
                self.verify()?;
                lease = Some(self.lease(&spec.name, task)?);
                let rebuild = match changelog {
                    Some(_) => Rebuild::Possible,
                    None => Rebuild::Impossible,
                };
                let engine = open(&**home, &mut identity, changelog.as_ref(), rebuild)?;
                match (&changelog, engine.offset()) {
                    (Some(changelog), None) => self.take_over(&**home, &mut identity, changelog, engine)?,
                    _ => engine,
                }
            }
            _ => Box::new(MemoryEngine::default()),
        };
        State::new(Parts {
            identity,
            changelog,
            engine,
            // Without a budget there is no cache: every change is logged and forwarded, like Java's deletions of absent keys.
            // Duplicates are never cached: there is no last value of a key.
            cache: (spec.caching && cache.total() > 0 && !spec.kind.has_duplicates()).then_some(cache),
            lease,
        })
    }

    /// Opens a global store, which one thread fills and all may read.
    pub fn global(&self, spec: &StoreSpec) -> Result<(State, StoreReader)> {
        let mut identity = Identity {
            kind: spec.kind,
            store: spec.name.clone(),
            task: GLOBAL.to_owned(),
            path: PathBuf::from("memory"),
            engine: spec.engine,
        };
        let mut lease = None;
        let mut engine: Box<dyn Engine> = Box::new(SharedEngine::default());
        if let Some(home) = self.0.home.as_ref().filter(|_| spec.engine == EngineKind::Persistent) {
            lease = Some(self.lease(&spec.name, GLOBAL)?);
            engine = open(&**home, &mut identity, None, Rebuild::Possible)?;
        }
        let new = engine
            .share()
            .expect("every engine but the one in memory, of which there is a shared one, can be shared");
        let reader = StoreReader::new(identity.clone(), new);
        let state = State::new(Parts {
            identity,
            changelog: None,
            engine,
            cache: None,
            lease,
        });
        Ok((state?, reader))
    }

    /// The tasks that have stores on disk, such as `0_3`, in order.
    pub fn tasks(&self) -> Result<BTreeSet<String>> {
        let Some(home) = &self.0.home else {
            return Ok(BTreeSet::new());
        };
        home.tasks()
            .map_err(|source| self.failed_to("list the tasks in", source))
    }

    /// The changelog offset that each store of a task has reached on disk, by store.
    pub fn offsets(&self, task: &str) -> Result<BTreeMap<String, i64>> {
        let Some(home) = &self.0.home else {
            return Ok(BTreeMap::new());
        };
        let offsets = home.offsets(task);
        offsets.map_err(|source| self.failed_to("read the offsets in", source))
    }

    /// Deletes the stores of a task from disk. They must be closed.
    pub fn delete(&self, task: &str) -> Result<()> {
        let Some(home) = &self.0.home else {
            return Ok(());
        };
        if let Some((_, store)) = self.open_stores().iter().find(|(owner, _)| owner == task) {
            return Err(Error::InUse {
                store: store.clone(),
                task: task.to_owned(),
            });
        }
        info!(task, "state deleted");
        home.delete(task)
            .map_err(|source| self.failed_to("delete a task in", source))
    }

    /// Deletes one store of a task from disk. It must be closed.
    pub fn delete_store(&self, task: &str, store: &str) -> Result<()> {
        let Some(home) = &self.0.home else {
            return Ok(());
        };
        if self
            .open_stores()
            .iter()
            .any(|(owner, name)| owner == task && name == store)
        {
            return Err(Error::InUse {
                store: store.to_owned(),
                task: task.to_owned(),
            });
        }
        info!(task, store, "state deleted");
        let mut discarded = self.0.discarded.lock().unwrap_or_else(PoisonError::into_inner);
        discarded.insert((task.to_owned(), store.to_owned()));
        drop(discarded);
        home.delete_store(task, store)
            .map_err(|source| self.failed_to("delete a store in", source))
    }

    /// Fills a store that begins empty with what Java has of it in the same directory, if that can be, and says so if not.
    fn take_over(
        &self,
        home: &dyn Home,
        identity: &mut Identity,
        changelog: &Changelog,
        mut ours: Box<dyn Engine>,
    ) -> Result<Box<dyn Engine>> {
        let Some(directory) = &self.0.directory else {
            return Ok(ours);
        };
        let (task, store) = (&identity.task, &identity.store);
        let Some(path) = java::store(directory.path(), task, store) else {
            return Ok(ours);
        };
        let discarded = self.0.discarded.lock().unwrap_or_else(PoisonError::into_inner);
        if discarded.contains(&(task.clone(), store.clone())) {
            return Ok(ours);
        }
        drop(discarded);
        let task_path = directory.path().join(task);
        match java::take_over((&path, &task_path), identity.kind, changelog, &mut *ours) {
            Ok(java::TakenOver::Until(offset)) => {
                info!(task, store, from = %path.display(), offset, "took over what Kafka Streams in Java stored");
                Ok(ours)
            }
            Ok(java::TakenOver::Not(why)) => {
                self.tell_of_java(task, &task_path, why);
                Ok(ours)
            }
            Err(cause) => {
                warn!(store, path = %path.display(), %cause, "could not read what Kafka Streams in Java stored");
                self.tell_of_java(task, &task_path, "it cannot be read");
                drop(ours);
                let deleted = home.delete_store(task, store);
                deleted.map_err(|cause| identity.failed_to("delete", cause))?;
                open(home, identity, Some(changelog), Rebuild::Possible)
            }
        }
    }

    /// Says, once for each task, that what Java stored is not taken over.
    fn tell_of_java(&self, task: &str, directory: &Path, why: &str) {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(task.to_owned()) {
            let directory = directory.display();
            warn!(task, %directory, why, "state that Kafka Streams in Java wrote is left as it is, and rebuilt here from the changelogs");
        }
    }

    fn lease(&self, store: &str, task: &str) -> Result<Lease> {
        let store = (task.to_owned(), store.to_owned());
        if !self.open_stores().insert(store.clone()) {
            let (task, store) = store;
            return Err(Error::InUse { store, task });
        }
        Ok(Lease {
            storage: self.clone(),
            store,
        })
    }

    fn open_stores(&self) -> std::sync::MutexGuard<'_, BTreeSet<(String, String)>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed_to(&self, action: &'static str, source: crate::engine::Cause) -> Error {
        Error::Storage {
            action,
            path: self
                .0
                .directory
                .as_ref()
                .map_or_else(PathBuf::new, |directory| directory.path().to_owned()),
            source,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.storage.open_stores().remove(&self.store);
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Storage")
            .field(&self.0.directory.as_ref().map(Directory::path))
            .finish()
    }
}

/// The engine of the configuration.
fn home(config: &StorageConfig) -> Result<Box<dyn Home>> {
    match config.engine {
        #[cfg(feature = "fjall")]
        PersistentEngine::Fjall => Ok(Box::new(crate::engine::fjall::FjallHome::new(
            &config.directory,
            config.block_cache_bytes,
        ))),
        #[cfg(not(feature = "fjall"))]
        PersistentEngine::Fjall => Err(Error::EngineMissing { engine: "fjall" }),
        #[cfg(feature = "rocksdb")]
        PersistentEngine::RocksDb => Ok(Box::new(crate::engine::rocks::RocksHome::new(
            &config.directory,
            config.block_cache_bytes,
            config.rocksdb.clone(),
        ))),
        #[cfg(not(feature = "rocksdb"))]
        PersistentEngine::RocksDb => Err(Error::EngineMissing { engine: "rocksdb" }),
    }
}

/// Whether a store of another format can be built anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rebuild {
    Possible,
    Impossible,
}

/// Opens a persistent store, rebuilding it if it is in another format and can be rebuilt.
fn open(
    home: &dyn Home,
    identity: &mut Identity,
    changelog: Option<&Changelog>,
    rebuild: Rebuild,
) -> Result<Box<dyn Engine>> {
    let place = Place {
        task: identity.task.clone(),
        store: identity.store.clone(),
        changelog: changelog
            .map(|changelog| changelog.partition().to_string())
            .unwrap_or_default(),
    };
    identity.path = home.path(&place);
    let expected = layout::format(identity.kind);
    let opened = home
        .open(&place, &expected)
        .map_err(|cause| identity.failed_to("open", cause))?;
    let found = match opened {
        Opened::Engine(engine) => return Ok(engine),
        Opened::OtherFormat(found) => found,
    };
    let format_error = |identity: &Identity, found| Error::Format {
        store: identity.store.clone(),
        task: identity.task.clone(),
        path: identity.path.clone(),
        found,
        expected: expected.clone().into_owned(),
    };
    if rebuild == Rebuild::Impossible {
        return Err(format_error(identity, found));
    }
    warn!(store = %place.store, task = %place.task, path = %identity.path.display(), %found, %expected, "rebuilding a store of another format from its changelog");
    let deleted = home.delete_store(&place.task, &place.store);
    deleted.map_err(|cause| identity.failed_to("delete", cause))?;
    match home
        .open(&place, &expected)
        .map_err(|cause| identity.failed_to("open", cause))?
    {
        Opened::Engine(engine) => Ok(engine),
        Opened::OtherFormat(found) => Err(format_error(identity, found)),
    }
}
