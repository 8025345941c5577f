//! Batches changed after they were built, and control records.

use kstreams_wire::Error;
use kstreams_wire::batch::control::{Control, Marker};
use kstreams_wire::batch::{Batch, ProducerStamp, TimestampType, stamp};

use crate::{java, read_all};

#[test]
fn placing_a_batch_keeps_its_checksum() {
    let mut bytes = java("gzip").to_vec();
    stamp::place(&mut bytes, 1_000_000, 12).unwrap();
    let batch = Batch::new(bytes.into()).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!(
        (batch.header().base_offset, batch.header().leader_epoch),
        (1_000_000, 12)
    );
    assert_eq!(read_all(batch.into_records().unwrap()).unwrap()[4].offset, 1_000_004);
}

#[test]
fn append_time_replaces_the_time_of_the_writers() {
    let mut bytes = java("lz4").to_vec();
    stamp::append_time(&mut bytes, 77).unwrap();
    let batch = Batch::new(bytes.into()).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!(batch.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert!(
        read_all(batch.into_records().unwrap())
            .unwrap()
            .iter()
            .all(|record| record.timestamp == 77)
    );
}

#[test]
fn a_retry_may_carry_another_epoch_and_sequence() {
    let stamp = ProducerStamp {
        producer_id: 5,
        epoch: 6,
        base_sequence: i32::MAX,
        transactional: true,
    };
    let restamped = stamp::restamp(java("transactional"), stamp).unwrap();
    let batch = Batch::new(restamped.clone()).unwrap();
    batch.verify_crc().unwrap();
    let header = batch.header();
    assert_eq!(
        (header.producer_id, header.producer_epoch, header.base_sequence),
        (5, 6, i32::MAX)
    );
    assert_eq!(header.last_sequence(), 1, "numbers go on from zero behind the largest");
    let before = ProducerStamp {
        producer_id: 99,
        epoch: 4,
        base_sequence: 2_147_483_646,
        transactional: true,
    };
    assert_eq!(stamp::restamp(restamped, before).unwrap(), java("transactional"));
}

#[test]
fn sequences_wrap_as_the_broker_counts_them() {
    assert_eq!(stamp::next_sequence(0, 3), 3);
    assert_eq!(stamp::next_sequence(i32::MAX, 1), 0);
    assert_eq!(stamp::next_sequence(i32::MAX - 1, 3), 1);
}

#[test]
fn a_broken_batch_is_not_stamped() {
    let mut short = java("none").slice(..60).to_vec();
    assert!(stamp::place(&mut short, 0, 0).is_err());
    let mut long = [&*java("none"), b"x"].concat();
    assert!(matches!(stamp::append_time(&mut long, 0), Err(Error::Corrupt { .. })));
}

#[test]
fn markers_are_read_and_written_as_java_does() {
    let commit = Control::Commit(Marker { coordinator_epoch: 11 });
    let abort = Control::Abort(Marker { coordinator_epoch: 12 });
    for (name, marker) in [("commit", commit), ("abort", abort)] {
        let mut built = marker.to_batch(99, 4, 1_700_000_000_000).unwrap().to_vec();
        stamp::place(&mut built, 50, 8).unwrap();
        assert_eq!(built, java(name));
        let batch = Batch::new(java(name)).unwrap();
        assert!(batch.header().attributes.is_control() && batch.header().attributes.is_transactional());
        let mut records = batch.into_records().unwrap();
        assert_eq!(Control::parse(&records.next().unwrap().unwrap()).unwrap(), marker);
    }
}
