//! Keeps metadata fresh: on request, and at its age.

use kstreams_wire::code::ErrorCode;
use kstreams_wire::messages::StrBytes;
use kstreams_wire::messages::metadata_request::MetadataRequestTopic;
use kstreams_wire::messages::{MetadataRequest, TopicName as Name};
use kstreams_wire::{TopicName, TopicPartition};
use tracing::{debug, trace};

use super::{Cluster, Leader, NodeId, Topic};
use crate::config::Address;
use crate::error::{Error, Result};
use crate::network::{sleep, timeout};

/// Runs until the I/O thread ends.
pub(super) async fn run(cluster: Cluster) {
    let mut backoff = cluster.backoff();
    loop {
        // Out of time means that the metadata is old: that is a reason, too.
        let _ = timeout(cluster.config().metadata_age_max, cluster.shared.wanted.notified()).await;
        // Whoever misses a leader asks again at once: this pause is what keeps it from asking all the time.
        if cluster.receive().await {
            backoff.succeeded();
        }
        sleep(backoff.failed()).await;
    }
}

impl Cluster {
    /// Asks for the metadata of these topics, besides those that are known, and waits until it is there. A topic that
    /// does not exist is an answer, too: look at its code.
    pub async fn refresh_metadata(&self, topics: &[TopicName]) {
        self.state().metadata.add_interest(topics);
        self.refreshed().await;
    }

    /// Lets metadata be asked for soon, and does not wait for it.
    pub(crate) fn want_metadata(&self) {
        self.shared.wanted.notify_one();
    }

    /// A number that changes whenever metadata was received.
    pub(crate) fn metadata_received(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.received.subscribe()
    }

    /// The topic as metadata describes it, if it was asked for before.
    pub fn known_topic(&self, topic: &str) -> Option<Topic> {
        self.state().metadata.topic(topic).cloned()
    }

    /// A broker said who leads a partition in its place (KIP-951). False if that is of no use.
    pub(crate) fn move_leader(&self, partition: &TopicPartition, leader: Leader, address: Option<Address>) -> bool {
        self.state().metadata.move_leader(partition, leader, address)
    }

    /// The leader of a partition, if one is known.
    pub fn known_leader(&self, partition: &TopicPartition) -> Option<Leader> {
        self.state().metadata.leader(partition)
    }

    /// How many partitions a topic has. A topic that does not exist is an error at once.
    pub async fn partitions(&self, topic: &TopicName) -> Result<i32> {
        let known = |cluster: &Self| cluster.known_topic(topic).filter(|known| known.code.is_ok());
        if known(self).is_none() {
            self.refresh_metadata(std::slice::from_ref(topic)).await;
        }
        match self.known_topic(topic) {
            Some(known) if known.code.is_ok() => Ok(i32::try_from(known.leaders.len()).unwrap_or(i32::MAX)),
            other => Err(Error::Topic {
                topic: topic.clone(),
                code: other.map_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |known| known.code),
            }),
        }
    }

    /// The broker that leads a partition: waits until there is one. A topic that does not exist is an error at once.
    pub async fn leader(&self, partition: &TopicPartition) -> Result<NodeId> {
        loop {
            if let Some(leader) = self.known_leader(partition) {
                return Ok(leader.node);
            }
            let partitions = self.partitions(&partition.topic).await?;
            if partition.partition >= partitions {
                return Err(Error::NoSuchPartition {
                    partition: partition.clone(),
                    partitions,
                });
            }
            if self.known_leader(partition).is_none() {
                self.refreshed().await;
            }
        }
    }

    /// The broker that takes requests which change the cluster.
    pub async fn controller(&self) -> NodeId {
        loop {
            if let Some(node) = self.state().metadata.controller() {
                return node;
            }
            self.refreshed().await;
        }
    }

    /// Lets a topic be created by our asking for it, if the broker is set up so.
    pub(crate) fn allow_creation(&self, topic: &TopicName) {
        self.state().metadata.add_creatable(topic);
    }

    /// Adds a topic to those that metadata is asked for.
    pub(crate) fn add_interest(&self, topic: &TopicName) {
        if self.state().metadata.add_interest([topic]) {
            self.want_metadata();
        }
    }

    async fn refreshed(&self) {
        let mut received = self.metadata_received();
        received.mark_unchanged();
        self.want_metadata();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = received.changed().await;
    }

    /// Asks until a broker answers. True if nothing is missing in the answer.
    async fn receive(&self) -> bool {
        let (topics, creates) = {
            let state = self.state();
            let named = |topic: &TopicName| Name(StrBytes::from_string(topic.to_string()));
            let topics: Vec<_> = state.metadata.interests().iter().map(named).collect();
            (topics, state.metadata.creates())
        };
        let request = |_| {
            let topics = topics
                .iter()
                .map(|topic| MetadataRequestTopic::default().with_name(Some(topic.clone())));
            MetadataRequest::default()
                .with_topics(Some(topics.collect()))
                .with_allow_auto_topic_creation(creates)
        };
        let complete = match self.send_any_built(request).await {
            Ok(answer) => {
                let complete = self.state().metadata.update(&answer);
                trace!(
                    brokers = answer.brokers.len(),
                    topics = answer.topics.len(),
                    complete,
                    "metadata received"
                );
                complete
            }
            Err(error) => {
                debug!(%error, "metadata was refused");
                false
            }
        };
        self.shared.received.send_modify(|count| *count += 1);
        complete
    }
}
