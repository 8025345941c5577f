//! Which records of a batch are to blame that it cannot be written.

use kafka_protocol::ResponseError;
use kstreams_wire::batch::{Batch, RawRecord};

use crate::refusal::Refusal;
use crate::settings::Settings;

/// Every record of a compacted topic needs a key.
pub(super) fn check_keys(batch: Batch) -> Result<(), Refusal> {
    let keyless = |record: &RawRecord<'_>| record.key.is_none();
    let blamed = blame(batch, keyless, |_| {
        "Compacted topic cannot accept message without key".to_owned()
    })?;
    if blamed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "One or more records have been rejected due to {} record errors in total",
        blamed.len()
    );
    Err(Refusal::new(ResponseError::InvalidRecord, message).blaming(blamed))
}

/// Every record's time has to be near enough to the broker's.
pub(super) fn check_times(batch: Batch, settings: &Settings, now_ms: i64) -> Result<(), Refusal> {
    let earliest = now_ms.saturating_sub(settings.timestamp_before_max_ms);
    let latest = now_ms.saturating_add(settings.timestamp_after_max_ms);
    let header = *batch.header();
    if header.max_timestamp < 0 || header.base_timestamp >= earliest && header.max_timestamp <= latest {
        return Ok(());
    }
    let strange = |record: &RawRecord<'_>| !(earliest..=latest).contains(&record.timestamp);
    let blamed = blame(batch, strange, |record| {
        format!(
            "Timestamp {} of message with offset {} is out of range. The timestamp should be within [{earliest}, {latest}]",
            record.timestamp, record.offset
        )
    })?;
    let message = "One or more records have been rejected due to invalid timestamp";
    Err(Refusal::new(ResponseError::InvalidTimestamp, message).blaming(blamed))
}

/// The places of the records that are `wrong`, with what to say of each.
fn blame(
    batch: Batch,
    wrong: impl Fn(&RawRecord<'_>) -> bool,
    say: impl Fn(&RawRecord<'_>) -> String,
) -> Result<Vec<(i32, String)>, Refusal> {
    let damaged = |error: kstreams_wire::Error| Refusal::new(ResponseError::InvalidRecord, error.to_string());
    let mut records = batch.into_records().map_err(damaged)?;
    let (mut blamed, mut at) = (Vec::new(), 0);
    while let Some(record) = records.next().map_err(damaged)? {
        if wrong(&record) {
            blamed.push((at, say(&record)));
        }
        at += 1;
    }
    Ok(blamed)
}
