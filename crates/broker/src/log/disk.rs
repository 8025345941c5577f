//! Brings a log back from its directory, and to the disk.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use kstreams_wire::batch::control::Control;
use kstreams_wire::batch::{Batch, BatchHeader, HEADER_BYTES};
use tracing::{info, warn};

use super::Outcome;
use super::PartitionLog;
use super::index::Index;
use super::segment::{Segment, UNFINISHED, file_name};

/// Holds the first readable offset, where that is not the start of a file.
const START_FILE: &str = "log-start-offset";

impl PartitionLog {
    /// Reads what the directory holds. A torn end of the last segment is cut off.
    pub(super) fn recover(&mut self, now_ms: i64) -> io::Result<()> {
        if let Some(directory) = self.place.directory.clone() {
            fs::create_dir_all(&directory)?;
            let bases = segments_in(&directory)?;
            for (number, base_offset) in bases.iter().enumerate() {
                let trust = if number + 1 == bases.len() {
                    Trust::Nothing
                } else {
                    Trust::Headers
                };
                self.recover_segment(&directory, *base_offset, trust)?;
            }
            self.start = self.segments.front().map_or(0, Segment::base_offset);
            self.start = read_start(&directory)?
                .unwrap_or(0)
                .clamp(self.start, self.end.max(self.start));
        }
        if self.segments.is_empty() {
            self.roll(now_ms)?;
        }
        Ok(())
    }

    fn recover_segment(&mut self, directory: &Path, base_offset: i64, trust: Trust) -> io::Result<()> {
        let path = directory.join(file_name(base_offset));
        if base_offset < self.end {
            // Compaction merged it into the one before, and the broker was killed before it could delete it.
            info!(?path, "leftover of a compaction deleted");
            return fs::remove_file(path);
        }
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let modified = file
            .metadata()?
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let modified_ms = i64::try_from(modified.as_millis()).unwrap_or(i64::MAX);
        let mut scan = Scan::of(&file)?;
        let mut index = Index::default();
        self.end = base_offset;
        while let Some((header, control)) = scan.next(trust, self.end)? {
            index.push(&header);
            self.producers.note(&header, modified_ms);
            self.recall_transaction(&header, control)?;
            if self.epochs.last().is_none_or(|(epoch, _)| *epoch < header.leader_epoch) {
                self.epochs.push((header.leader_epoch, header.base_offset));
            }
            self.end = header.next_offset();
        }
        let bytes = file.metadata()?.len();
        if index.end() < bytes {
            warn!(
                ?path,
                kept_bytes = index.end(),
                lost_bytes = bytes - index.end(),
                "torn end of a log cut off"
            );
            file.set_len(index.end())?;
        }
        self.segments
            .push_back(Segment::recovered(base_offset, index, file, path, modified_ms));
        Ok(())
    }

    /// Takes note of what a stored batch says of transactions. `control` is the batch, if it is a control batch.
    fn recall_transaction(&mut self, header: &BatchHeader, control: Option<Batch>) -> io::Result<()> {
        let Some(batch) = control else {
            if header.attributes.is_transactional() {
                self.transactions.note(header.producer_id, header.base_offset);
            }
            return Ok(());
        };
        let mut records = batch.into_records().map_err(io::Error::other)?;
        while let Some(record) = records.next().map_err(io::Error::other)? {
            let outcome = match Control::parse(&record).map_err(io::Error::other)? {
                Control::Commit(_) => Outcome::Commit,
                Control::Abort(_) => Outcome::Abort,
                Control::Other(_) => continue,
            };
            self.transactions.end(header.producer_id, outcome, record.offset);
        }
        Ok(())
    }

    /// Writes down the first readable offset.
    pub(super) fn save_start(&self) -> io::Result<()> {
        let Some(directory) = &self.place.directory else {
            return Ok(());
        };
        let unfinished = directory.join("log-start-offset.new");
        fs::write(&unfinished, self.start.to_string())?;
        fs::rename(unfinished, directory.join(START_FILE))
    }

    /// Brings the log to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.segments.iter().try_for_each(Segment::sync)
    }
}

/// How much of a file is believed.
#[derive(Clone, Copy)]
enum Trust {
    /// A later file exists, so this one was finished: headers lead from batch to batch.
    Headers,
    /// Every checksum is looked at.
    Nothing,
}

/// A walk over the batches of a file.
struct Scan<'a> {
    reader: BufReader<&'a File>,
    left: u64,
}

impl<'a> Scan<'a> {
    fn of(file: &'a File) -> io::Result<Self> {
        Ok(Self {
            left: file.metadata()?.len(),
            reader: BufReader::with_capacity(1024 * 1024, file),
        })
    }

    /// The next sound batch's header, and of a control batch all of it; none at the end or where the file makes no sense.
    fn next(&mut self, trust: Trust, end: i64) -> io::Result<Option<(BatchHeader, Option<Batch>)>> {
        if self.left < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut head = [0; HEADER_BYTES];
        self.reader.read_exact(&mut head)?;
        let Ok(header) = BatchHeader::parse(&head) else {
            return Ok(None);
        };
        let bytes = header.total_bytes();
        let follows = match trust {
            Trust::Headers => header.base_offset >= end,
            // Only compaction leaves gaps, and never in the segment that takes appends.
            Trust::Nothing => header.base_offset == end,
        };
        if bytes as u64 > self.left || bytes < HEADER_BYTES || !follows {
            return Ok(None);
        }
        self.left -= bytes as u64;
        let is_control = header.attributes.is_control();
        if let (Trust::Headers, false) = (trust, is_control) {
            self.reader.seek_relative((bytes - HEADER_BYTES) as i64)?;
            return Ok(Some((header, None)));
        }
        let mut batch = head.to_vec();
        batch.resize(bytes, 0);
        let body = batch.get_mut(HEADER_BYTES..).unwrap_or_default();
        self.reader.read_exact(body)?;
        let batch = Batch::new(Bytes::from(batch)).and_then(|batch| batch.verify_crc().map(|()| batch));
        Ok(batch.ok().map(|batch| (header, is_control.then_some(batch))))
    }
}

/// The base offsets of the segments in a directory, in order. Unfinished ones are deleted.
fn segments_in(directory: &Path) -> io::Result<Vec<i64>> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(UNFINISHED)) {
            fs::remove_file(&path)?;
        }
        let stem = path
            .file_stem()
            .and_then(OsStr::to_str)
            .filter(|_| path.extension() == Some(OsStr::new("log")));
        bases.extend(stem.and_then(|stem| stem.parse::<i64>().ok()));
    }
    bases.sort_unstable();
    Ok(bases)
}

fn read_start(directory: &Path) -> io::Result<Option<i64>> {
    match fs::read_to_string(directory.join(START_FILE)) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
