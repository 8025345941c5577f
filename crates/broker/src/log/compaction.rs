//! Decides what of a compacted topic's log to clean, and puts the cleaned segments in place.
//!
//! The work itself is in `cleaning`, on another thread: the broker goes on meanwhile.

use std::io;
use std::path::PathBuf;

use super::PartitionLog;
use super::cleaning::{Cleaned, Cleaning};
use super::segment::Segment;

impl PartitionLog {
    /// What to clean, if enough has come since the last time.
    pub(crate) fn cleanable(&mut self, now_ms: i64) -> io::Result<Option<Cleaning>> {
        if !self.settings.compact {
            return Ok(None);
        }
        self.roll_if_old(now_ms)?;
        let sealed = self.segments.len().saturating_sub(1);
        // What belongs to an open transaction may yet be aborted.
        let stable_end = self.stable_end();
        let sealed = sealed.min(self.segment_of(stable_end));
        let settled = |segment: &&Segment| {
            let newest = segment.index().max_timestamp().unwrap_or(i64::MIN);
            self.settings.compaction_lag_min_ms == 0
                || newest < now_ms.saturating_sub(self.settings.compaction_lag_min_ms)
        };
        let segments = self.segments.iter().take(sealed).take_while(settled).count();
        let Some(until) = self.segments.get(segments).map(Segment::base_offset) else {
            return Ok(None);
        };
        if !self.is_worth_it(segments, now_ms) {
            return Ok(None);
        }
        let sources = self
            .segments
            .iter()
            .take(segments)
            .map(Segment::source)
            .collect::<io::Result<_>>()?;
        Ok(Some(Cleaning {
            sources,
            until,
            clean_until: self.compacted_until,
            tombstones_before_ms: now_ms.saturating_sub(self.settings.delete_retention_ms),
            latest_of_producers: self.producers.latest_offsets(),
            aborted: self.aborted_between(self.start, until),
            directory: self.place.directory.clone(),
            segment_bytes_max: self.settings.segment_bytes.min(self.place.segment_bytes_max),
        }))
    }

    fn is_worth_it(&self, segments: usize, now_ms: i64) -> bool {
        let dirty = |segment: &&Segment| segment.base_offset() >= self.compacted_until && !segment.is_empty();
        let cleanable = self.segments.iter().take(segments);
        let total: u64 = cleanable.clone().map(|segment| segment.index().bytes()).sum();
        let dirty_bytes: u64 = cleanable
            .clone()
            .filter(dirty)
            .map(|segment| segment.index().bytes())
            .sum();
        let oldest = cleanable.filter(dirty).map(|segment| segment.created_ms).min();
        let overdue = oldest.is_some_and(|oldest| now_ms.saturating_sub(oldest) > self.settings.compaction_lag_max_ms);
        dirty_bytes > 0 && (overdue || dirty_bytes as f64 >= self.settings.dirty_ratio_min * total as f64)
    }

    /// The segment that takes appends is never cleaned; one that is old enough stops taking them.
    fn roll_if_old(&mut self, now_ms: i64) -> io::Result<()> {
        let age_max = self.settings.segment_ms.min(self.settings.compaction_lag_max_ms);
        let active = self.active();
        if !active.is_empty() && now_ms.saturating_sub(active.created_ms) > age_max {
            self.roll(now_ms)?;
        }
        Ok(())
    }

    /// Puts cleaned segments in the place of those they were made from.
    pub(crate) fn install(&mut self, cleaned: Cleaned) -> io::Result<()> {
        let bases = self
            .segments
            .iter()
            .map(Segment::base_offset)
            .take(cleaned.replaced.len());
        // Retention may have been faster; then the work was in vain.
        if !bases.eq(cleaned.replaced.iter().copied()) {
            return cleaned.segments.into_iter().try_for_each(Segment::delete);
        }
        let directory: Option<PathBuf> = self.place.directory.clone();
        let mut kept = Vec::new();
        for mut segment in cleaned.segments {
            segment.install(directory.as_deref())?;
            kept.push(segment);
        }
        for segment in self.segments.drain(..cleaned.replaced.len()) {
            // A cleaned segment has the name of the first it was made from, and has replaced its file.
            if !kept.iter().any(|new| new.base_offset() == segment.base_offset()) {
                segment.delete()?;
            }
        }
        for segment in kept.into_iter().rev() {
            self.segments.push_front(segment);
        }
        self.compacted_until = cleaned.until;
        Ok(())
    }
}
