//! The consumer as a member of a group: events out, answers in, offsets committed and read.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kstreams_wire::code::ErrorCode;
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
        self.identity = None;
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

    /// Who this consumer is in its group, as of the last event that [`poll`](Consumer::poll) handed out: what the
    /// application did since then is committed in this name. The membership itself may be further already, and what was
    /// done before it was lost must not pass for the work of the member that it has become.
    ///
    /// [`Error::NotMember`]: nothing is assigned, or not any more. An empty name must not take the place of a lost one:
    /// coordinators let outsiders pass.
    pub fn group_metadata(&self) -> Result<GroupMetadata> {
        let member = self.member()?;
        self.identity.clone().ok_or_else(|| Error::NotMember {
            group: member.metadata().group_id,
            code: ErrorCode::UNKNOWN_MEMBER_ID,
        })
    }

    /// True while the group's next generation is being made, and until the next poll tells what came of it: nothing can be
    /// committed meanwhile.
    pub fn is_rebalancing(&self) -> bool {
        let Some(member) = &self.member else { return false };
        let is_current = |identity: &GroupMetadata| member.is(identity);
        member.is_rebalancing() || !self.identity.as_ref().is_some_and(is_current)
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
        let identity = self.group_metadata()?;
        self.member()?.commit(identity, offsets, limit)
    }

    /// The offsets that the group committed for these partitions, without those that have none.
    pub fn committed(
        &mut self,
        partitions: &[TopicPartition],
        stability: Stability,
        limit: Duration,
    ) -> Result<BTreeMap<TopicPartition, Committed>> {
        let group = self.member()?.metadata().group_id;
        let what = format!("reading offsets of group {group}");
        let cluster = self.client.cluster().clone();
        let partitions = partitions.to_vec();
        self.client.io().run(&what, limit, async move {
            offsets::fetch(&cluster, &group, Some(&partitions), stability).await
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

impl Consumer {
    /// Takes note of who the application is from this event on. What a poll says of it.
    pub(super) fn heard(&mut self, event: Result<GroupEvent>) -> ConsumerEvent {
        match &event {
            Ok(GroupEvent::Assigned { member, .. }) => self.identity = Some(member.clone()),
            Ok(GroupEvent::Lost) | Err(_) => self.identity = None,
            Ok(GroupEvent::Joining | GroupEvent::Lead { .. }) => {}
        }
        event.map_or_else(ConsumerEvent::GroupFailed, ConsumerEvent::Group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClientConfig;
    use crate::{Client, ConsumerConfig};

    fn nobody_answers() -> Client {
        let properties = BTreeMap::from([("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())]);
        Client::start(ClientConfig::from_properties(&properties).expect("a good configuration")).expect("a client")
    }

    fn assigned(generation: i32, member: &str) -> Letter {
        Letter::Group(Ok(GroupEvent::Assigned {
            generation,
            member: GroupMetadata {
                generation,
                member_id: member.to_owned(),
                ..GroupMetadata::outside("g")
            },
            assigned: Vec::new(),
            added: Vec::new(),
            revoked: Vec::new(),
            user_data: Bytes::new(),
        }))
    }

    #[test]
    fn a_consumer_is_who_the_event_said_that_was_handed_out_last() {
        let mut consumer = nobody_answers().consumer(ConsumerConfig::default());
        consumer.join(GroupConfig::new("g"));
        assert!(matches!(consumer.group_metadata(), Err(Error::NotMember { .. })));
        consumer.mailbox.put(assigned(1, "first"));
        consumer.mailbox.put(Letter::Group(Ok(GroupEvent::Lost)));
        consumer.mailbox.put(assigned(4, "second"));
        let mut next = || {
            let events = consumer.poll(Duration::from_secs(60));
            assert_eq!(events.len(), 1, "{events:?}");
            // The membership itself still looks for its coordinator.
            assert!(consumer.is_rebalancing());
            consumer
                .group_metadata()
                .map(|member| (member.generation, member.member_id))
        };
        assert_eq!(next().expect("it is assigned"), (1, "first".to_owned()));
        // The membership is the second already, but what the first did must not be committed in its name.
        assert!(matches!(next(), Err(Error::NotMember { .. })));
        assert_eq!(next().expect("it is assigned"), (4, "second".to_owned()));
    }
}
