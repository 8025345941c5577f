//! Groups: listed, described, deleted; their committed offsets.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest};
use kstreams_wire::TopicPartition;
use kstreams_wire::code::ErrorCode;

use super::{Admin, Outcomes, group_id, verdict};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::group::{Committed, GroupMetadata, Stability, offsets};

/// One entry of the list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// The group's id.
    pub group: String,
    /// What its members speak, such as `consumer`; empty if nobody ever joined.
    pub protocol_type: String,
    /// The state it is in, if the broker says.
    pub state: String,
}

/// A group as its coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// The state it is in, such as `Stable` or `Empty`.
    pub state: String,
    /// What its members speak, such as `consumer`.
    pub protocol_type: String,
    /// The assignor that the members agreed on.
    pub protocol: String,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// One member of a described group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// The id the coordinator gave to it.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// Its subscription, as bytes of its protocol.
    pub subscription: Bytes,
    /// Its assignment, as bytes of its protocol.
    pub assignment: Bytes,
}

impl Admin {
    /// All groups, sorted by id.
    pub fn list_groups(&self) -> Result<Vec<GroupListing>> {
        let cluster = self.cluster.clone();
        self.run("listing groups", async move {
            // Each broker knows the groups that it coordinates.
            cluster.refresh_metadata(&[]).await;
            let mut groups = BTreeMap::new();
            for node in cluster.nodes().into_keys() {
                let answer = cluster.send(node, ListGroupsRequest::default()).await?;
                verdict("list of groups", answer.error_code, None)?;
                for row in answer.groups {
                    let listing = GroupListing {
                        group: row.group_id.0.to_string(),
                        protocol_type: row.protocol_type.to_string(),
                        state: row.group_state.to_string(),
                    };
                    groups.insert(listing.group.clone(), listing);
                }
            }
            Ok(groups.into_values().collect())
        })
    }

    /// Describes groups. One that does not exist is an error with the code `GROUP_ID_NOT_FOUND`.
    pub fn describe_groups(&self, groups: &[&str]) -> Result<Outcomes<String, GroupDescription>> {
        let round = self.round("describing group");
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self.run("describing groups", async move {
            let attempt = |cluster: Cluster, groups: Vec<String>| async move {
                let mut outcomes = Vec::new();
                for group in groups {
                    let result = describe(&cluster, &group).await;
                    forget_if_moved(&cluster, &group, &result);
                    outcomes.push((group, result));
                }
                Ok(outcomes)
            };
            Ok(round.run(groups, attempt).await)
        })
    }

    /// Deletes groups with their offsets. One that still has members is an error with the code `NON_EMPTY_GROUP`.
    pub fn delete_groups(&self, groups: &[&str]) -> Result<Outcomes<String, ()>> {
        let round = self.round("deleting group");
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self.run("deleting groups", async move {
            let attempt = |cluster: Cluster, groups: Vec<String>| async move {
                let mut outcomes = Vec::new();
                for group in groups {
                    let result = delete(&cluster, &group).await;
                    forget_if_moved(&cluster, &group, &result);
                    outcomes.push((group, result));
                }
                Ok(outcomes)
            };
            Ok(round.run(groups, attempt).await)
        })
    }

    /// The offsets that a group committed: for these partitions, or all for `None`. Partitions without one are left
    /// out; a group that does not exist has none.
    pub fn committed_offsets(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
        stability: Stability,
    ) -> Result<BTreeMap<TopicPartition, Committed>> {
        let (cluster, group) = (self.cluster.clone(), group.to_owned());
        let partitions = partitions.map(<[TopicPartition]>::to_vec);
        let what = format!("reading offsets of group {group}");
        self.run(&what, async move {
            offsets::fetch(&cluster, &group, partitions.as_deref(), stability).await
        })
    }

    /// Commits offsets for a group that has no members.
    pub fn commit_offsets(&self, group: &str, offsets: BTreeMap<TopicPartition, Committed>) -> Result<()> {
        let (cluster, outsider) = (self.cluster.clone(), GroupMetadata::outside(group));
        let what = format!("commit of offsets of group {group}");
        self.run(
            &what,
            async move { offsets::commit(&cluster, &outsider, &offsets).await },
        )
    }
}

async fn describe(cluster: &Cluster, group: &str) -> Result<GroupDescription> {
    let node = cluster.coordinator(group).await?;
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let answer = cluster.send(node, request).await?;
    let what = format!("group {group}");
    let Some(row) = answer.groups.first() else {
        return Err(Error::Refused {
            what,
            code: ErrorCode::GROUP_ID_NOT_FOUND,
        });
    };
    verdict(&what, row.error_code, row.error_message.as_ref())?;
    // Brokers before 3.9 have no code for it.
    if *row.group_state == *"Dead" {
        return Err(Error::Refused {
            what,
            code: ErrorCode::GROUP_ID_NOT_FOUND,
        });
    }
    Ok(description(row))
}

async fn delete(cluster: &Cluster, group: &str) -> Result<()> {
    let node = cluster.coordinator(group).await?;
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
    let answer = cluster.send(node, request).await?;
    let code = answer
        .results
        .first()
        .map_or(ErrorCode::GROUP_ID_NOT_FOUND.0, |row| row.error_code);
    verdict(&format!("deleting group {group}"), code, None)
}

fn forget_if_moved<T>(cluster: &Cluster, group: &str, result: &Result<T>) {
    let Err(error) = result else { return };
    let moved = [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE];
    if error.code().map_or(error.is_retriable(), |code| moved.contains(&code)) {
        cluster.forget_coordinator(group);
    }
}

fn description(row: &DescribedGroup) -> GroupDescription {
    let member = |member: &kafka_protocol::messages::describe_groups_response::DescribedGroupMember| DescribedMember {
        member_id: member.member_id.to_string(),
        instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        subscription: member.member_metadata.clone(),
        assignment: member.member_assignment.clone(),
    };
    GroupDescription {
        state: row.group_state.to_string(),
        protocol_type: row.protocol_type.to_string(),
        protocol: row.protocol_data.to_string(),
        members: row.members.iter().map(member).collect(),
    }
}
