//! Takes away what is too old, too much, or deleted by request.

use std::io;

use kafka_protocol::ResponseError;

use super::PartitionLog;
use crate::refusal::Refusal;

/// How long an idle producer is remembered (`producer.id.expiration.ms`).
const PRODUCER_EXPIRATION_MS: i64 = 24 * 60 * 60 * 1000;

impl PartitionLog {
    /// Deletes the segments that the topic's configs no longer keep; tells how many.
    pub(crate) fn retain(&mut self, now_ms: i64) -> io::Result<usize> {
        self.producers.expire(now_ms.saturating_sub(PRODUCER_EXPIRATION_MS));
        if !self.settings.delete {
            return Ok(0);
        }
        let mut gone = 0;
        while self.is_first_expired(now_ms) {
            if self.segments.len() == 1 {
                self.roll(now_ms)?;
            }
            self.drop_first()?;
            gone += 1;
        }
        Ok(gone)
    }

    fn is_first_expired(&self, now_ms: i64) -> bool {
        let Some(first) = self.segments.front().filter(|segment| !segment.is_empty()) else {
            return false;
        };
        let newest = first.index().max_timestamp().unwrap_or(now_ms);
        let old = self
            .settings
            .retention_ms
            .is_some_and(|keep| now_ms.saturating_sub(newest) > keep);
        let total: u64 = self.segments.iter().map(|segment| segment.index().bytes()).sum();
        let left = total - first.index().bytes();
        // By bytes the segment that takes appends always stays, as in Kafka.
        let much = self.segments.len() > 1 && self.settings.retention_bytes.is_some_and(|keep| left >= keep);
        old || much
    }

    fn drop_first(&mut self) -> io::Result<()> {
        let Some(segment) = self.segments.pop_front() else {
            return Ok(());
        };
        segment.delete()?;
        let next = self.segments.front().map_or(self.end, |segment| segment.base_offset());
        self.start = self.start.max(next);
        self.transactions.forget_before(self.start);
        self.forget_epochs();
        Ok(())
    }

    /// Deletes the records before `offset`, or all with -1; answers with the new start.
    pub(crate) fn delete_before(&mut self, offset: i64) -> Result<i64, Refusal> {
        if !self.settings.delete {
            let message = "Records can not be deleted due to the configured policy";
            return Err(Refusal::new(ResponseError::PolicyViolation, message));
        }
        let offset = if offset == -1 { self.end } else { offset };
        if offset < 0 || offset > self.end {
            return Err(ResponseError::OffsetOutOfRange.into());
        }
        self.start = self.start.max(offset);
        self.transactions.forget_before(self.start);
        self.save_start().map_err(Refusal::storage)?;
        while self
            .segments
            .get(1)
            .is_some_and(|second| second.base_offset() <= self.start)
        {
            self.drop_first().map_err(Refusal::storage)?;
        }
        if let Some(first) = self.segments.front_mut() {
            first.trim(self.start);
        }
        self.forget_epochs();
        Ok(self.start)
    }

    /// Epochs that ended before the start are of no use; the latest of them stays to answer for what follows.
    fn forget_epochs(&mut self) {
        let gone = self
            .epochs
            .partition_point(|(_, first)| *first <= self.start)
            .saturating_sub(1);
        self.epochs.drain(..gone);
    }
}
