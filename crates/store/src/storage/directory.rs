//! The state directory: its lock, its process id, its permissions.
//!
//! Names and contents are those of Kafka Streams: `.lock`, held by one process, and `kafka-streams-process-metadata`.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::error::{Error, Result};

const LOCK: &str = ".lock";
const PROCESS: &str = "kafka-streams-process-metadata";

/// A state directory that this process has locked.
pub(super) struct Directory {
    path: PathBuf,
    process_id: String,
    /// The lock ends when the file is closed.
    _lock: File,
}

impl Directory {
    /// Creates the directory if need be, and locks it.
    pub(super) fn open(path: &Path, process_id: &str) -> Result<Self> {
        create(path).map_err(|source| failed_to("create", path, source))?;
        let lock = lock(path)?;
        Ok(Self {
            path: path.to_owned(),
            process_id: kept_process_id(path, process_id)?,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
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

fn lock(path: &Path) -> Result<File> {
    let file = path.join(LOCK);
    let opened = File::options().create(true).truncate(false).write(true).open(&file);
    let opened = opened.map_err(|source| failed_to("open", &file, source))?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => Err(Error::DirectoryLocked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed_to("lock", &file, source)),
    }
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
