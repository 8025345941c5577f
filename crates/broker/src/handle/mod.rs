//! What the broker answers: one file per conversation, and the table of them all.

mod committed;
mod configs;
mod fetch;
mod fetch_answer;
mod group;
mod groups;
mod handshake;
mod metadata;
mod offsets;
mod produce;
mod topics;
mod transactions;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes, VersionRange};
use kstreams_wire::messages::Request;

use crate::node::Node;
use crate::server::Rope;

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Call {
    /// The address through which the client came: what it is told to use.
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) frame: Bytes,
}

/// What a handler may know of a request beside its body.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) version: i16,
    pub(crate) client_id: String,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// The conversations and their versions. What is not here is not advertised.
const SERVED: &[(ApiKey, VersionRange)] = &[
    (ApiKey::Produce, range(3, 13)),
    (ApiKey::Fetch, range(4, 17)),
    (ApiKey::ListOffsets, range(1, 10)),
    (ApiKey::Metadata, range(0, 13)),
    (ApiKey::OffsetCommit, range(2, 9)),
    (ApiKey::OffsetFetch, range(1, 9)),
    (ApiKey::FindCoordinator, range(0, 6)),
    (ApiKey::JoinGroup, range(0, 9)),
    (ApiKey::Heartbeat, range(0, 4)),
    (ApiKey::LeaveGroup, range(0, 5)),
    (ApiKey::SyncGroup, range(0, 5)),
    (ApiKey::DescribeGroups, range(0, 6)),
    (ApiKey::ListGroups, range(0, 5)),
    (ApiKey::ApiVersions, range(0, 4)),
    (ApiKey::CreateTopics, range(2, 7)),
    (ApiKey::DeleteTopics, range(1, 6)),
    (ApiKey::DeleteRecords, range(0, 2)),
    (ApiKey::InitProducerId, range(0, 5)),
    (ApiKey::OffsetForLeaderEpoch, range(2, 4)),
    (ApiKey::AddPartitionsToTxn, range(0, 3)),
    (ApiKey::AddOffsetsToTxn, range(0, 4)),
    (ApiKey::EndTxn, range(0, 5)),
    (ApiKey::TxnOffsetCommit, range(0, 5)),
    (ApiKey::DescribeConfigs, range(1, 4)),
    (ApiKey::CreatePartitions, range(0, 3)),
    (ApiKey::DeleteGroups, range(0, 2)),
    (ApiKey::IncrementalAlterConfigs, range(0, 1)),
    (ApiKey::OffsetDelete, range(0, 0)),
    (ApiKey::DescribeCluster, range(0, 2)),
    (ApiKey::DescribeProducers, range(0, 0)),
    (ApiKey::DescribeTransactions, range(0, 0)),
    (ApiKey::ListTransactions, range(0, 1)),
];

const fn range(min: i16, max: i16) -> VersionRange {
    VersionRange { min, max }
}

/// Answers a request; nothing if it wants no answer. An error closes the connection.
pub(crate) async fn answer(node: &Rc<Node>, call: Call) -> io::Result<Option<Rope>> {
    let Call { local, peer, mut frame } = call;
    let (key, version) = match *frame {
        [k0, k1, v0, v1, ..] => (i16::from_be_bytes([k0, k1]), i16::from_be_bytes([v0, v1])),
        _ => return Err(invalid("a request without a header")),
    };
    let api = ApiKey::try_from(key).map_err(|()| invalid(format!("unknown request {key}")))?;
    let served = SERVED
        .iter()
        .find(|(served, _)| *served == api)
        .map(|(_, versions)| *versions);
    let header = RequestHeader::decode(&mut frame, api.request_header_version(version)).map_err(invalid)?;
    let context = Context {
        version,
        client_id: header.client_id.as_deref().unwrap_or_default().to_owned(),
        local,
        peer,
    };
    let turn = Turn {
        api,
        correlation_id: header.correlation_id,
        body: frame,
        context,
    };
    match served {
        Some(versions) if (versions.min..=versions.max).contains(&version) => dispatch(node, turn).await,
        // The one request whose wrong version has an answer: this is how a newer client finds the right one.
        _ if api == ApiKey::ApiVersions => turn.encode_as(&handshake::unsupported(), 0).map(Some),
        _ => Err(invalid(format!("{api:?} in unsupported version {version}"))),
    }
}

