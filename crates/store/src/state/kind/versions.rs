//! The versions of a versioned store: a chain per key, each version valid until the next begins.
//!
//! The latest version lies in a row of its own, an older one in the row of the segment in which it ended. So forgetting is
//! the deletion of whole segments, and reading the latest version is reading one row.

use crate::error::Result;
use crate::layout::versioned::{self, Chain, Draft, LATEST};
use crate::output::Output;
use crate::range::KeyRange;
use crate::record::{ChangelogRecord, Logged, NO_HEADERS};
use crate::spec::{Kind, VersionedLayout};
use crate::state::below::Below;
use crate::state::kind::{OTHER_KIND, Row};
use std::mem;

/// The row of the store's time. It is shorter than any other's key.
const TIME: &[u8] = b"t";

/// What became of a version that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is stored, and valid until a later version begins at this time.
    ValidTo(i64),
    /// It is stored, and the latest.
    Latest,
    /// It is older than the store's history: it was logged, but not stored.
    TooOld,
}

/// A version of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// The value; `None` where the key is deleted.
    pub value: Option<&'a [u8]>,
    /// When it began, in milliseconds.
    pub timestamp: i64,
    /// When the next one began; `None` if it is the latest.
    pub valid_to: Option<i64>,
}

/// A versioned store's operations on its rows.
pub struct Versions<'a> {
    below: &'a mut Below,
    /// The row read last.
    row: &'a mut Vec<u8>,
    /// The key of the row read or written last.
    key: &'a mut Vec<u8>,
    layout: VersionedLayout,
}

impl<'a> Versions<'a> {
    pub(super) fn new(below: &'a mut Below, row: &'a mut Row) -> Self {
        let Kind::Versioned(layout) = below.identity().kind else {
            panic!("{OTHER_KIND}");
        };
        Self {
            below,
            row: &mut row.value,
            key: &mut row.key,
            layout,
        }
    }

    /// Puts a version that begins at `timestamp`; `None` deletes the key from then on. It is logged in any case.
    pub fn put(
        &mut self,
        output: &mut dyn Output,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: i64,
    ) -> Result<PutOutcome> {
        self.below.send(
            output,
            Logged {
                key,
                value,
                timestamp: Some(timestamp),
                headers: &NO_HEADERS,
            },
        )?;
        let outcome = self.apply(key, value, timestamp)?;
        self.below.too_old += u64::from(outcome == PutOutcome::TooOld);
        Ok(outcome)
    }

