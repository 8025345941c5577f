//! Connects to a broker and agrees with it on versions. TLS and SASL will stand here, between socket and ApiVersions.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::api_versions_response::ApiVersion;
use kstreams_wire::messages::{self, ApiVersionsRequest, ApiVersionsResponse, Request, StrBytes, Versions};
use rustc_hash::FxBuildHasher;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, watch};

use super::{Connection, Pending, Shared, reader, writer};
use crate::config::{Address, ClientConfig};
use crate::error::{Error, Result};
use crate::network::{self, Instant, Io, TcpStream, timeout};

/// What a broker knows: the versions of requests by API key, and the level of each feature that its cluster has agreed on.
#[derive(Debug, Default)]
pub(super) struct Known {
    versions: HashMap<i16, Versions, FxBuildHasher>,
    features: Vec<(String, i16)>,
}

impl Known {
    /// The highest version that both sides know.
    pub(super) fn of<R: Request>(&self) -> Option<i16> {
        self.versions.get(&R::KEY)?.highest_common(R::VERSIONS)
    }

    /// The level of a feature; 0 if the cluster does not have it.
    pub(super) fn feature(&self, name: &str) -> i16 {
        let known = self.features.iter().find(|(known, _)| known == name);
        known.map_or(0, |(_, level)| *level)
    }
}

/// Connects, agrees on versions, and starts the connection's two tasks.
pub(crate) async fn open(address: &Address, config: &ClientConfig, io: &Io) -> Result<Connection> {
    let unreachable = |source| Error::Unreachable {
        address: address.to_string(),
        source: Arc::new(source),
    };
    let socket = timeout(config.connect_timeout, network::connect(address)).await;
    let mut socket = socket
        .map_err(|_| unreachable(io::ErrorKind::TimedOut.into()))?
        .map_err(unreachable)?;
    let agreed = timeout(config.request_timeout, agree(&mut socket, config)).await;
    let agreed = agreed
        .map_err(|_| unreachable(io::ErrorKind::TimedOut.into()))?
        .map_err(unreachable)?;
    let versions = agreed.ok_or_else(|| Error::Unsupported {
        address: address.to_string(),
        api: "ApiVersions",
    })?;
    Ok(start(socket, address, config, versions, io))
}

fn start(socket: TcpStream, address: &Address, config: &ClientConfig, versions: Known, io: &Io) -> Connection {
    let (queue, queued) = mpsc::unbounded_channel();
    let pending = Pending {
        answers: HashMap::default(),
        used: Instant::now(),
        closed: false,
    };
    let shared = Arc::new(Shared {
        address: address.clone(),
        client_id: config.client_id.clone(),
        versions,
        correlation: AtomicI32::new(1),
        pending: Mutex::new(pending),
        closing: watch::Sender::new(false),
    });
    let (read, write) = socket.into_split();
    io.spawn(reader::run(Arc::clone(&shared), read));
    io.spawn(writer::run(Arc::clone(&shared), write, queued, config.idle_max));
    Connection { shared, queue }
}

/// Asks with the newest version first; a broker that does not know it answers in version 0 with what it knows.
async fn agree(socket: &mut TcpStream, config: &ClientConfig) -> io::Result<Option<Known>> {
    let newest = ApiVersionsRequest::VERSIONS.max;
    let mut answer = ask(socket, config, newest).await?;
    if ErrorCode(answer.error_code) == ErrorCode::UNSUPPORTED_VERSION {
        answer = ask(socket, config, 0).await?;
    }
    Ok((answer.error_code == 0).then(|| {
        let versions = |api: &ApiVersion| Versions {
            min: api.min_version,
            max: api.max_version,
        };
        let features = answer.finalized_features.iter();
        Known {
            versions: answer.api_keys.iter().map(|api| (api.api_key, versions(api))).collect(),
            features: features
                .map(|feature| (feature.name.to_string(), feature.max_version_level))
                .collect(),
        }
    }))
}

async fn ask(socket: &mut TcpStream, config: &ClientConfig, version: i16) -> io::Result<ApiVersionsResponse> {
    let invalid = |error: kstreams_wire::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("kstreams"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    let request = if version >= 3 {
        request
    } else {
        ApiVersionsRequest::default()
    };
    let frame = messages::encode_request(&request, version, 0, Some(&config.client_id)).map_err(invalid)?;
    socket.write_all(&frame.into_bytes()).await?;
    let answer = reader::next(socket, &mut BytesMut::new()).await?;
    let code = answer.get(4..6).unwrap_or_default();
    let version = if code == ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes() {
        0
    } else {
        version
    };
    let answer = messages::decode_response::<ApiVersionsRequest>(answer, version)
        .map_err(invalid)?
        .1;
    Ok(answer)
}
