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
    bytes: u64,
    entries: usize,
    /// A write failed half-way, and what it left could not be cut off either.
    is_torn: bool,
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
        let bytes = (written_bytes - rest.len()) as u64;
        if !rest.is_empty() {
            warn!(?path, lost_bytes = rest.len(), "torn end of a journal cut off");
            file.set_len(bytes)?;
        }
        let journal = Self {
            path,
            file,
            bytes,
            entries: entries.len(),
            is_torn: false,
        };
        Ok((journal, entries))
    }

    /// Appends entries with one write: all of them, or on an error none.
    pub(crate) fn append(&mut self, entries: &[Vec<u8>]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.bytes)?;
            self.is_torn = false;
        }
        let bytes = framed(entries);
        if let Err(error) = self.file.write_all(&bytes) {
            // What follows half an entry could never be read again.
            self.is_torn = self.file.set_len(self.bytes).is_err();
            return Err(error);
        }
        self.bytes += bytes.len() as u64;
        self.entries += entries.len();
        Ok(())
    }

    /// Replaces everything in it, if it is worth it: so many entries would do. A failure costs room, nothing else.
    pub(crate) fn shorten(&mut self, live: usize, entries: impl FnOnce() -> Vec<Vec<u8>>) {
        if self.entries <= (2 * live).max(ENTRIES_MIN) {
            return;
        }
        if let Err(error) = self.rewrite(&entries()) {
            warn!(path = ?self.path, %error, "could not shorten a journal");
        }
    }

    fn rewrite(&mut self, entries: &[Vec<u8>]) -> io::Result<()> {
        let unfinished = self.path.with_extension("new");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).append(true).open(&unfinished)?;
        let bytes = framed(entries);
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        self.file = file;
        self.bytes = bytes.len() as u64;
        self.entries = entries.len();
        self.is_torn = false;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_entry_does_not_take_the_next_ones_along() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (mut journal, _) = Journal::open(path.clone()).unwrap();
        journal.append(&[b"first".to_vec()]).unwrap();
        // As on a full disk: the write ends half-way, and nothing can be done about it at once.
        journal.file = File::open(&path).unwrap();
        journal.append(&[b"lost".to_vec()]).unwrap_err();
        let writable = || OpenOptions::new().append(true).open(&path).unwrap();
        writable().write_all(b"\0\0\0\x04lo").unwrap();
        journal.file = writable();
        journal.append(&[b"second".to_vec()]).unwrap();
        let (_, entries) = Journal::open(path.clone()).unwrap();
        assert_eq!(entries, ["first", "second"]);
    }

    #[test]
    fn a_shortened_journal_takes_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (mut journal, _) = Journal::open(path.clone()).unwrap();
        journal.append(&vec![b"old".to_vec(); ENTRIES_MIN + 1]).unwrap();
        journal.shorten(1, || vec![b"kept".to_vec()]);
        journal.shorten(1, || panic!("it is short"));
        journal.append(&[b"new".to_vec()]).unwrap();
        let (_, entries) = Journal::open(path).unwrap();
        assert_eq!(entries, ["kept", "new"]);
    }
}