    /// The latest version.
    pub fn latest(&mut self, key: &[u8]) -> Result<Option<Version<'_>>> {
        if !self.read(LATEST, key)? {
            return Ok(None);
        }
        let (timestamp, value) = self.split_latest()?;
        Ok(Some(Version {
            value: Some(value),
            timestamp,
            valid_to: None,
        }))
    }

    /// The version that was valid at `time`. Where that is before the history only the latest version is known.
    pub fn at(&mut self, key: &[u8], time: i64) -> Result<Option<Version<'_>>> {
        if self.read(LATEST, key)? {
            let (timestamp, _) = self.split_latest()?;
            if timestamp <= time {
                return self.latest(key);
            }
        }
        let observed = self.observed()?;
        if time < self.history_start(observed) {
            return Ok(None);
        }
        self.row.clear();
        for segment in self.segments(time, observed).rev() {
            if !self.read(segment, key)? {
                continue;
            }
            let chain = self.chain()?;
            if chain.next() <= time {
                return Ok(None);
            }
            if chain.min() <= time {
                break;
            }
            self.row.clear();
        }
        let Some(chain) = Chain::new(self.row) else {
            return Ok(None);
        };
        let held = chain.versions().find(|held| held.from <= time && time < held.to);
        Ok(held.filter(|held| held.value.is_some()).map(|held| Version {
            value: held.value,
            timestamp: held.from,
            valid_to: Some(held.to),
        }))
    }

    /// Calls `each` with every version that was valid between `from` and `to`, both inclusive, newest first. Times at
    /// which the key was deleted are left out. Where `to` is before the history only the latest version is known.
    pub fn between(&mut self, key: &[u8], (from, to): (i64, i64), each: &mut dyn FnMut(Version<'_>)) -> Result<()> {
        let observed = self.observed()?;
        if let Some(latest) = self.latest(key)?
            && latest.timestamp <= to
        {
            each(latest);
        }
        if to < self.history_start(observed) {
            return Ok(());
        }
        for segment in self.segments(from, observed).rev() {
            if !self.read(segment, key)? {
                continue;
            }
            for held in self.chain()?.versions() {
                if held.value.is_some() && held.from <= to && held.to > from {
                    each(Version {
                        value: held.value,
                        timestamp: held.from,
                        valid_to: Some(held.to),
                    });
                }
            }
        }
        Ok(())
    }

    /// The largest timestamp that was put, whatever the key; −1 before the first.
    pub fn observed(&mut self) -> Result<i64> {
        let mut row = mem::take(self.row);
        let known = self.below.read(TIME, &mut row)?;
        let time = row.first_chunk().map_or(-1, |time| i64::from_be_bytes(*time));
        *self.row = row;
        Ok(if known { time } else { -1 })
    }

    pub(super) fn restore(&mut self, record: &ChangelogRecord<'_>) -> Result<()> {
        self.apply(record.key, record.value, record.timestamp).map(|_| ())
    }

    fn apply(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) -> Result<PutOutcome> {
        let mut observed = self.observed()?;
        if timestamp < self.history_start(observed) {
            return Ok(PutOutcome::TooOld);
        }
        if timestamp > observed {
            self.advance(observed, timestamp)?;
            observed = timestamp;
        }
        let mut ends = None;
        if self.read(LATEST, key)? {
            let (latest, _) = self.split_latest()?;
            if timestamp >= latest {
                self.replace_latest(key, value, (timestamp, observed))?;
                if value.is_none() && !self.layout.java_quirks {
                    // The version may have been the only one: then nothing tells yet when the key was deleted.
                    return self.put_first(key, None, timestamp);
                }
                return Ok(PutOutcome::Latest);
            }
            ends = Some(latest);
        }
        for segment in self.segments(timestamp, observed).rev() {
            if !self.read(segment, key)? {
                continue;
            }
            let chain = self.chain()?;
            if chain.next() <= timestamp {
                break;
            }
            if chain.min() <= timestamp {
                return self.put_within(key, value, (timestamp, segment, observed));
            }
            if chain.min() < self.history_start(observed) {
                return Ok(PutOutcome::TooOld);
            }
            ends = Some(chain.min());
        }
        match ends {
            Some(ends) => self.put_before(key, value, (timestamp, ends, observed)),
            None => self.put_first(key, value, timestamp),
        }
    }

    /// The latest version ends where the new one begins, and goes into a segment.
    fn replace_latest(&mut self, key: &[u8], value: Option<&[u8]>, (timestamp, observed): (i64, i64)) -> Result<()> {
        let row = mem::take(self.row);
        let (from, ended) = versioned::split_latest(&row).ok_or_else(|| self.below.identity().malformed())?;
        if timestamp > from {
            self.append(key, (from, timestamp, Some(ended)), observed)?;
        }
        *self.row = row;
        self.set_latest(key, value, timestamp);
        Ok(())
    }

    fn set_latest(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) {
        if let Some(value) = value {
            versioned::join_latest(timestamp, value, self.row);
        }
        row_key(self.key, LATEST, key);
        self.below
            .buffer(self.key, value.is_some().then_some(self.row.as_slice()));
    }

    /// Adds a version to the segment in which it ended, as the newest there; not if that segment is forgotten.
    fn append(&mut self, key: &[u8], (from, to, value): (i64, i64, Option<&[u8]>), observed: i64) -> Result<()> {
        let segment = self.segment(to);
        if segment < self.first_segment(observed) {
            return Ok(());
        }
        let known = self.read(segment, key)?;
        let before = mem::take(self.row);
        let draft = if known {
            let mut draft = Draft::from(self.chain_of(&before)?);
            draft.push_newest(from, to, value);
            draft
        } else {
            Draft::of(from, to, value)
        };
        self.write(segment, key, &draft);
        Ok(())
    }

    /// The version lies between others of this segment, whose row was read.
    fn put_within(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        (timestamp, segment, observed): (i64, i64, i64),
    ) -> Result<PutOutcome> {
        let before = mem::take(self.row);
        let chain = self.chain_of(&before)?;
        let found = chain
            .versions()
            .find(|held| held.from <= timestamp && timestamp < held.to);
        let Some(held) = found else {
            return Err(self.below.identity().malformed());
        };
        let mut draft = Draft::from(chain);
        if held.from < timestamp && self.segment(timestamp) != segment {
            // The version before it now ends in an older segment.
            self.append(key, (held.from, timestamp, held.value), observed)?;
            draft.cut(timestamp, value);
        } else {
            draft.insert(timestamp, value);
        }
        self.write(segment, key, &draft);
        Ok(PutOutcome::ValidTo(held.to))
    }

    /// The version ends at `ends`, and no version of that segment is older.
    fn put_before(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        (timestamp, ends, observed): (i64, i64, i64),
    ) -> Result<PutOutcome> {
        let segment = self.segment(ends);
        if segment < self.first_segment(observed) {
            return Ok(PutOutcome::TooOld);
        }
        let known = self.read(segment, key)?;
        let before = mem::take(self.row);
        let draft = if known {
            let chain = self.chain_of(&before)?;
            let mut draft = Draft::from(chain);
            if chain.next() <= timestamp {
                draft.push_newest(timestamp, ends, value);
            } else {
                draft.push_oldest(timestamp, value);
            }
            draft
        } else {
            Draft::of(timestamp, ends, value)
        };
        self.write(segment, key, &draft);
        Ok(PutOutcome::ValidTo(ends))
    }

    /// No version begins later. A deletion has no latest row: it is the end of what a segment's row tells.
    fn put_first(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) -> Result<PutOutcome> {
        if value.is_some() {
            self.set_latest(key, value, timestamp);
            return Ok(PutOutcome::Latest);
        }
        let segment = self.segment(timestamp);
        let known = self.read(segment, key)?;
        let before = mem::take(self.row);
        let draft = if known {
            let chain = self.chain_of(&before)?;
            if chain.next() == timestamp {
                return Ok(PutOutcome::Latest);
            }
            let mut draft = Draft::from(chain);
            draft.push_newest(chain.next(), timestamp, None);
            draft
        } else {
            Draft::of(timestamp, timestamp, None)
        };
        self.write(segment, key, &draft);
        Ok(PutOutcome::Latest)
    }

    /// The store's time moves on. What is in segments that are older than the history is forgotten.
    fn advance(&mut self, before: i64, now: i64) -> Result<()> {
        self.below.buffer(TIME, Some(&now.to_be_bytes()));
        let (from, to) = (self.first_segment(before), self.first_segment(now));
        if from == to {
            return Ok(());
        }
        let range = KeyRange::half_open_between(&from.to_be_bytes(), &to.to_be_bytes());
        let mut forgotten = Vec::new();
        let mut rows = self.below.rows(&range)?;
        while let Some((key, _)) = rows.next_entry()? {
            forgotten.push(key.to_vec());
        }
        drop(rows);
        for key in forgotten {
            self.below.buffer(&key, None);
        }
        Ok(())
    }

    fn write(&mut self, segment: i64, key: &[u8], draft: &Draft<'_>) {
        draft.write(self.row);
        row_key(self.key, segment, key);
        self.below.buffer(self.key, Some(self.row));
    }

    /// Reads a row; says whether there is one.
    fn read(&mut self, segment: i64, key: &[u8]) -> Result<bool> {
        row_key(self.key, segment, key);
        self.below.read(self.key, self.row)
    }

    fn split_latest(&self) -> Result<(i64, &[u8])> {
        versioned::split_latest(self.row).ok_or_else(|| self.below.identity().malformed())
    }

    fn chain(&self) -> Result<Chain<'_>> {
        self.chain_of(self.row)
    }

    fn chain_of<'r>(&self, row: &'r [u8]) -> Result<Chain<'r>> {
        Chain::new(row).ok_or_else(|| self.below.identity().malformed())
    }

    fn history_start(&self, observed: i64) -> i64 {
        observed.saturating_sub(self.layout.history_ms)
    }

    fn segment(&self, time: i64) -> i64 {
        time.max(0) / self.layout.segment_ms.max(1)
    }

    /// The oldest segment that is not forgotten.
    fn first_segment(&self, observed: i64) -> i64 {
        self.segment(self.history_start(observed))
    }

    /// The segments in which versions may be that ended at `time` or later.
    fn segments(&self, time: i64, observed: i64) -> std::ops::RangeInclusive<i64> {
        self.segment(time).max(self.first_segment(observed))..=self.segment(observed)
    }
}

fn row_key(out: &mut Vec<u8>, segment: i64, key: &[u8]) {
    out.clear();
    out.extend_from_slice(&segment.to_be_bytes());
    out.extend_from_slice(key);
}
