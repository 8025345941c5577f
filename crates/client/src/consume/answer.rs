//! Fetched bytes to checked, decompressed batches.

use kstreams_wire::batch::{self, Records};
use kstreams_wire::messages::fetch_response::PartitionData;

use super::isolation::Aborted;
use super::{ConsumerConfig, Isolation};

/// What a partition's bytes held.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) records: Vec<Records>,
    /// Behind the last whole batch; the offset asked for if there is none.
    pub(super) next_offset: i64,
    pub(super) bytes: usize,
}

/// A batch that cannot be read.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) offset: i64,
    pub(super) source: kstreams_wire::Error,
}

/// Reads what was fetched from `offset` on. Brokers give whole batches: what lies before the offset in the first one is
/// stepped over, and an incomplete last one is left for the next fetch.
pub(super) fn read(data: &mut PartitionData, offset: i64, config: &ConsumerConfig) -> Result<Read, Damage> {
    let mut aborted = Aborted::default();
    if config.isolation == Isolation::ReadCommitted {
        let transactions = data.aborted_transactions.take().unwrap_or_default();
        aborted = Aborted::new(transactions.iter().map(|t| (t.first_offset, t.producer_id.0)));
    }
    let mut read = Read {
        records: Vec::new(),
        next_offset: offset,
        bytes: 0,
    };
    for batch in batch::split(data.records.take().unwrap_or_default()) {
        let batch = batch.map_err(|source| Damage {
            offset: read.next_offset,
            source,
        })?;
        let header = *batch.header();
        if header.next_offset() <= offset {
            continue;
        }
        let damage = |source| Damage {
            offset: header.base_offset,
            source,
        };
        if config.check_crcs {
            batch.verify_crc().map_err(damage)?;
        }
        read.next_offset = header.next_offset();
        if aborted.hides(&batch) || header.records == 0 {
            continue;
        }
        let mut records = batch.into_records().map_err(damage)?;
        if header.base_offset < offset {
            records.skip_before(offset);
        }
        if records.remaining() > 0 {
            read.bytes += records.payload().len();
            read.records.push(records);
        }
    }
    Ok(read)
}
