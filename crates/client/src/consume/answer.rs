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
    /// The leader epochs of all whole batches, and where each began.
    pub(super) leader_epochs: Vec<(i64, i32)>,
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
        leader_epochs: Vec::new(),
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
        if read
            .leader_epochs
            .last()
            .is_none_or(|(_, epoch)| *epoch != header.leader_epoch)
        {
            read.leader_epochs.push((header.base_offset, header.leader_epoch));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Bytes, BytesMut};
    use kstreams_wire::Headers;
    use kstreams_wire::batch::control::{Control, Marker};
    use kstreams_wire::batch::{BatchBuilder, ProducerStamp, stamp};
    use kstreams_wire::compression::Compression;
    use kstreams_wire::messages::ProducerId;
    use kstreams_wire::messages::fetch_response::AbortedTransaction;

    /// A batch of two records at this offset, in a transaction of this producer if there is one.
    fn batch(offset: i64, transaction_of: Option<i64>) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::Lz4);
        for value in ["a", "b"] {
            builder
                .append(0, None, Some(value.as_bytes()), &Headers::new())
                .unwrap();
        }
        let transaction = |producer_id| ProducerStamp {
            producer_id,
            epoch: 0,
            base_sequence: 0,
            transactional: true,
        };
        placed(
            builder
                .finish(transaction_of.map_or(ProducerStamp::NONE, transaction))
                .unwrap(),
            offset,
        )
    }

    fn abort(offset: i64, producer_id: i64) -> Vec<u8> {
        placed(
            Control::Abort(Marker { coordinator_epoch: 0 })
                .to_batch(producer_id, 0, 0)
                .unwrap(),
            offset,
        )
    }

    fn placed(batch: Bytes, offset: i64) -> Vec<u8> {
        let mut bytes = BytesMut::from(&*batch);
        stamp::place(&mut bytes, offset, 0).unwrap();
        bytes.to_vec()
    }

    fn read_from(offset: i64, batches: &[Vec<u8>], config: &ConsumerConfig) -> Result<Read, Damage> {
        let aborted = AbortedTransaction::default()
            .with_producer_id(ProducerId(9))
            .with_first_offset(2);
        let mut data = PartitionData::default()
            .with_records(Some(batches.concat().into()))
            .with_aborted_transactions(Some(vec![aborted]));
        read(&mut data, offset, config)
    }

    fn offsets(read: &mut Read) -> Vec<i64> {
        let mut offsets = Vec::new();
        for records in &mut read.records {
            while let Some(record) = records.next().unwrap() {
                offsets.push(record.offset);
            }
        }
        offsets
    }

    #[test]
    fn records_before_the_position_and_an_incomplete_tail_are_left_out() {
        let mut tail = batch(4, None);
        tail.truncate(70);
        let mut read = read_from(1, &[batch(0, None), batch(2, None), tail], &ConsumerConfig::default()).unwrap();
        assert_eq!((offsets(&mut read), read.next_offset), (vec![1, 2, 3], 4));
    }

    #[test]
    fn control_batches_are_stepped_over() {
        let mut read = read_from(0, &[batch(0, None), abort(2, 9)], &ConsumerConfig::default()).unwrap();
        assert_eq!((offsets(&mut read), read.next_offset), (vec![0, 1], 3));
    }

    #[test]
    fn aborted_records_are_hidden_from_those_who_ask_for_it() {
        let batches = [
            batch(0, Some(9)),
            batch(2, Some(9)),
            batch(4, Some(8)),
            abort(6, 9),
            batch(7, Some(9)),
        ];
        let committed = ConsumerConfig {
            isolation: Isolation::ReadCommitted,
            ..ConsumerConfig::default()
        };
        let mut read = read_from(0, &batches, &committed).unwrap();
        assert_eq!((offsets(&mut read), read.next_offset), (vec![0, 1, 4, 5, 7, 8], 9));
        let mut read = read_from(0, &batches, &ConsumerConfig::default()).unwrap();
        assert_eq!(offsets(&mut read), [0, 1, 2, 3, 4, 5, 7, 8]);
    }

    #[test]
    fn a_damaged_batch_is_found_by_its_checksum() {
        let mut damaged = batch(2, None);
        *damaged.last_mut().unwrap() ^= 1;
        let damage = read_from(0, &[batch(0, None), damaged], &ConsumerConfig::default()).unwrap_err();
        assert_eq!(damage.offset, 2);
    }
}
