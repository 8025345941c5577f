//! Committed offsets, in memory and in a journal that survives the broker.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use bytes::{Buf, BufMut, Bytes};

use super::journal::{Journal, put_bytes, take_text};

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

/// One entry of the journal: a commit, or with nothing committed a deletion.
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
        let Some(path) = path else {
            return Ok(offsets);
        };
        let (journal, entries) = Journal::open(path)?;
        for entry in entries.into_iter().filter_map(Entry::read) {
            offsets.apply(entry);
        }
        offsets.journal = Some(journal);
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
        self.journal.as_ref().map_or(Ok(()), Journal::sync)
    }

    fn write(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(&entries.iter().map(Entry::to_bytes).collect::<Vec<_>>())?;
        }
        entries.into_iter().for_each(|entry| self.apply(entry));
        let live = self.groups.values().map(BTreeMap::len).sum();
        if let Some(journal) = &mut self.journal {
            let entries = self.groups.iter().flat_map(|(group, offsets)| {
                offsets.iter().map(|(place, committed)| Entry {
                    group: group.clone(),
                    place: place.clone(),
                    committed: Some(committed.clone()),
                })
            });
            journal.shorten(live, || entries.map(|entry| entry.to_bytes()).collect());
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
}

impl Entry {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, self.group.as_bytes());
        put_bytes(&mut bytes, self.place.0.as_bytes());
        bytes.put_i32(self.place.1);
        if let Some(committed) = &self.committed {
            bytes.put_i64(committed.offset);
            bytes.put_i32(committed.leader_epoch);
            put_bytes(&mut bytes, committed.metadata.as_bytes());
        }
        bytes
    }

    /// The entry in these bytes, if they are one.
    fn read(mut bytes: Bytes) -> Option<Self> {
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
        Some(Self {
            group,
            place,
            committed,
        })
    }
}
