//! The state directory: its lock, its process id, its permissions.
//!
//! Names and contents are those of Kafka Streams: `.lock`, held by one process, and `kafka-streams-process-metadata`.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing::warn;

use crate::error::{Error, Result};

const LOCK: &str = ".lock";
const PROCESS: &str = "kafka-streams-process-metadata";

/// A state directory that this process has locked.
pub(super) struct Directory {
    path: PathBuf,
    process_id: String,
    /// The lock ends when the file is closed.
    lock: Lock,
}

impl Directory {
    /// Creates the directory if need be, and locks it.
    pub(super) fn open(path: &Path, process_id: &str) -> Result<Self> {
        create(path).map_err(|source| failed_to("create", path, source))?;
        let lock = lock(path)?;
        Ok(Self {
            path: path.to_owned(),
            process_id: kept_process_id(path, process_id)?,
            lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the directory is still the one that was locked.
    pub(super) fn verify(&self) -> Result<()> {
        match self.lock.is_in_place(&self.path.join(LOCK)) {
            true => Ok(()),
            false => Err(Error::DirectoryLost {
                path: self.path.clone(),
            }),
        }
    }

    pub(super) fn process_id(&self) -> &str {
        &self.process_id
    }
}

/// Removes a state directory that no process has locked.
pub(super) fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let _lock = lock(path)?;
    fs::remove_dir_all(path).map_err(|source| failed_to("remove", path, source))
}

/// The directories that this process has locked. The kind of lock that Java takes is the process's: a second one would be
/// given, and end the first one when its file is closed.
static LOCKED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The lock of a directory.
struct Lock {
    file: File,
    /// Dropped behind the file.
    _noted: Noted,
}

/// Keeps a directory among those that this process has locked.
struct Noted(PathBuf);

impl Noted {
    fn new(directory: PathBuf) -> Option<Self> {
        let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
        // Only what is kept is made: letting go of it takes the lock again.
        locked.insert(directory.clone()).then(|| Self(directory))
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        LOCKED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

impl Lock {
    /// Whether the lock's file is still what stands at `path`.
    #[cfg(unix)]
    fn is_in_place(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    #[cfg(not(unix))]
    fn is_in_place(&self, path: &Path) -> bool {
        path.exists()
    }
}

fn lock(path: &Path) -> Result<Lock> {
    let file = path.join(LOCK);
    let taken = || Error::DirectoryLocked { path: path.to_owned() };
    let canonical = fs::canonicalize(path).map_err(|source| failed_to("find", path, source))?;
    let noted = Noted::new(canonical).ok_or_else(taken)?;
    let opened = File::options().create(true).truncate(false).write(true).open(&file);
    let opened = opened.map_err(|source| failed_to("open", &file, source))?;
    match opened.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(taken()),
        Err(TryLockError::Error(source)) => return Err(failed_to("lock", &file, source)),
    }
    match lock_as_java(&opened) {
        Ok(()) => Ok(Lock {
            file: opened,
            _noted: noted,
        }),
        Err(source) if source.kind() == io::ErrorKind::WouldBlock => Err(taken()),
        Err(source) => Err(failed_to("lock", &file, source)),
    }
}

/// Takes the lock that Java's `FileChannel` takes: another kind than the one of `File::try_lock`, and neither sees the other.
#[cfg(unix)]
fn lock_as_java(file: &File) -> io::Result<()> {
    use rustix::fs::{FlockOperation, fcntl_lock};
    use rustix::io::Errno;
    match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::ACCESS) => Err(io::ErrorKind::WouldBlock.into()),
        locked => Ok(locked?),
    }
}

#[cfg(not(unix))]
fn lock_as_java(_file: &File) -> io::Result<()> {
    Ok(())
}

/// The id in the process file, or, if there is none that can be read, the proposed one, which is written there.
fn kept_process_id(path: &Path, proposed: &str) -> Result<String> {
    let file = path.join(PROCESS);
    match fs::read_to_string(&file) {
        Ok(text) => match process_id(&text) {
            Some(id) => return Ok(id.to_owned()),
            None => warn!(file = %file.display(), "unreadable, taking a new process id"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed_to("read", &file, source)),
    }
    let written = fs::write(&file, format!("{{\"processId\":\"{proposed}\"}}"));
    written.map_err(|source| failed_to("write", &file, source))?;
    Ok(proposed.to_owned())
}

/// The value of `processId` in a line of JSON. A UUID has no character that JSON escapes.
fn process_id(text: &str) -> Option<&str> {
    let (_, behind) = text.split_once("\"processId\"")?;
    let value = behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (id, _) = value.split_once('"')?;
    let is_uuid = id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    is_uuid.then_some(id)
}

fn failed_to(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Directory {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Creates a directory and its parents. Those that are new, and the directory itself, are for the owner, and readable
/// for the group.
#[cfg(unix)]
fn create(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o750).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o750))
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}
