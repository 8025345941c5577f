//! A file of entries, the later of which correct the earlier; written anew when it has grown too long.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use bytes::{Buf, BufMut, Bytes};
use tracing::warn;

/// The journal is written anew when it has this many entries, and twice as many as there is to keep.
const ENTRIES_MIN: usize = 10_000;

/// A journal in the data directory.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    entries: usize,
}

impl Journal {
    /// Opens the journal, and gives what it holds. An end that was not written whole is cut off.
    pub(crate) fn open(path: PathBuf) -> io::Result<(Self, Vec<Bytes>)> {
        let mut rest = match fs::read(&path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(error),
        };
        let written_bytes = rest.len();
        let entries: Vec<Bytes> = std::iter::from_fn(|| take_entry(&mut rest)).collect();
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        if !rest.is_empty() {
            warn!(?path, lost_bytes = rest.len(), "torn end of a journal cut off");
            file.set_len((written_bytes - rest.len()) as u64)?;
        }
        let journal = Self {
            path,
            file,
            entries: entries.len(),
        };
        Ok((journal, entries))
    }

    /// Appends entries with one write.
    pub(crate) fn append(&mut self, entries: &[Vec<u8>]) -> io::Result<()> {
        self.entries += entries.len();
        self.file.write_all(&framed(entries))
    }

    /// Whether it is worth being written anew, when so many entries would do.
    pub(crate) fn is_long(&self, live: usize) -> bool {
        self.entries > (2 * live).max(ENTRIES_MIN)
    }

    /// Replaces everything in it.
    pub(crate) fn rewrite(&mut self, entries: &[Vec<u8>]) -> io::Result<()> {
        let unfinished = self.path.with_extension("new");
        let mut file = File::create(&unfinished)?;
        file.write_all(&framed(entries))?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.entries = entries.len();
        Ok(())
    }

    /// Brings it to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn framed(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        put_bytes(&mut bytes, entry);
    }
    bytes
}

fn take_entry(from: &mut Bytes) -> Option<Bytes> {
    let mut ahead = from.clone();
    let entry = take_bytes(&mut ahead)?;
    *from = ahead;
    Some(entry)
}

/// Appends bytes with their length in front.
pub(super) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    into.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    into.put_slice(bytes);
}

/// Takes bytes with their length in front, if they are there.
pub(super) fn take_bytes(from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32().ok()?).ok()?;
    (from.len() >= length).then(|| from.split_to(length))
}

/// Takes text with its length in front, if it is there.
pub(super) fn take_text(from: &mut Bytes) -> Option<String> {
    String::from_utf8(take_bytes(from)?.into()).ok()
}

/// Appends text that may be missing.
pub(super) fn put_optional(into: &mut Vec<u8>, text: Option<&str>) {
    into.put_u8(u8::from(text.is_some()));
    put_bytes(into, text.unwrap_or_default().as_bytes());
}

/// Takes text that may be missing: nothing at the end of the entry.
pub(super) fn take_optional(from: &mut Bytes) -> Option<Option<String>> {
    let present = from.try_get_u8().ok()? == 1;
    let text = take_text(from)?;
    Some(present.then_some(text))
}
