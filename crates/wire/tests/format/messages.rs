//! Frames of requests and responses.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;
use kstreams_wire::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kstreams_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kstreams_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, MetadataRequest, ProduceRequest, Request,
    StrBytes, TransactionalId, Versions, correlation_id, decode_request_header, decode_response, encode_request,
    encode_response,
};
use kstreams_wire::{Error, TopicName, messages};

fn records() -> Bytes {
    vec![7; 5000].into()
}

fn produce(version: i16) -> ProduceRequest {
    let partition = |index, records| PartitionProduceData::default().with_index(index).with_records(records);
    let mut topic = TopicProduceData::default().with_partition_data(vec![
        partition(0, Some(records())),
        partition(1, Some(Bytes::from_static(b"few"))),
        partition(2, None),
    ]);
    if version < 13 {
        topic.name = (&TopicName::new("out")).into();
    } else {
        topic.topic_id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();
    }
    ProduceRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("tx"))))
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

#[test]
fn produce_requests_are_what_the_generated_code_writes_but_carry_the_records_uncopied() {
    for version in ProduceRequest::VERSIONS.min..=ProduceRequest::VERSIONS.max {
        let request = produce(version);
        let frame = encode_request(&request, version, 9, Some("me")).unwrap();
        let attached = request.topic_data[0].partition_data[0].records.as_ref().unwrap();
        assert!(frame.pieces().iter().any(|piece| piece.as_ptr() == attached.as_ptr()));
        let mut bytes = frame.clone().into_bytes();
        assert_eq!(bytes.len(), frame.total_bytes());
        assert_eq!(bytes.split_to(4), (bytes.len() as i32).to_be_bytes().as_slice());
        let header = decode_request_header(&mut bytes).unwrap();
        assert_eq!(
            (header.api_key, header.api_version, header.correlation_id),
            (0, version, 9)
        );
        assert_eq!(header.client_id.as_deref(), Some("me"));
        let mut generated = BytesMut::new();
        Encodable::encode(&request, &mut generated, version).unwrap();
        assert_eq!(bytes, generated, "version {version}");
        assert_eq!(ProduceRequest::decode(&mut bytes, version).unwrap(), request);
        assert!(bytes.is_empty());
    }
}

fn fetched(version: i16) -> FetchResponse {
    let mut partition = PartitionData::default()
        .with_partition_index(3)
        .with_high_watermark(100)
        .with_last_stable_offset(90)
        .with_aborted_transactions(Some(vec![AbortedTransaction::default().with_first_offset(4)]))
        .with_records(Some(records()));
    if version >= 5 {
        partition.log_start_offset = 1;
    }
    if version >= 12 {
        partition.diverging_epoch = EpochEndOffset::default().with_epoch(2).with_end_offset(80);
        partition.current_leader = LeaderIdAndEpoch::default()
            .with_leader_id(5.into())
            .with_leader_epoch(6);
    }
    let silent = PartitionData::default()
        .with_aborted_transactions(None)
        .with_error_code(1);
    let mut topic = FetchableTopicResponse::default().with_partitions(vec![partition, silent]);
    if version < 13 {
        topic.topic = (&TopicName::new("in")).into();
    } else {
        topic.topic_id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();
    }
    let mut response = FetchResponse::default()
        .with_throttle_time_ms(1)
        .with_responses(vec![topic]);
    if version >= 7 {
        response.session_id = 77;
    }
    if version >= 16 {
        let host = StrBytes::from_static_str("host");
        response.node_endpoints = vec![
            NodeEndpoint::default()
                .with_node_id(5.into())
                .with_host(host)
                .with_port(9),
        ];
    }
    response
}

#[test]
fn fetch_responses_are_what_the_generated_code_writes_but_carry_the_records_uncopied() {
    for version in FetchRequest::VERSIONS.min..=FetchRequest::VERSIONS.max {
        let response = fetched(version);
        let frame = encode_response(&response, version, 9).unwrap();
        let attached = response.responses[0].partitions[0].records.as_ref().unwrap();
        assert!(frame.pieces().iter().any(|piece| piece.as_ptr() == attached.as_ptr()));
        let bytes = frame.into_bytes().slice(4..);
        let mut generated = BytesMut::new();
        Encodable::encode(&response, &mut generated, version).unwrap();
        assert_eq!(
            bytes.slice(if version >= 12 { 5 } else { 4 }..),
            generated,
            "version {version}"
        );
        let (id, mut decoded) = decode_response::<FetchRequest>(bytes.clone(), version).unwrap();
        assert_eq!((id, &decoded), (9, &response));
        let records = decoded.responses[0].partitions[0].records.take().unwrap();
        assert!(
            bytes.as_ptr_range().contains(&records.as_ptr()),
            "records are slices of the frame"
        );
    }
}

#[test]
fn a_response_is_matched_by_its_correlation_id() {
    let frame = encode_response(&messages::MetadataResponse::default(), 12, 1234)
        .unwrap()
        .into_bytes();
    assert_eq!(correlation_id(&frame[4..]).unwrap(), 1234);
    let (id, _) = decode_response::<MetadataRequest>(frame.slice(4..), 12).unwrap();
    assert_eq!(id, 1234);
    assert!(correlation_id(&[0, 1]).is_err());
}

#[test]
fn api_versions_has_the_old_response_header_and_falls_back_to_version_zero() {
    let response = ApiVersionsResponse::default();
    let frame = encode_response(&response, 4, 1).unwrap().into_bytes();
    assert_eq!(
        decode_response::<ApiVersionsRequest>(frame.slice(4..), 4).unwrap(),
        (1, response)
    );
    // A broker that does not know version 4 answers with error 35 in version 0.
    let refused = ApiVersionsResponse::default().with_error_code(35);
    let frame = encode_response(&refused, 0, 2).unwrap().into_bytes();
    assert_eq!(
        decode_response::<ApiVersionsRequest>(frame.slice(4..), 4).unwrap(),
        (2, refused)
    );
}

#[test]
fn the_highest_common_version_is_chosen() {
    let ours = Versions { min: 3, max: 9 };
    assert_eq!(ours.highest_common(Versions { min: 0, max: 7 }), Some(7));
    assert_eq!(ours.highest_common(Versions { min: 9, max: 12 }), Some(9));
    assert_eq!(ours.highest_common(Versions { min: 0, max: 2 }), None);
    assert_eq!(ours.highest_common(Versions { min: 10, max: 12 }), None);
}

#[test]
fn an_unknown_request_is_named() {
    let mut frame = Bytes::from_static(&[0x03, 0xe8, 0, 1, 0, 0, 0, 9, 0xff, 0xff]);
    let error = decode_request_header(&mut frame).unwrap_err();
    assert!(
        matches!(error, Error::UnsupportedVersion { key: 1000, version: 1 }),
        "{error}"
    );
    let error = encode_request(&MetadataRequest::default(), 99, 0, None).unwrap_err();
    assert!(
        matches!(error, Error::UnsupportedVersion { key: 3, version: 99 }),
        "{error}"
    );
}

#[test]
fn a_client_id_is_optional() {
    let frame = encode_request(&MetadataRequest::default(), 12, 3, None).unwrap();
    let mut bytes = frame.into_bytes().slice(4..);
    assert_eq!(decode_request_header(&mut bytes).unwrap().client_id, None);
    assert_eq!(
        MetadataRequest::decode(&mut bytes, 12).unwrap(),
        MetadataRequest::default()
    );
}
