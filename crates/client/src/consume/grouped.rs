//! The consumer as a member of a group: events out, answers in, offsets committed and read.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kstreams_wire::membership::Assignment;
use kstreams_wire::{TopicName, TopicPartition};

use super::{Consumer, ConsumerEvent, Letter};
use crate::error::{Error, Result};
use crate::group::{Committed, GroupConfig, GroupEvent, GroupMetadata, Leave, Member, Stability, offsets};

impl Consumer {
    /// Becomes a member of a group, in place of any other membership. What happens comes out of
    /// [`poll`](Consumer::poll) as [`ConsumerEvent::Group`]; a [`ConsumerEvent::GroupFailed`] ends it.
    pub fn join(&mut self, config: GroupConfig) {
        let mailbox = self.mailbox.clone();
        let events = move |event| mailbox.put(Letter::Group(event));
        self.member = Some(Member::start(self.client.cluster(), config, events));
    }

    /// Answers [`GroupEvent::Joining`]: these topics are wanted, and this is told to the leader.
    pub fn subscribe(&mut self, topics: Vec<TopicName>, user_data: Bytes) {
        if let Some(member) = &self.member {
            member.subscribe(topics, user_data);
        }
    }

    /// Answers [`GroupEvent::Lead`]: who is to own what.
    pub fn assign_members(&mut self, assignments: Vec<(String, Assignment)>) {
        if let Some(member) = &self.member {
            member.assign_members(assignments);
        }
    }

    /// Answers [`GroupEvent::Assigned`]: these partitions are owned now.
    pub fn acknowledge(&mut self, owned: Vec<TopicPartition>) {
        if let Some(member) = &self.member {
            member.acknowledge(owned);
        }
    }

    /// Asks for a rebalance. If one is under way, another follows it.
    pub fn rejoin(&mut self, reason: &'static str) {
        if let Some(member) = &self.member {
            member.rejoin(reason);
        }
    }

    /// Who this consumer is in its group; `None` if it did not join one.
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        self.member.as_ref().map(Member::metadata)
    }

    /// True while the group's next generation is being made.
    pub fn is_rebalancing(&self) -> bool {
        self.member.as_ref().is_some_and(Member::is_rebalancing)
    }

    /// Leaves the group, if it joined one, and waits up to `limit` for the coordinator to hear it.
    pub fn leave(&mut self, leave: Leave, limit: Duration) -> Result<()> {
        self.member.take().map_or(Ok(()), |member| member.leave(leave, limit))
    }

    /// Commits offsets of the group in the name of this member, and waits for it up to `limit`.
    ///
    /// [`Error::RebalanceInProgress`]: nothing is lost, commit again after the next assignment.
    /// [`Error::NotMember`]: what was done since the last commit will be done again by another.
    pub fn commit(&mut self, offsets: BTreeMap<TopicPartition, Committed>, limit: Duration) -> Result<()> {
        self.member()?.commit(offsets, limit)
    }

    /// The offsets that the group committed for these partitions, without those that have none. Waits while a
    /// transaction has offsets of them pending.
    pub fn committed(
        &mut self,
        partitions: &[TopicPartition],
        limit: Duration,
    ) -> Result<BTreeMap<TopicPartition, Committed>> {
        let group = self.member()?.metadata().group_id;
        let what = format!("reading offsets of group {group}");
        let cluster = self.client.cluster().clone();
        let partitions = partitions.to_vec();
        self.client.io().run(&what, limit, async move {
            offsets::fetch(&cluster, &group, Some(&partitions), Stability::Required).await
        })
    }

    /// Any poll is a sign that the application lives.
    pub(super) fn polled(&self) {
        if let Some(member) = &self.member {
            member.polled();
        }
    }

    fn member(&self) -> Result<&Member> {
        self.member.as_ref().ok_or(Error::NoGroup)
    }
}

/// What a poll says of it.
pub(super) fn event(event: Result<GroupEvent>) -> ConsumerEvent {
    event.map_or_else(ConsumerEvent::GroupFailed, ConsumerEvent::Group)
}
