//! Which request has which response.

use bytes::Bytes;
use kafka_protocol::protocol::{self, Encodable, HeaderVersion, Message};

use super::*;

/// Requests whose generated code serves as it is.
macro_rules! generated {
    ($($request:ident => $response:ident,)*) => {
        $(generated!(request $request $response); generated!(response $response);)*
    };
    (request $request:ident $response:ident) => {
        impl Request for $request {
            const KEY: i16 = <Self as protocol::Request>::KEY;
            const NAME: &'static str = stringify!($request);
            const VERSIONS: Versions = versions::<Self>();
            type Response = $response;

            fn header_version(version: i16) -> i16 {
                <Self as HeaderVersion>::header_version(version)
            }

            fn encode(&self, out: &mut FrameWriter, version: i16) -> Result<()> {
                encode(self, out, version, Self::NAME)
            }

            fn decode(bytes: &mut Bytes, version: i16) -> Result<Self> {
                let flexible = <Self as HeaderVersion>::header_version(version) >= 2;
                guard::decode(bytes, version, flexible, Self::NAME)
            }
        }
    };
    (response $response:ident) => {
        impl Response for $response {
            const NAME: &'static str = stringify!($response);

            fn header_version(version: i16) -> i16 {
                <Self as HeaderVersion>::header_version(version)
            }

            fn encode(&self, out: &mut FrameWriter, version: i16) -> Result<()> {
                encode(self, out, version, Self::NAME)
            }

            fn decode(bytes: &mut Bytes, version: i16) -> Result<Self> {
                let flexible = <Self as HeaderVersion>::header_version(version) >= 1;
                guard::decode(bytes, version, flexible, Self::NAME)
            }
        }
    };
}

generated! {
    ListOffsetsRequest => ListOffsetsResponse,
    MetadataRequest => MetadataResponse,
    OffsetCommitRequest => OffsetCommitResponse,
    OffsetFetchRequest => OffsetFetchResponse,
    FindCoordinatorRequest => FindCoordinatorResponse,
    JoinGroupRequest => JoinGroupResponse,
    HeartbeatRequest => HeartbeatResponse,
    LeaveGroupRequest => LeaveGroupResponse,
    SyncGroupRequest => SyncGroupResponse,
    DescribeGroupsRequest => DescribeGroupsResponse,
    ListGroupsRequest => ListGroupsResponse,
    SaslHandshakeRequest => SaslHandshakeResponse,
    SaslAuthenticateRequest => SaslAuthenticateResponse,
    CreateTopicsRequest => CreateTopicsResponse,
    DeleteTopicsRequest => DeleteTopicsResponse,
    CreatePartitionsRequest => CreatePartitionsResponse,
    DeleteRecordsRequest => DeleteRecordsResponse,
    InitProducerIdRequest => InitProducerIdResponse,
    OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
    AddPartitionsToTxnRequest => AddPartitionsToTxnResponse,
    AddOffsetsToTxnRequest => AddOffsetsToTxnResponse,
    EndTxnRequest => EndTxnResponse,
    WriteTxnMarkersRequest => WriteTxnMarkersResponse,
    TxnOffsetCommitRequest => TxnOffsetCommitResponse,
    DescribeConfigsRequest => DescribeConfigsResponse,
    AlterConfigsRequest => AlterConfigsResponse,
    IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    DescribeLogDirsRequest => DescribeLogDirsResponse,
    DeleteGroupsRequest => DeleteGroupsResponse,
    OffsetDeleteRequest => OffsetDeleteResponse,
    DescribeClusterRequest => DescribeClusterResponse,
    DescribeProducersRequest => DescribeProducersResponse,
    DescribeTransactionsRequest => DescribeTransactionsResponse,
    ListTransactionsRequest => ListTransactionsResponse,
    DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
    ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
    ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse,
    GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse,
    ListConfigResourcesRequest => ListConfigResourcesResponse,
}

generated!(request ApiVersionsRequest ApiVersionsResponse);
generated!(request FetchRequest FetchResponse);
generated!(response ProduceResponse);

/// A broker that does not know the version asked for answers in version 0.
impl Response for ApiVersionsResponse {
    const NAME: &'static str = "ApiVersionsResponse";

    fn header_version(_version: i16) -> i16 {
        0
    }

    fn encode(&self, out: &mut FrameWriter, version: i16) -> Result<()> {
        encode(self, out, version, Self::NAME)
    }

    fn decode(bytes: &mut Bytes, version: i16) -> Result<Self> {
        let error = Cursor::new(bytes).i16().map(crate::code::ErrorCode);
        let version = match error {
            Some(crate::code::ErrorCode::UNSUPPORTED_VERSION) => 0,
            _ => version,
        };
        guard::decode(bytes, version, version >= 3, Self::NAME)
    }
}

pub(super) const fn versions<M: Message>() -> Versions {
    Versions {
        min: M::VERSIONS.min,
        max: M::VERSIONS.max,
    }
}

fn encode<M: Encodable>(message: &M, out: &mut FrameWriter, version: i16, name: &'static str) -> Result<()> {
    message.encode(out.buffer(), version).map_err(|error| Error::Encode {
        message: name,
        version,
        source: error.into(),
    })
}
