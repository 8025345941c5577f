//! A group as bytes, so that its generation outlives a restart of the broker.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use tokio::time::Instant;

use super::{Group, Member, Phase};
use crate::coordinate::journal::{put_bytes, put_optional, take_bytes, take_optional, take_text};

impl Group {
    /// The group as bytes, if it has changed since the last time and is at rest.
    pub(crate) fn take_snapshot(&mut self) -> Option<Vec<u8>> {
        let at_rest = matches!(self.phase, Phase::Empty | Phase::Stable);
        (at_rest && std::mem::take(&mut self.is_news)).then(|| self.to_bytes())
    }

    /// The group as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_i32(self.generation);
        put_bytes(&mut bytes, self.protocol_type.as_bytes());
        put_optional(&mut bytes, self.protocol.as_deref());
        put_optional(&mut bytes, self.leader.as_deref());
        bytes.put_u32(u32::try_from(self.members.len()).unwrap_or(u32::MAX));
        for member in self.members.values() {
            member.put(&mut bytes);
        }
        bytes
    }

    /// The group in these bytes, if they are one. Sessions begin anew.
    pub(crate) fn from_bytes(mut bytes: Bytes, initial_delay: Duration, now: Instant) -> Option<Self> {
        let mut group = Self::new(initial_delay);
        group.generation = bytes.try_get_i32().ok()?;
        group.protocol_type = take_text(&mut bytes)?;
        group.protocol = take_optional(&mut bytes)?;
        group.leader = take_optional(&mut bytes)?;
        for _ in 0..bytes.try_get_u32().ok()? {
            let member = Member::take(&mut bytes, now)?;
            if let Some(instance) = &member.instance_id {
                group.instances.insert(instance.clone(), member.id.clone());
            }
            group.members.insert(member.id.clone(), member);
        }
        if !group.members.is_empty() {
            group.phase = Phase::Stable;
        }
        Some(group)
    }
}

impl Member {
    fn put(&self, bytes: &mut Vec<u8>) {
        put_bytes(bytes, self.id.as_bytes());
        put_optional(bytes, self.instance_id.as_deref());
        put_bytes(bytes, self.client_id.as_bytes());
        put_bytes(bytes, self.client_host.as_bytes());
        for timeout in [self.session_timeout, self.rebalance_timeout] {
            bytes.put_u64(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        }
        bytes.put_u32(u32::try_from(self.protocols.len()).unwrap_or(u32::MAX));
        for (name, metadata) in &self.protocols {
            put_bytes(bytes, name.as_bytes());
            put_bytes(bytes, metadata);
        }
        put_bytes(bytes, &self.assignment);
    }

    fn take(bytes: &mut Bytes, now: Instant) -> Option<Self> {
        let id = take_text(bytes)?;
        let instance_id = take_optional(bytes)?;
        let client_id = take_text(bytes)?;
        let client_host = take_text(bytes)?;
        let session_timeout = Duration::from_millis(bytes.try_get_u64().ok()?);
        let rebalance_timeout = Duration::from_millis(bytes.try_get_u64().ok()?);
        let mut protocols = Vec::new();
        for _ in 0..bytes.try_get_u32().ok()? {
            protocols.push((take_text(bytes)?, take_bytes(bytes)?));
        }
        Some(Self {
            id,
            instance_id,
            client_id,
            client_host,
            session_timeout,
            rebalance_timeout,
            protocols,
            assignment: take_bytes(bytes)?,
            session_deadline: now + session_timeout,
            joining: None,
            owes_sync: false,
            syncing: None,
        })
    }
}