async fn dispatch(node: &Rc<Node>, mut turn: Turn) -> io::Result<Option<Rope>> {
    let answer = match turn.api {
        ApiKey::Produce => {
            let request = turn.decode()?;
            return match produce::produce(node, &turn.context, request) {
                Some(response) => turn.encode(&response).map(Some),
                None => Ok(None),
            };
        }
        ApiKey::Fetch => {
            let request = turn.decode()?;
            let answer = fetch::fetch(node, &turn.context, request).await;
            let version = turn.context.version;
            turn.header(version).map(|head| answer.write(version, head))
        }
        ApiKey::ListOffsets => turn.reply(node, offsets::list_offsets),
        ApiKey::Metadata => turn.reply(node, metadata::metadata),
        ApiKey::OffsetCommit => turn.reply(node, committed::commit),
        ApiKey::OffsetFetch => turn.reply(node, committed::fetch),
        ApiKey::FindCoordinator => turn.reply(node, groups::find_coordinator),
        ApiKey::JoinGroup => {
            let request = turn.decode()?;
            let response = group::join(node, &turn.context, request).await;
            turn.encode(&response)
        }
        ApiKey::Heartbeat => turn.reply(node, group::heartbeat),
        ApiKey::LeaveGroup => turn.reply(node, group::leave),
        ApiKey::SyncGroup => {
            let request = turn.decode()?;
            let response = group::sync(node, &turn.context, request).await;
            turn.encode(&response)
        }
        ApiKey::DescribeGroups => turn.reply(node, groups::describe),
        ApiKey::ListGroups => turn.reply(node, groups::list),
        ApiKey::ApiVersions => turn.reply(node, handshake::api_versions),
        ApiKey::CreateTopics => turn.reply(node, topics::create),
        ApiKey::DeleteTopics => turn.reply(node, topics::delete),
        ApiKey::DeleteRecords => turn.reply(node, offsets::delete_records),
        ApiKey::InitProducerId => turn.reply(node, transactions::init_producer_id),
        ApiKey::OffsetForLeaderEpoch => turn.reply(node, offsets::leader_epochs),
        ApiKey::AddPartitionsToTxn => turn.reply(node, transactions::add_partitions),
        ApiKey::AddOffsetsToTxn => turn.reply(node, transactions::add_offsets),
        ApiKey::TxnOffsetCommit => turn.reply(node, transactions::commit_offsets),
        ApiKey::EndTxn => turn.reply(node, transactions::end),
        ApiKey::DescribeProducers => turn.reply(node, transactions::describe_producers),
        ApiKey::DescribeTransactions => turn.reply(node, transactions::describe),
        ApiKey::ListTransactions => turn.reply(node, transactions::list),
        ApiKey::DescribeConfigs => turn.reply(node, configs::describe),
        ApiKey::CreatePartitions => turn.reply(node, topics::grow),
        ApiKey::DeleteGroups => turn.reply(node, groups::delete),
        ApiKey::OffsetDelete => turn.reply(node, committed::delete),
        ApiKey::IncrementalAlterConfigs => turn.reply(node, configs::alter),
        ApiKey::DescribeCluster => turn.reply(node, metadata::describe_cluster),
        api => Err(invalid(format!("no handler for {api:?}"))),
    };
    answer.map(Some)
}

/// One request on its way to its answer.
struct Turn {
    api: ApiKey,
    correlation_id: i32,
    body: Bytes,
    context: Context,
}

impl Turn {
    /// Decodes the request, lets `handler` answer, encodes the answer.
    fn reply<Q: Request<Response: Encodable>>(
        mut self,
        node: &Rc<Node>,
        handler: impl FnOnce(&Rc<Node>, &Context, Q) -> Q::Response,
    ) -> io::Result<Rope> {
        let request = self.decode::<Q>()?;
        let response = handler(node, &self.context, request);
        self.encode(&response)
    }

    fn decode<Q: Request>(&mut self) -> io::Result<Q> {
        Q::decode(&mut self.body, self.context.version).map_err(invalid)
    }

    fn encode<R: Encodable>(&self, response: &R) -> io::Result<Rope> {
        self.encode_as(response, self.context.version)
    }

    fn encode_as<R: Encodable>(&self, response: &R, version: i16) -> io::Result<Rope> {
        let mut bytes = self.header(version)?;
        response.encode(&mut bytes, version).map_err(invalid)?;
        let mut rope = Rope::default();
        rope.push(bytes.freeze());
        Ok(rope)
    }

    fn header(&self, version: i16) -> io::Result<BytesMut> {
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        let mut bytes = BytesMut::new();
        header
            .encode(&mut bytes, self.api.response_header_version(version))
            .map_err(invalid)?;
        Ok(bytes)
    }
}

fn invalid(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

/// Text for the wire.
fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}
