//! What a member tells its application, and what the application may know about its membership.

use bytes::Bytes;
use kstreams_wire::TopicPartition;
use kstreams_wire::membership::Subscription;

/// What happens to a member of a group. The application answers three of these events; see each of them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GroupEvent {
    /// A JoinGroup is about to be sent: answer with the subscription, each time. Heartbeats go on meanwhile.
    Joining,
    /// This member leads the generation: answer with an assignment for every member.
    Lead {
        /// The generation to be assigned.
        generation: i32,
        /// All members with their subscriptions, sorted by member id.
        members: Vec<GroupMember>,
    },
    /// The generation is assigned: give up `revoked` (commit its offsets first), take `added`, then acknowledge what
    /// is owned. If something was revoked the member rejoins by itself after the acknowledgement.
    Assigned {
        /// The generation that was assigned.
        generation: i32,
        /// Who this member is in that generation: what it does with the partitions is done in this name.
        member: GroupMetadata,
        /// Everything this member is to own, sorted.
        assigned: Vec<TopicPartition>,
        /// What of it is new, sorted.
        added: Vec<TopicPartition>,
        /// What was owned and is not any more, sorted.
        revoked: Vec<TopicPartition>,
        /// The assignor's own bytes for this member.
        user_data: Bytes,
    },
    /// The group no longer knows this member: everything it owned may already belong to another. Commits of the old
    /// generation will be refused. The member rejoins by itself; no answer is expected.
    Lost,
}

/// One member of a group, as its leader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMember {
    /// The id the coordinator gave to the member.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// What the member subscribed to, with its assignor's user data.
    pub subscription: Subscription,
}

/// Who a member is in its group at this moment: what commits and transactions are fenced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group.
    pub group_id: String,
    /// The generation, -1 while there is none.
    pub generation: i32,
    /// The id given by the coordinator, empty while there is none.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
}

impl GroupMetadata {
    /// The metadata of someone who commits to a group without being a member.
    pub fn outside(group_id: &str) -> Self {
        Self {
            group_id: group_id.into(),
            generation: -1,
            member_id: "".into(),
            instance_id: None,
        }
    }

    /// True while the coordinator counts us into a generation.
    pub fn is_member(&self) -> bool {
        self.generation >= 0
    }
}
