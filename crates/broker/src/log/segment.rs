//! A stretch of a partition's log: its batches in memory or in a file.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use kstreams_wire::batch::BatchHeader;

use super::at::{read_exact_at, write_all_at};
use super::index::{Index, Limit};

/// Blocks of memory grow from the first to the second size, so that an idle partition costs little.
const BLOCK_BYTES_MIN: usize = 4 * 1024;
const BLOCK_BYTES_MAX: usize = 256 * 1024;

/// Ends the name of a segment that compaction has not finished.
pub(super) const UNFINISHED: &str = "cleaned";

/// Consecutive batches of one partition.
#[derive(Debug)]
pub(crate) struct Segment {
    base_offset: i64,
    index: Index,
    body: Body,
    /// When the first batch came, by the broker's clock: `segment.ms` counts from here.
    pub(crate) created_ms: i64,
    /// When the latest batch came: tombstones are kept for a while after.
    pub(crate) appended_ms: i64,
}

#[derive(Debug)]
enum Body {
    Memory {
        batches: VecDeque<Bytes>,
        block: BytesMut,
        block_bytes: usize,
    },
    File {
        file: File,
        path: PathBuf,
    },
}

impl Segment {
    /// An empty segment: in a new file of the directory, or in memory without one.
    pub(crate) fn create(directory: Option<&Path>, base_offset: i64, now_ms: i64) -> io::Result<Self> {
        let body = match directory {
            None => Body::Memory {
                batches: VecDeque::new(),
                block: BytesMut::new(),
                block_bytes: BLOCK_BYTES_MIN,
            },
            Some(directory) => {
                let path = directory.join(file_name(base_offset));
                Body::File {
                    file: open_new(&path)?,
                    path,
                }
            }
        };
        Ok(Self {
            base_offset,
            index: Index::default(),
            body,
            created_ms: now_ms,
            appended_ms: now_ms,
        })
    }

    /// A segment that compaction makes. In a directory its file has another name until it is whole.
    pub(crate) fn unfinished(directory: Option<&Path>, base_offset: i64, now_ms: i64) -> io::Result<Self> {
        let mut segment = Self::create(None, base_offset, now_ms)?;
        if let Some(directory) = directory {
            let path = directory.join(file_name(base_offset)).with_extension(UNFINISHED);
            segment.body = Body::File {
                file: open_new(&path)?,
                path,
            };
        }
        Ok(segment)
    }

    /// A segment whose file was read before.
    pub(crate) fn recovered(base_offset: i64, index: Index, file: File, path: PathBuf, modified_ms: i64) -> Self {
        Self {
            base_offset,
            index,
            body: Body::File { file, path },
            created_ms: modified_ms,
            appended_ms: modified_ms,
        }
    }

    /// Stores a batch. `edit` gives the stored bytes the broker's marks; `header` has them already.
    pub(crate) fn append(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        edit: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match &mut self.body {
            Body::Memory {
                batches,
                block,
                block_bytes,
            } => {
                if block.capacity() < batch.len() {
                    *block = BytesMut::with_capacity(batch.len().max(*block_bytes));
                    *block_bytes = (*block_bytes * 2).min(BLOCK_BYTES_MAX);
                }
                block.extend_from_slice(batch);
                let mut stored = block.split();
                edit(&mut stored)?;
                batches.push_back(stored.freeze());
            }
            Body::File { file, .. } => {
                let mut stored = BytesMut::from(batch);
                edit(&mut stored)?;
                let end = self.index.end();
                write_all_at(file, &stored, end).inspect_err(|_| {
                    // A shorter batch that comes next would leave the rest of this one behind it. Should even cutting it
                    // off fail, recovery does it.
                    let _ = file.set_len(end);
                })?;
            }
        }
        self.index.push(header);
        Ok(())
    }

    /// Whole batches from the one that has `offset` on that begin before `until`. Slices of memory, or one read of the file.
    pub(crate) fn read(&self, offset: i64, until: i64, limit: Limit, into: &mut Vec<Bytes>) -> io::Result<usize> {
        let range = self.index.select(offset, until, limit);
        if range.is_empty() {
            return Ok(0);
        }
        match &self.body {
            Body::Memory { batches, .. } => {
                let slices = batches.range(range);
                let sizes = slices.clone().map(Bytes::len);
                let bytes = sizes.sum();
                into.extend(slices.cloned());
                Ok(bytes)
            }
            Body::File { file, .. } => {
                let entries = self.index.entries().range(range);
                let bytes = entries.clone().map(|entry| entry.bytes).sum();
                let position = entries.clone().next().map_or(0, |entry| entry.position);
                let mut read = vec![0; bytes];
                read_exact_at(file, &mut read, position)?;
                into.push(read.into());
                Ok(bytes)
            }
        }
    }

    /// Its batches, for a reader on another thread.
    pub(crate) fn source(&self) -> io::Result<Source> {
        let body = match &self.body {
            Body::Memory { batches, .. } => SourceBody::Memory(batches.iter().cloned().collect()),
            Body::File { file, .. } => {
                let places = self.index.entries().iter().map(|entry| (entry.position, entry.bytes));
                SourceBody::File(file.try_clone()?, places.collect())
            }
        };
        Ok(Source {
            base_offset: self.base_offset,
            appended_ms: self.appended_ms,
            body,
        })
    }

    /// The offset with which it starts; its first batch may be later.
    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Where its batches are.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Whether it has no batch.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.entries().is_empty()
    }

    /// Gives back the memory of batches that end before `offset`. Files are only deleted whole.
    pub(crate) fn trim(&mut self, offset: i64) {
        if let Body::Memory { batches, .. } = &mut self.body {
            let gone = self.index.trim(offset);
            batches.drain(..gone);
        }
    }

    /// Forces what was written to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match &self.body {
            Body::Memory { .. } => Ok(()),
            Body::File { file, .. } => file.sync_all(),
        }
    }

    /// Takes the place of the segment of the same base offset; both are files or neither is.
    pub(crate) fn install(&mut self, directory: Option<&Path>) -> io::Result<()> {
        if let (Body::File { path, file }, Some(directory)) = (&mut self.body, directory) {
            file.sync_all()?;
            let to = directory.join(file_name(self.base_offset));
            fs::rename(&*path, &to)?;
            *path = to;
        }
        Ok(())
    }

    /// Deletes its file.
    pub(crate) fn delete(self) -> io::Result<()> {
        match self.body {
            Body::Memory { .. } => Ok(()),
            Body::File { path, .. } => fs::remove_file(path),
        }
    }
}

/// The batches of a segment as they were when somebody asked.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) base_offset: i64,
    pub(crate) appended_ms: i64,
    body: SourceBody,
}

#[derive(Debug)]
enum SourceBody {
    Memory(Vec<Bytes>),
    File(File, Vec<(u64, usize)>),
}

impl Source {
    /// The batches in order.
    pub(crate) fn batches(&self) -> impl Iterator<Item = io::Result<Bytes>> {
        let (memory, file) = match &self.body {
            SourceBody::Memory(batches) => (Some(batches), None),
            SourceBody::File(file, places) => (None, Some((file, places))),
        };
        let stored = memory.into_iter().flatten().cloned().map(Ok);
        let read = file.into_iter().flat_map(|(file, places)| {
            places.iter().map(|(position, bytes)| {
                let mut batch = vec![0; *bytes];
                read_exact_at(file, &mut batch, *position)?;
                Ok(batch.into())
            })
        });
        stored.chain(read)
    }
}

fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
}

/// Kafka's file name of a segment.
pub(crate) fn file_name(base_offset: i64) -> String {
    format!("{base_offset:020}.log")
}
