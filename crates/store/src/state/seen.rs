//! What a window or session store remembers beside its rows: the times it has seen, and what it may forget.

use crate::engine::{Cause, Engine};
use crate::layout::timed::{Rest, Row, Rows, SEEN};
use crate::spec::{EngineKind, Kind};

/// The times that a window or session store has seen. They decide what is visible, and what is dropped.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) rows: Rows,
    /// Whether rows are read in the order of time, and too old ones never stored, as Kafka Streams' stores in memory do.
    pub(super) in_memory: bool,
    /// The largest time ever put.
    observed: Option<i64>,
    /// The same as of the last commit: the engine has no row with a larger one.
    resting: Option<i64>,
    /// The number given last to a row of a store with duplicates, and whether it was for a value.
    sequence: u32,
    /// The number of the last row that got a value.
    pub(super) last_value: u32,
    /// Up to this time, itself excluded, the owner of a store that is read by time needs nothing any more.
    forgotten: Option<i64>,
    /// The first segment that may hold rows.
    live: i64,
    /// The first segment when the engine dropped segments last.
    dropped_to: i64,
    changed: bool,
    /// How many puts came too late.
    pub(super) dropped: u64,
}

/// What is written to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A value or its deletion.
    Put,
    /// The deletion of a session that another one takes the place of. It is never counted as too late.
    Removal,
    /// The row that stands for another one in the order of time.
    Index,
}

impl Seen {
    /// What a store of this kind remembers, read from its engine. `None` for kinds without times.
    pub(super) fn load(kind: Kind, engine_kind: EngineKind, engine: &dyn Engine) -> Result<Option<Self>, Cause> {
        let Some(rows) = Rows::of(kind) else {
            return Ok(None);
        };
        let mut seen = Self {
            rows,
            in_memory: engine_kind == EngineKind::Memory,
            observed: None,
            resting: None,
            sequence: 0,
            last_value: 0,
            forgotten: None,
            live: i64::MIN,
            dropped_to: i64::MIN,
            changed: false,
            dropped: 0,
        };
        let mut bytes = Vec::new();
        if engine.get(&SEEN, &mut bytes)?
            && let Some((observed, sequence)) = bytes.split_first_chunk()
        {
            seen.observed = Some(i64::from_be_bytes(*observed));
            seen.resting = seen.observed;
            seen.sequence = sequence.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            seen.live = seen.first_live();
            seen.dropped_to = seen.live;
        }
        Ok(Some(seen))
    }

    /// The largest time ever put.
    pub(super) fn observed(&self) -> Option<i64> {
        self.observed
    }

    /// Whether the engine may have rows at this time or later.
    pub(super) fn may_rest(&self, from: i64) -> bool {
        self.resting.is_some_and(|resting| from <= resting)
    }

    /// The same, with the count of what came too late taken over.
    pub(super) fn counting_from(self, dropped: u64) -> Self {
        Self { dropped, ..self }
    }

    /// Rows at this time and before are not visible. A store on disk that is read by the time of windows sees one
    /// millisecond more than others, as in Kafka Streams.
    pub(super) fn horizon(&self) -> i64 {
        let sees_more = self.rows.by_time && !self.in_memory && self.rows.rest != Rest::Start;
        self.expired_to().saturating_sub(i64::from(sees_more))
    }

    /// In Kafka Streams, rows at this time and before are lost to those who ask for closed windows. A store of sessions on
    /// disk loses whole segments only.
    pub(super) fn lost_to(&self) -> i64 {
        if self.in_memory || self.rows.rest != Rest::Start {
            return self.horizon();
        }
        self.rows.begins(self.rows.segment(self.expired_to())).saturating_sub(1)
    }

    /// What is put at this time or before comes too late.
    fn expired_to(&self) -> i64 {
        self.observed
            .map_or(i64::MIN, |observed| observed.saturating_sub(self.rows.retention_ms))
    }

    /// The first segment that may hold rows.
    pub(super) fn live(&self) -> i64 {
        self.live
    }

    fn first_live(&self) -> i64 {
        let expired = self.rows.segment(self.expired_to());
        if !self.rows.by_time {
            return expired;
        }
        // Results that wait to be emitted outlive the retention.
        self.forgotten
            .map_or(i64::MIN, |forgotten| expired.min(self.rows.segment(forgotten)))
    }

    fn observe(&mut self, time: i64) {
        if self.observed.is_none_or(|observed| observed < time) {
            self.observed = Some(time);
            self.changed = true;
            self.live = self.live.max(self.first_live());
        }
    }

    /// Whether a write is to be stored; counts a put that comes too late as dropped.
    pub(super) fn admits(&mut self, row: Row<'_>, part: Part) -> bool {
        if part == Part::Put || (part == Part::Removal && !self.in_memory) {
            self.observe(row.time);
        }
        let late = if self.in_memory {
            row.time <= self.expired_to()
        } else {
            self.rows.segment(row.time) < self.rows.segment(self.expired_to())
        };
        self.dropped += u64::from(late && part == Part::Put);
        !late
    }

    /// Whether a row of the changelog is to be stored.
    pub(super) fn admits_restored(&mut self, row: Row<'_>) -> bool {
        self.observe(row.time);
        if self.rows.rest == Rest::Sequence {
            self.sequence = self.sequence.max(row.rest as u32);
        }
        self.rows.segment(row.time) >= self.live
    }

    /// The next number for a row of a store with duplicates.
    pub(super) fn number(&mut self, has_value: bool) -> i64 {
        if self.rows.rest != Rest::Sequence {
            return 0;
        }
        self.sequence = self.sequence.wrapping_add(1) & 0x7fff_ffff;
        self.changed = true;
        if has_value {
            self.last_value = self.sequence;
        }
        i64::from(self.sequence)
    }

    /// The owner needs nothing before `time` any more.
    pub(super) fn forget(&mut self, time: i64) {
        self.forgotten = self.forgotten.max(Some(time));
        self.live = self.live.max(self.first_live());
    }

    /// What to write at a commit to find all this again, if it changed.
    pub(super) fn take_changed(&mut self) -> Option<[u8; 12]> {
        let observed = self.observed?;
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut bytes = [0; 12];
        let (time, sequence) = bytes.split_at_mut(8);
        time.copy_from_slice(&observed.to_be_bytes());
        sequence.copy_from_slice(&self.sequence.to_be_bytes());
        Some(bytes)
    }

    /// The key before which the engine is to forget everything, if that moved since it last did.
    pub(super) fn expired(&self) -> Option<[u8; 8]> {
        (self.live > self.dropped_to).then(|| Rows::segment_start(self.live))
    }

    /// The engine has all rows, and forgot what was expired.
    pub(super) fn committed(&mut self) {
        self.resting = self.observed;
        self.dropped_to = self.live;
    }
}
