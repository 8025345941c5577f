//! Who coordinates a group: asked once, remembered until someone finds it wrong.

use std::collections::BTreeMap;

use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::FindCoordinatorRequest;
use kstreams_wire::messages::StrBytes;
use tracing::debug;

use super::{Cluster, NodeId};
use crate::config::Address;
use crate::error::{Error, Result};
use crate::network::sleep;

/// The coordinators that are known, by group.
#[derive(Debug, Default)]
pub(super) struct Coordinators(BTreeMap<String, NodeId>);

/// What FindCoordinator answers, whatever its version.
#[derive(Debug)]
struct Found {
    code: ErrorCode,
    node: NodeId,
    address: Address,
}

impl Cluster {
    /// The broker that coordinates this group: waits until there is one.
    pub async fn coordinator(&self, group: &str) -> Result<NodeId> {
        let mut backoff = self.backoff();
        loop {
            if let Some(node) = self.state().coordinators.0.get(group) {
                return Ok(*node);
            }
            let found = self.find(group).await?;
            if found.code.is_ok() {
                let mut state = self.state();
                state.metadata.add_node(found.node, found.address);
                state.coordinators.0.insert(group.to_owned(), found.node);
                return Ok(found.node);
            }
            if !found.code.is_retriable() {
                return Err(Error::Refused {
                    what: format!("coordinator of group {group}"),
                    code: found.code,
                });
            }
            debug!(group, code = %found.code, "no coordinator yet");
            sleep(backoff.failed()).await;
        }
    }

    /// Forgets who coordinates the group: it said that it does not.
    pub fn forget_coordinator(&self, group: &str) {
        self.state().coordinators.0.remove(group);
    }

    async fn find(&self, group: &str) -> Result<Found> {
        let key = StrBytes::from_string(group.to_owned());
        let answer = self
            .send_any_built(|version| match version {
                ..=3 => FindCoordinatorRequest::default().with_key(key.clone()),
                _ => FindCoordinatorRequest::default().with_coordinator_keys(vec![key.clone()]),
            })
            .await?;
        let found = |code, node, host: &str, port| Found {
            code: ErrorCode::from(code),
            node: NodeId(node),
            address: Address {
                host: host.to_owned(),
                port: u16::try_from(port).unwrap_or(0),
            },
        };
        Ok(match answer.coordinators.first() {
            Some(c) => found(c.error_code, c.node_id.0, &c.host, c.port),
            None => found(answer.error_code, answer.node_id.0, &answer.host, answer.port),
        })
    }
}
