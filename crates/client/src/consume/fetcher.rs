//! The I/O side of a consumer: which partitions to fetch from whom, and when.

use kstreams_wire::TopicPartition;
use tokio::sync::mpsc;

use super::{ConsumerConfig, Letter, Start};
use crate::cluster::Cluster;
use crate::mailbox::Mailbox;

/// What the polling side asks for.
#[derive(Debug)]
pub(super) enum Command {
    Assign {
        partition: TopicPartition,
        epoch: u64,
        start: Start,
    },
    Unassign(TopicPartition),
    /// Everything that was sent of these assignments was taken.
    Taken(Vec<(TopicPartition, u64)>),
}

#[derive(Debug)]
pub(super) struct Fetcher {
    cluster: Cluster,
    config: ConsumerConfig,
    mailbox: Mailbox<Letter>,
}

impl Fetcher {
    pub(super) fn new(cluster: Cluster, config: ConsumerConfig, mailbox: Mailbox<Letter>) -> Self {
        Self {
            cluster,
            config,
            mailbox,
        }
    }

    pub(super) async fn run(self, mut commands: mpsc::UnboundedReceiver<Command>) {
        while let Some(_command) = commands.recv().await {}
        self.cluster.close();
    }
}
