//! No bytes make a decoder panic or reserve memory without bound.

use bytes::Bytes;
use kstreams_wire::batch::control::Control;
use kstreams_wire::batch::{self, Batch, Records, stamp};
use kstreams_wire::compression::{Compression, decompress};
use kstreams_wire::membership::{Assignment, Subscription};
use kstreams_wire::messages::{self, Request, Response, decode_request_header, decode_response, encode_request};
use proptest::prelude::*;

use crate::java;

/// Walks whatever can be walked; errors are fine.
fn walk(bytes: Bytes) {
    for batch in batch::split(bytes).flatten() {
        let _ = batch.verify_crc();
        let Ok(records) = batch.into_records_within(1 << 20) else {
            continue;
        };
        walk_records(records);
    }
}

fn walk_records(mut records: Records) {
    let mut behind = records.clone();
    behind.skip_before(i64::MAX);
    loop {
        let _ = records.peek_timestamp();
        let Ok(Some(record)) = records.next() else { break };
        let _ = record.to_headers();
        let _ = Control::parse(&record);
    }
    assert!(
        records.next().is_ok_and(|record| record.is_none()),
        "an error ends the batch"
    );
}

/// Decodes the bytes as request and response of every version.
fn decode<R: Request>(bytes: &Bytes) {
    for version in R::VERSIONS.min..=R::VERSIONS.max {
        let _ = R::decode(&mut bytes.clone(), version);
        let _ = R::Response::decode(&mut bytes.clone(), version);
        let _ = decode_response::<R>(bytes.clone(), version);
    }
}

macro_rules! every_request {
    ($bytes:expr; $($request:ident)*) => { $(decode::<messages::$request>($bytes);)* };
}

fn decode_all(bytes: &Bytes) {
    every_request! { bytes;
        ProduceRequest FetchRequest ListOffsetsRequest MetadataRequest OffsetCommitRequest OffsetFetchRequest
        FindCoordinatorRequest JoinGroupRequest HeartbeatRequest LeaveGroupRequest SyncGroupRequest
        DescribeGroupsRequest ListGroupsRequest SaslHandshakeRequest SaslAuthenticateRequest ApiVersionsRequest
        CreateTopicsRequest DeleteTopicsRequest CreatePartitionsRequest DeleteRecordsRequest InitProducerIdRequest
        OffsetForLeaderEpochRequest AddPartitionsToTxnRequest AddOffsetsToTxnRequest EndTxnRequest
        WriteTxnMarkersRequest TxnOffsetCommitRequest DescribeConfigsRequest AlterConfigsRequest
        IncrementalAlterConfigsRequest DescribeLogDirsRequest DeleteGroupsRequest OffsetDeleteRequest
        DescribeClusterRequest DescribeProducersRequest DescribeTransactionsRequest ListTransactionsRequest
        DescribeTopicPartitionsRequest ConsumerGroupHeartbeatRequest ConsumerGroupDescribeRequest
        GetTelemetrySubscriptionsRequest ListConfigResourcesRequest
    }
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused() {
    for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
        for length in [1, 4, 5, 8, 16, 64, 300] {
            decode_all(&vec![byte; length].into());
        }
    }
    // Two thousand million topics.
    let metadata = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]);
    assert!(messages::MetadataRequest::decode(&mut metadata.clone(), 1).is_err());
    let flexible = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(messages::MetadataRequest::decode(&mut flexible.clone(), 12).is_err());
    let subscription = Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff]);
    assert!(Subscription::decode(&subscription).is_err());
}

#[test]
fn a_batch_whose_record_count_lies_ends_with_an_error() {
    let mut bytes = java("none").to_vec();
    bytes[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut records = Batch::new(bytes.into()).unwrap().into_records().unwrap();
    for _ in 0..4 {
        assert!(records.next().unwrap().is_some());
    }
    assert!(records.next().is_err());
    assert!(records.next().unwrap().is_none());
}

#[test]
fn bytes_behind_the_last_record_are_an_error() {
    let mut bytes = java("none").to_vec();
    bytes[57..61].copy_from_slice(&3i32.to_be_bytes());
    let mut records = Batch::new(bytes.into()).unwrap().into_records().unwrap();
    for _ in 0..3 {
        assert!(records.next().unwrap().is_some());
    }
    assert!(records.next().is_err());
}

#[test]
fn valid_batches_with_any_byte_changed_do_no_harm() {
    for name in ["none", "gzip", "lz4", "zstd", "log_append_time", "commit"] {
        let valid = java(name);
        for position in 0..valid.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = valid.to_vec();
                bytes[position] ^= change;
                let _ = stamp::place(&mut bytes.clone(), 1, 1);
                walk(bytes.into());
            }
        }
    }
}

#[test]
fn valid_requests_with_any_byte_changed_do_no_harm() {
    let request = messages::MetadataRequest::default().with_topics(Some(vec![Default::default(); 3]));
    for version in [1, 4, 9, 12] {
        let frame = encode_request(&request, version, 1, Some("client"))
            .unwrap()
            .into_bytes()
            .slice(4..);
        for position in 0..frame.len() {
            let mut bytes = frame.to_vec();
            bytes[position] ^= 0xff;
            let mut bytes = Bytes::from(bytes);
            if decode_request_header(&mut bytes).is_ok() {
                let _ = messages::MetadataRequest::decode(&mut bytes, version);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_record_bytes_do_no_harm(
        header in proptest::collection::vec(any::<u8>(), 61),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        attributes in 0i16..0x40,
        count in 0..20i32,
    ) {
        let mut bytes = [header, payload].concat();
        walk(bytes.clone().into());
        // The same with a header that is nearly right, so that the records are reached.
        let length = bytes.len() as i32 - 12;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        bytes[23] &= 0x7f;
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        prop_assert!(Batch::new(bytes.clone().into()).is_ok());
        walk(bytes.into());
    }

    #[test]
    fn arbitrary_compressed_bytes_do_no_harm(codec in 0u8..8, mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let starts: [&[u8]; 5] = [
            b"",
            &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0],
            b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x10",
            &[4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82],
            &[0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58],
        ];
        if let Ok(codec) = Compression::from_code(codec) {
            let _ = decompress(codec, bytes.clone().into(), 1 << 16);
            bytes.splice(0..0, starts[codec.code() as usize].iter().copied());
            let _ = decompress(codec, bytes.into(), 1 << 16);
        }
    }

    #[test]
    fn arbitrary_membership_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..100), version in 0u8..5) {
        let bytes = Bytes::from([vec![0, version], bytes].concat());
        let _ = Subscription::decode(&bytes);
        let _ = Assignment::decode(&bytes);
    }

    #[test]
    fn arbitrary_messages_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = decode_request_header(&mut bytes.clone());
        decode_all(&bytes);
    }

    #[test]
    fn messages_of_small_numbers_do_no_harm(bytes in proptest::collection::vec(0u8..4, 0..300)) {
        // Counts that can nearly be satisfied reach further into the decoders.
        decode_all(&bytes.into());
    }
}
