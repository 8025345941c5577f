//! Batches that are not compressed: split, walked, built.

use bytes::Bytes;
use kstreams_wire::batch::{self, Batch, BatchBuilder, ProducerStamp, TimestampType, stamp};
use kstreams_wire::compression::Compression;
use kstreams_wire::{Error, Headers};
use proptest::prelude::*;

use crate::{Plain, java, read_all};

pub(crate) fn java_headers() -> Headers {
    let mut headers = Headers::new();
    headers.push("h", Some("1".into()));
    headers.push("h", Some("2".into()));
    headers.push("n", None);
    headers.push("", Some(Bytes::new()));
    headers
}

/// The first four records of every batch of the Java side.
pub(crate) fn java_records() -> Vec<Plain> {
    let plain = |offset, timestamp, key: Option<&str>, value: Option<&str>| Plain {
        offset,
        timestamp,
        key: key.map(Into::into),
        value: value.map(Into::into),
        headers: Vec::new(),
    };
    let mut records = vec![
        plain(42, 1_700_000_000_000, Some("k0"), Some("v0")),
        plain(43, 1_700_000_000_005, None, Some("no key")),
        plain(44, 1_699_999_999_000, Some("k2"), None),
        plain(45, 1_700_000_000_007, Some(""), Some("")),
    ];
    let headers = java_headers();
    records[3].headers = headers
        .iter()
        .map(|h| (h.key.to_vec(), h.value.as_ref().map(|v| v.to_vec())))
        .collect();
    records
}

#[test]
fn a_java_batch_is_read() {
    let batch = Batch::new(java("none")).unwrap();
    batch.verify_crc().unwrap();
    let header = *batch.header();
    assert_eq!(
        (header.base_offset, header.last_offset(), header.next_offset()),
        (42, 45, 46)
    );
    assert_eq!(
        (
            header.leader_epoch,
            header.producer_id,
            header.base_sequence,
            header.records
        ),
        (7, -1, -1, 4)
    );
    assert_eq!(
        (header.base_timestamp, header.max_timestamp),
        (1_700_000_000_000, 1_700_000_000_007)
    );
    assert_eq!(header.attributes.timestamp_type(), TimestampType::CreateTime);
    assert_eq!(read_all(batch.into_records().unwrap()).unwrap(), java_records());
}

#[test]
fn a_batch_is_built_byte_for_byte_as_java_builds_it() {
    let mut builder = BatchBuilder::new(Compression::None);
    for record in java_records() {
        let headers = if record.headers.is_empty() {
            Headers::new()
        } else {
            java_headers()
        };
        builder
            .append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )
            .unwrap();
    }
    let mut built = builder.finish(ProducerStamp::NONE).unwrap().to_vec();
    stamp::place(&mut built, 42, 7).unwrap();
    assert_eq!(built, java("none"));
}

