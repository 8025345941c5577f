//! The data directory: who holds it, and what the broker remembers of itself from run to run.
//!
//! ```text
//! lock                  held while a broker runs
//! broker                cluster id, number of runs, producer ids given out
//! catalogue             topics, their ids, partitions and configs
//! offsets               committed offsets of groups
//! groups                members and generations of groups
//! transactions          transactional ids, and what belongs to their transactions
//! logs/<topic>-<n>/     segments of a partition
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::{Error, Result};

/// Producer ids are reserved on disk in blocks of this size.
const PRODUCER_ID_BLOCK: i64 = 1000;

/// A data directory in use; the lock goes with it.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Takes the directory, which comes into being if it has to.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path.join("logs")).map_err(|source| Error::data(path, source))?;
        let lock = path.join("lock");
        let file = File::create(&lock).map_err(|source| Error::data(&lock, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: file,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(Error::data(lock, source)),
        }
    }

    /// The path of something in the directory.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// What a broker remembers of itself.
#[derive(Debug)]
pub(crate) struct Identity {
    path: Option<PathBuf>,
    pub(crate) cluster_id: String,
    /// The leader epoch of everything this run writes: 0 in the first run.
    pub(crate) epoch: i32,
    next_producer_id: i64,
    reserved_producer_id: i64,
}

impl Identity {
    /// Who this broker is; in a directory, one run later than last time.
    pub(crate) fn open(data: Option<&DataDirectory>) -> Result<Self> {
        let mut identity = Self {
            path: data.map(|data| data.join("broker")),
            cluster_id: Uuid::new_v4().simple().to_string(),
            epoch: 0,
            next_producer_id: 0,
            reserved_producer_id: 0,
        };
        if let Some(text) = identity.path.as_deref().map(read).transpose()?.flatten() {
            for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
                match key {
                    "cluster.id" => value.clone_into(&mut identity.cluster_id),
                    "epoch" => identity.epoch = value.parse().map_or(0, |epoch: i32| epoch + 1),
                    "producer.id" => identity.next_producer_id = value.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        identity.reserved_producer_id = identity.next_producer_id;
        identity.save()?;
        Ok(identity)
    }

    /// A producer id that was never given out before.
    pub(crate) fn new_producer_id(&mut self) -> Result<i64> {
        if self.next_producer_id == self.reserved_producer_id {
            self.reserved_producer_id += PRODUCER_ID_BLOCK;
            self.save()?;
        }
        let id = self.next_producer_id;
        self.next_producer_id += 1;
        Ok(id)
    }

    fn save(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let Self { cluster_id, epoch, .. } = self;
        let producer_id = self.reserved_producer_id;
        replace(
            path,
            &format!("cluster.id={cluster_id}\nepoch={epoch}\nproducer.id={producer_id}\n"),
        )
    }
}

/// The text of a file, if it exists.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::data(path, source)),
    }
}

/// Replaces a file so that a crash leaves either the old text or the new.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let unfinished = path.with_extension("new");
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(|source| Error::data(path, source))
}
