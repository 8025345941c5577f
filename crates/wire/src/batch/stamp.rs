//! What is changed in a batch that is already built.

use bytes::{Bytes, BytesMut};

use super::build::ProducerStamp;
use super::header::{self, BatchHeader};
use crate::error::{Error, Result};

/// Gives a batch its place in a log: the broker's part. The checksum does not cover these fields and stays valid.
pub fn place(batch: &mut [u8], base_offset: i64, leader_epoch: i32) -> Result<()> {
    let mut header = whole(batch)?;
    header.base_offset = base_offset;
    header.leader_epoch = leader_epoch;
    header::put_header(batch, &header)
}

/// Gives all records of a batch the time at which the broker appended it.
pub fn append_time(batch: &mut [u8], timestamp: i64) -> Result<()> {
    let mut header = whole(batch)?;
    header.attributes = header.attributes.with_log_append_time();
    header.max_timestamp = timestamp;
    header::seal(batch, header)
}

/// Gives a batch another producer id, epoch or sequence, as a retry after an epoch bump needs it.
///
/// Copies the batch only if somebody else still holds its memory.
pub fn restamp(batch: Bytes, stamp: ProducerStamp) -> Result<Bytes> {
    let mut batch = batch.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
    let mut header = whole(&batch)?;
    header.producer_id = stamp.producer_id;
    header.producer_epoch = stamp.epoch;
    header.base_sequence = stamp.base_sequence;
    header.attributes = header.attributes.with_transactional(stamp.transactional);
    header::seal(&mut batch, header)?;
    Ok(batch.freeze())
}

/// The sequence number `records` behind `sequence`; behind the largest, numbers begin again at zero.
pub const fn next_sequence(sequence: i32, records: u32) -> i32 {
    header::add_sequence(sequence, records as i32)
}

fn whole(batch: &[u8]) -> Result<BatchHeader> {
    let header = BatchHeader::parse(batch)?;
    if header.total_bytes() == batch.len() {
        return Ok(header);
    }
    Err(Error::corrupt("record batch", "its length is not that of its bytes"))
}
