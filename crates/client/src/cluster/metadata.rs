//! What is known of the cluster: brokers, topics, leaders. Plain data, filled from Metadata answers.

use std::collections::{BTreeMap, BTreeSet};

use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::MetadataResponse;
use kstreams_wire::messages::metadata_response::MetadataResponseTopic;
use kstreams_wire::{TopicName, TopicPartition};

use super::NodeId;
use crate::config::{Address, ClientConfig};

/// A topic as metadata describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The broker's word on the topic as a whole.
    pub code: ErrorCode,
    /// The leader of each partition, by the partition's number.
    pub leaders: Vec<Option<Leader>>,
}

/// The broker that leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Who it is.
    pub node: NodeId,
    /// How often leadership has changed.
    pub epoch: i32,
}

/// All that is known. Bootstrap servers have negative ids and stay reachable, for the day when no other is.
#[derive(Debug)]
pub(super) struct Metadata {
    bootstrap: Vec<Address>,
    nodes: BTreeMap<NodeId, Address>,
    controller: Option<NodeId>,
    topics: BTreeMap<TopicName, Topic>,
    interests: BTreeSet<TopicName>,
    /// Topics that may come into being by our asking for them.
    creatable: BTreeSet<TopicName>,
}

impl Metadata {
    pub(super) fn new(config: &ClientConfig) -> Self {
        Self {
            bootstrap: config.bootstrap.clone(),
            nodes: BTreeMap::new(),
            controller: None,
            topics: BTreeMap::new(),
            interests: BTreeSet::new(),
            creatable: BTreeSet::new(),
        }
    }

    pub(super) fn nodes(&self) -> &BTreeMap<NodeId, Address> {
        &self.nodes
    }

    pub(super) fn controller(&self) -> Option<NodeId> {
        self.controller
    }

    pub(super) fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    pub(super) fn leader(&self, partition: &TopicPartition) -> Option<Leader> {
        let index = usize::try_from(partition.partition).ok()?;
        *self.topics.get(&partition.topic)?.leaders.get(index)?
    }

    pub(super) fn address(&self, node: NodeId) -> Option<Address> {
        if node.0 >= 0 {
            return self.nodes.get(&node).cloned();
        }
        let index = usize::try_from(-1 - node.0).ok()?;
        self.bootstrap.get(index).cloned()
    }

    /// Adds a broker that another one told us of.
    pub(super) fn add_node(&mut self, node: NodeId, address: Address) {
        self.nodes.insert(node, address);
    }

    /// Takes over what a broker said of a leader that took its place (KIP-951). False if that is old news, or the leader
    /// is not known.
    pub(super) fn move_leader(&mut self, partition: &TopicPartition, leader: Leader, address: Option<Address>) -> bool {
        let index = usize::try_from(partition.partition).ok();
        let known = self.topics.get_mut(&partition.topic);
        let Some(known) = index.and_then(|index| known?.leaders.get_mut(index)) else {
            return false;
        };
        let is_reachable = address.is_some() || self.nodes.contains_key(&leader.node);
        if !is_reachable || known.is_some_and(|known| known.epoch >= leader.epoch) {
            return false;
        }
        *known = Some(leader);
        if let Some(address) = address {
            self.nodes.insert(leader.node, address);
        }
        true
    }

    /// One of the brokers: `turn` chooses the first, further attempts go round and end with the bootstrap servers.
    pub(super) fn any(&self, turn: usize, attempt: usize) -> NodeId {
        let attempt = attempt % (self.nodes.len() + self.bootstrap.len()).max(1);
        if attempt < self.nodes.len() {
            let place = turn.wrapping_add(attempt) % self.nodes.len();
            return self.nodes.keys().nth(place).copied().unwrap_or(NodeId(-1));
        }
        NodeId(-1 - i32::try_from(attempt - self.nodes.len()).unwrap_or(0))
    }

    /// Adds topics to those that are asked for. True if one of them is new.
    pub(super) fn add_interest<'a>(&mut self, topics: impl IntoIterator<Item = &'a TopicName>) -> bool {
        let before = self.interests.len();
        self.interests.extend(topics.into_iter().cloned());
        self.interests.len() > before
    }

    pub(super) fn add_creatable(&mut self, topic: &TopicName) {
        self.creatable.insert(topic.clone());
    }

    pub(super) fn interests(&self) -> &BTreeSet<TopicName> {
        &self.interests
    }

    /// True if one of the topics that may be created is not there.
    pub(super) fn creates(&self) -> bool {
        self.creatable
            .iter()
            .any(|topic| self.topics.get(topic).is_some_and(|t| !t.code.is_ok()))
    }

    /// Takes over an answer. True if everything that was asked for has a leader.
    pub(super) fn update(&mut self, answer: &MetadataResponse) -> bool {
        if !answer.brokers.is_empty() {
            self.nodes = answer
                .brokers
                .iter()
                .map(|b| (NodeId(b.node_id.0), Address::of(&b.host, b.port)))
                .collect();
        }
        self.controller = Some(NodeId(answer.controller_id.0)).filter(|node| self.nodes.contains_key(node));
        let mut complete = true;
        for topic in &answer.topics {
            let Some(name) = topic.name.as_ref().map(|name| TopicName::new(&name.0)) else {
                continue;
            };
            let update = described(topic);
            complete &= update.code.is_ok() && update.leaders.iter().all(Option::is_some);
            self.topics.insert(name, update);
        }
        complete
    }
}

fn described(topic: &MetadataResponseTopic) -> Topic {
    let mut leaders = vec![None; topic.partitions.len()];
    for partition in &topic.partitions {
        let leader = Leader {
            node: NodeId(partition.leader_id.0),
            epoch: partition.leader_epoch,
        };
        let place = usize::try_from(partition.partition_index)
            .ok()
            .and_then(|index| leaders.get_mut(index));
        if let (Some(place), true) = (place, leader.node.0 >= 0) {
            *place = Some(leader);
        }
    }
    Topic {
        code: ErrorCode::from(topic.error_code),
        leaders,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_leader_that_can_be_reached_is_believed() {
        let servers = BTreeMap::from([("bootstrap.servers".to_owned(), "a:1".to_owned())]);
        let mut metadata = Metadata::new(&ClientConfig::from_properties(&servers).unwrap());
        let leader = |node, epoch| Leader {
            node: NodeId(node),
            epoch,
        };
        let topic = Topic {
            code: ErrorCode::NONE,
            leaders: vec![Some(leader(1, 5)), None],
        };
        metadata.topics.insert(TopicName::new("t"), topic);
        metadata.add_node(NodeId(1), Address::of("a", 1));
        let [first, second, third] = [0, 1, 2].map(|number| TopicPartition::new("t", number));
        let two = Some(Address::of("b", 2));
        assert!(!metadata.move_leader(&first, leader(2, 6), None), "nobody knows where");
        assert!(!metadata.move_leader(&first, leader(2, 5), two.clone()), "old news");
        assert!(
            !metadata.move_leader(&third, leader(2, 6), two.clone()),
            "no such partition"
        );
        assert!(metadata.move_leader(&first, leader(2, 6), two));
        assert_eq!(metadata.leader(&first), Some(leader(2, 6)));
        assert!(metadata.move_leader(&second, leader(1, 0), None));
        assert_eq!(metadata.address(NodeId(2)), Some(Address::of("b", 2)));
    }
}
