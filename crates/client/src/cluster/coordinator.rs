//! Who coordinates a group or a transactional id: asked once, remembered until someone finds it wrong.

use std::collections::BTreeMap;

use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::FindCoordinatorRequest;
use kstreams_wire::messages::StrBytes;
use tracing::debug;

use super::{Cluster, NodeId};
use crate::config::Address;
use crate::error::{Error, Result};
use crate::network::sleep;

/// The coordinators that are known.
#[derive(Debug, Default)]
pub(super) struct Coordinators(BTreeMap<(Coordinated, String), NodeId>);

/// What may have a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Coordinated {
    Group,
    Transaction,
}

impl Coordinated {
    fn to_wire(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Transaction => "transactional id",
        }
    }
}

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
        self.coordinator_of(Coordinated::Group, group).await
    }

    /// The broker that coordinates the transactions of this id: waits until there is one.
    pub async fn transaction_coordinator(&self, id: &str) -> Result<NodeId> {
        self.coordinator_of(Coordinated::Transaction, id).await
    }

    /// Forgets who coordinates the group: it said that it does not.
    pub fn forget_coordinator(&self, group: &str) {
        self.forget_coordinator_of(Coordinated::Group, group);
    }

    /// Forgets who coordinates the transactions of this id: it said that it does not.
    pub fn forget_transaction_coordinator(&self, id: &str) {
        self.forget_coordinator_of(Coordinated::Transaction, id);
    }

    fn forget_coordinator_of(&self, kind: Coordinated, id: &str) {
        self.state().coordinators.0.remove(&(kind, id.to_owned()));
    }

    async fn coordinator_of(&self, kind: Coordinated, id: &str) -> Result<NodeId> {
        let mut backoff = self.backoff();
        let key = (kind, id.to_owned());
        loop {
            if let Some(node) = self.state().coordinators.0.get(&key) {
                return Ok(*node);
            }
            let found = self.find(kind, id).await?;
            if found.code.is_ok() {
                let mut state = self.state();
                state.metadata.add_node(found.node, found.address);
                state.coordinators.0.insert(key, found.node);
                return Ok(found.node);
            }
            if !found.code.is_retriable() {
                return Err(Error::Refused {
                    what: format!("coordinator of {} {id}", kind.name()),
                    code: found.code,
                });
            }
            debug!(kind = kind.name(), id, code = %found.code, "no coordinator yet");
            sleep(backoff.failed()).await;
        }
    }

    async fn find(&self, kind: Coordinated, id: &str) -> Result<Found> {
        let key = StrBytes::from_string(id.to_owned());
        let answer = self
            .send_any_built(|version| {
                let request = FindCoordinatorRequest::default();
                // Version 0 knows groups only.
                let request = request.with_key_type(if version >= 1 { kind.to_wire() } else { 0 });
                match version {
                    ..=3 => request.with_key(key.clone()),
                    _ => request.with_coordinator_keys(vec![key.clone()]),
                }
            })
            .await?;
        let found = |code, node, host: &str, port| Found {
            code: ErrorCode::from(code),
            node: NodeId(node),
            address: Address::of(host, port),
        };
        Ok(match answer.coordinators.first() {
            Some(c) => found(c.error_code, c.node_id.0, &c.host, c.port),
            None => found(answer.error_code, answer.node_id.0, &answer.host, answer.port),
        })
    }
}
