//! Committed offsets, in memory and in a journal that survives the broker.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};
use tracing::warn;

/// The journal is written anew when it has this many entries, and twice as many as there are offsets.
const ENTRIES_MIN: usize = 10_000;

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// A topic's name and a partition's number.
pub(crate) type Place = (String, i32);

/// The committed offsets of all groups.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    groups: BTreeMap<String, BTreeMap<Place, Committed>>,
    journal: Option<Journal>,
}

#[derive(Debug)]
struct Journal {
    path: PathBuf,
    file: File,
    entries: usize,
}

/// One line of the journal: a commit, or with nothing committed a deletion.
#[derive(Debug)]
struct Entry {
    group: String,
    place: Place,
    committed: Option<Committed>,
}

impl Offsets {
    /// The offsets in this journal, or in memory alone.
    pub(crate) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let mut offsets = Self::default();
        let Some(path) = path else { return Ok(offsets) };
        let stored = match fs::read(&path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(error),
        };
        let mut rest = stored;
        while let Some(entry) = Entry::read(&mut rest) {
            offsets.apply(entry);
        }
        if !rest.is_empty() {
            warn!(
                ?path,
                lost_bytes = rest.len(),
                "torn end of the committed offsets cut off"
            );
        }
        offsets.journal = Some(offsets.rewrite(&path)?);
        Ok(offsets)
    }

    /// What a group has committed for a partition.
    pub(crate) fn find(&self, group: &str, place: &Place) -> Option<&Committed> {
        self.groups.get(group)?.get(place)
    }

    /// All that a group has committed.
    pub(crate) fn of_group(&self, group: &str) -> impl Iterator<Item = (&Place, &Committed)> {
        self.groups.get(group).into_iter().flatten()
    }

    /// The groups that have committed something.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Whether a group has committed something.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Commits.
    pub(crate) fn commit(&mut self, group: &str, commits: Vec<(Place, Committed)>) -> io::Result<()> {
        let entries = commits.into_iter().map(|(place, committed)| Entry {
            group: group.to_owned(),
            place,
            committed: Some(committed),
        });
        self.write(entries.collect())
    }

    /// Forgets what a group has committed for some partitions.
    pub(crate) fn forget(&mut self, group: &str, places: Vec<Place>) -> io::Result<()> {
        let entries = places.into_iter().map(|place| Entry {
            group: group.to_owned(),
            place,
            committed: None,
        });
        self.write(entries.collect())
    }

    /// Forgets all that a group has committed.
    pub(crate) fn forget_group(&mut self, group: &str) -> io::Result<()> {
        let places = self.of_group(group).map(|(place, _)| place.clone()).collect();
        self.forget(group, places)
    }

    /// Forgets all that was committed for a topic: it is deleted, and its successor begins at 0.
    pub(crate) fn forget_topic(&mut self, topic: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        for (group, offsets) in &self.groups {
            let places = offsets.keys().filter(|(name, _)| name == topic);
            entries.extend(places.map(|place| Entry {
                group: group.clone(),
                place: place.clone(),
                committed: None,
            }));
        }
        self.write(entries)
    }

    /// Brings the journal to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.file.sync_all())
    }

    fn write(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            let mut bytes = Vec::new();
            entries.iter().for_each(|entry| entry.write(&mut bytes));
            journal.file.write_all(&bytes)?;
            journal.entries += entries.len();
        }
        entries.into_iter().for_each(|entry| self.apply(entry));
        let live: usize = self.groups.values().map(BTreeMap::len).sum();
        if let Some(journal) = self
            .journal
            .as_ref()
            .filter(|journal| journal.entries > (2 * live).max(ENTRIES_MIN))
        {
            self.journal = Some(self.rewrite(&journal.path)?);
        }
        Ok(())
    }

    fn apply(&mut self, entry: Entry) {
        match entry.committed {
            Some(committed) => {
                self.groups
                    .entry(entry.group)
                    .or_default()
                    .insert(entry.place, committed);
            }
            None => {
                let Some(offsets) = self.groups.get_mut(&entry.group) else {
                    return;
                };
                offsets.remove(&entry.place);
                if offsets.is_empty() {
                    self.groups.remove(&entry.group);
                }
            }
        }
    }

    /// Writes a journal of just what is committed now, in place of the old one.
    fn rewrite(&self, path: &Path) -> io::Result<Journal> {
        let mut bytes = Vec::new();
        let mut entries = 0;
        for (group, offsets) in &self.groups {
            for (place, committed) in offsets {
                let entry = Entry {
                    group: group.clone(),
                    place: place.clone(),
                    committed: Some(committed.clone()),
                };
                entry.write(&mut bytes);
                entries += 1;
            }
        }
        let unfinished = path.with_extension("new");
        let mut file = File::create(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        Ok(Journal {
            file: OpenOptions::new().append(true).open(path)?,
            path: path.to_owned(),
            entries,
        })
    }
}

/// Entries are: length, then group, topic, partition, and for a commit offset, epoch and metadata.
impl Entry {
    fn write(&self, into: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        put_text(&mut bytes, &self.group);
        put_text(&mut bytes, &self.place.0);
        bytes.put_i32(self.place.1);
        if let Some(committed) = &self.committed {
            bytes.put_i64(committed.offset);
            bytes.put_i32(committed.leader_epoch);
            put_text(&mut bytes, &committed.metadata);
        }
        into.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        into.extend(bytes);
    }

    /// The next entry; none at the end, and at one that was not written whole.
    fn read(from: &mut Bytes) -> Option<Self> {
        let mut ahead = from.clone();
        let length = usize::try_from(ahead.try_get_u32().ok()?).ok()?;
        if ahead.len() < length {
            return None;
        }
        let mut bytes = ahead.split_to(length);
        let group = take_text(&mut bytes)?;
        let place = (take_text(&mut bytes)?, bytes.try_get_i32().ok()?);
        let committed = match bytes.has_remaining() {
            false => None,
            true => Some(Committed {
                offset: bytes.try_get_i64().ok()?,
                leader_epoch: bytes.try_get_i32().ok()?,
                metadata: take_text(&mut bytes)?,
            }),
        };
        *from = ahead;
        Some(Self {
            group,
            place,
            committed,
        })
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    bytes.put_slice(text.as_bytes());
}

fn take_text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    if bytes.len() < length {
        return None;
    }
    String::from_utf8(bytes.split_to(length).into()).ok()
}