#[test]
fn log_append_time_is_the_time_of_every_record() {
    let batch = Batch::new(java("log_append_time")).unwrap();
    assert_eq!(batch.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    let mut records = batch.into_records().unwrap();
    assert_eq!(records.peek_timestamp(), Some(1_800_000_000_000));
    assert_eq!(records.next().unwrap().unwrap().timestamp, 1_800_000_000_000);
    assert_eq!(records.next().unwrap().unwrap().timestamp, 1_800_000_000_000);
    assert_eq!(records.peek_timestamp(), None);
}

#[test]
fn an_incomplete_tail_ends_the_batches_silently() {
    let whole = [java("none"), java("gzip")].concat();
    let second = java("none").len();
    for cut in 0..=whole.len() {
        let batches: Vec<_> = batch::split(Bytes::copy_from_slice(&whole[..cut])).collect();
        let complete = usize::from(cut >= second) + usize::from(cut == whole.len());
        assert_eq!(batches.len(), complete, "cut at {cut}");
        assert!(batches.iter().all(Result::is_ok));
    }
}

#[test]
fn records_share_the_fetched_bytes() {
    let fetched = java("none");
    let batch = batch::split(fetched.clone()).next().unwrap().unwrap();
    let mut records = batch.into_records().unwrap();
    let key = records.next().unwrap().unwrap().key_bytes().unwrap();
    assert!(fetched.as_ptr_range().contains(&key.as_ptr()));
    records.skip_before(45);
    assert_eq!(records.remaining(), 1);
    let record = records.next().unwrap().unwrap();
    assert_eq!((record.offset, record.to_headers()), (45, java_headers()));
}

#[test]
fn a_changed_byte_is_found_by_the_checksum() {
    let mut bytes = java("none").to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let error = Batch::new(bytes.into()).unwrap().verify_crc().unwrap_err();
    assert!(matches!(error, Error::Checksum { base_offset: 42, .. }), "{error}");
}

#[test]
fn the_next_offset_counts_records_that_were_compacted_away() {
    let mut header = *Batch::new(java("none")).unwrap().header();
    header.records = 0;
    header.batch_length = 49;
    header.last_offset_delta = 99;
    let batch = Batch::new(Bytes::copy_from_slice(&header.to_bytes())).unwrap();
    assert_eq!(batch.header().next_offset(), 142);
    assert!(read_all(batch.into_records().unwrap()).unwrap().is_empty());
}

#[test]
fn an_old_format_is_named_in_the_error() {
    let mut bytes = java("none").to_vec();
    bytes[16] = 1;
    let mut batches = batch::split(bytes.into());
    let error = batches.next().unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            Error::UnsupportedMagic {
                magic: 1,
                base_offset: 42
            }
        ),
        "{error}"
    );
    assert!(batches.next().is_none());
}

#[test]
fn a_builder_begins_anew_after_each_batch() {
    let mut builder = BatchBuilder::new(Compression::None);
    assert!(matches!(builder.finish(ProducerStamp::NONE), Err(Error::EmptyBatch)));
    for turn in 0..3i64 {
        assert_eq!(builder.size(), batch::HEADER_BYTES);
        let added = builder.append(turn, None, Some(b"value"), &Headers::new()).unwrap();
        assert_eq!(builder.size(), batch::HEADER_BYTES + added);
        assert_eq!(builder.records(), 1);
        let bytes = builder.finish(ProducerStamp::NONE).unwrap();
        assert_eq!(bytes.len(), batch::HEADER_BYTES + added);
        assert_eq!(Batch::new(bytes.clone()).unwrap().header().base_timestamp, turn);
        builder.recycle(bytes);
    }
}

type Values = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn values() -> impl Strategy<Value = Vec<Values>> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let headers = proptest::collection::vec((".{0,4}", bytes()), 0..4);
    proptest::collection::vec((any::<i64>(), bytes(), bytes(), headers), 1..80)
}

proptest! {
    #[test]
    fn what_was_appended_is_read_back(values in values(), codec in 0u8..5, base_offset in 0..i64::MAX / 2) {
        let mut builder = BatchBuilder::new(Compression::from_code(codec).unwrap());
        let mut expected = Vec::new();
        for (offset, (timestamp, key, value, pairs)) in (base_offset..).zip(values) {
            let mut headers = Headers::new();
            for (key, value) in &pairs {
                headers.push(key.clone(), value.clone().map(Bytes::from));
            }
            let most = BatchBuilder::record_bytes_max(key.as_deref(), value.as_deref(), &headers);
            prop_assert!(builder.append(timestamp, key.as_deref(), value.as_deref(), &headers).unwrap() <= most);
            let headers = pairs.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
            expected.push(Plain { offset, timestamp, key, value, headers });
        }
        let mut bytes = builder.finish(ProducerStamp::NONE).unwrap().to_vec();
        stamp::place(&mut bytes, base_offset, 3).unwrap();
        let batch = Batch::new(bytes.into()).unwrap();
        batch.verify_crc().unwrap();
        prop_assert_eq!(batch.header().max_timestamp, expected.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(read_all(batch.into_records().unwrap()).unwrap(), expected);
    }
}
