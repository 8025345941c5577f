//! The application's handle of its membership.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kstreams_wire::code::ErrorCode;
use kstreams_wire::membership::Assignment;
use kstreams_wire::{TopicName, TopicPartition};
use tokio::sync::{mpsc, oneshot};

use super::driver::{Command, Driver};
use super::{Committed, GroupConfig, GroupEvent, GroupMetadata, Leave, Membership, offsets};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::network::Instant;

/// A member of a group, driven on the I/O thread. Dropping it leaves the group in the background, if the client lives on
/// for so long.
#[derive(Debug)]
pub struct Member {
    cluster: Cluster,
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

/// What application and driver both see.
#[derive(Debug)]
pub(super) struct Shared {
    metadata: Mutex<GroupMetadata>,
    rebalancing: AtomicBool,
    away: AtomicBool,
    start: Instant,
    /// Nanoseconds since `start`.
    last_poll: AtomicU64,
}

impl Member {
    /// Starts to join. What happens is told to `events`, on the I/O thread: it must not block. An error is the last
    /// thing that is told.
    pub fn start(
        cluster: &Cluster,
        config: GroupConfig,
        events: impl FnMut(Result<GroupEvent>) + Send + 'static,
    ) -> Self {
        let start = Instant::now();
        let group = config.group_id.as_str().into();
        let machine = Membership::new(config, start.into_std());
        let shared = Arc::new(Shared {
            metadata: Mutex::new(machine.metadata().clone()),
            rebalancing: AtomicBool::new(true),
            away: AtomicBool::new(false),
            start,
            last_poll: AtomicU64::new(0),
        });
        let (commands, receiver) = mpsc::unbounded_channel();
        let driver = Driver {
            cluster: cluster.clone(),
            own: cluster.separate(),
            group,
            machine,
            shared: Arc::clone(&shared),
            commands: receiver,
            events: Box::new(events),
        };
        cluster.io().spawn(driver.run());
        Self {
            cluster: cluster.clone(),
            commands,
            shared,
        }
    }

    /// The application is alive: to be called whenever it polls (`max.poll.interval.ms`).
    pub fn polled(&self) {
        let time = u64::try_from(self.shared.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.shared.last_poll.store(time, Ordering::Release);
        if self.shared.away.load(Ordering::Acquire) {
            self.say(Command::Polled);
        }
    }

    /// Answers [`GroupEvent::Joining`].
    pub fn subscribe(&self, topics: Vec<TopicName>, user_data: Bytes) {
        self.say(Command::Subscribe(topics, user_data));
    }

    /// Answers [`GroupEvent::Lead`].
    pub fn assign_members(&self, assignments: Vec<(String, Assignment)>) {
        self.say(Command::AssignMembers(assignments));
    }

    /// Answers [`GroupEvent::Assigned`]: this is what the application now owns.
    pub fn acknowledge(&self, owned: Vec<TopicPartition>) {
        self.say(Command::Acknowledge(owned));
    }

    /// Asks for a rebalance. If one is under way, another follows it.
    pub fn rejoin(&self, reason: &'static str) {
        self.say(Command::Rejoin(reason));
    }

    /// Who this member is at the moment.
    pub fn metadata(&self) -> GroupMetadata {
        self.shared.metadata().clone()
    }

    /// Whether this is who the member is at the moment.
    pub fn is(&self, identity: &GroupMetadata) -> bool {
        *self.shared.metadata() == *identity
    }

    /// True between the end of one generation and the assignment of the next.
    pub fn is_rebalancing(&self) -> bool {
        self.shared.rebalancing.load(Ordering::Acquire)
    }

    /// Commits offsets in the name that this member had when it was [assigned](GroupEvent::Assigned) their partitions, and
    /// waits for it up to `limit`.
    ///
    /// [`Error::RebalanceInProgress`]: nothing is lost, commit again after the next assignment.
    /// [`Error::NotMember`]: what this member did since its last commit will be done again by another.
    pub fn commit(
        &self,
        member: GroupMetadata,
        offsets: BTreeMap<TopicPartition, Committed>,
        limit: Duration,
    ) -> Result<()> {
        let generation = member.generation;
        let what = format!("commit of offsets of group {}", member.group_id);
        let cluster = self.cluster.clone();
        let result = cluster.io().clone().run(&what, limit, async move {
            offsets::commit(&cluster, &member, &offsets).await
        });
        match result {
            Err(error) => Err(self.judge(generation, error)),
            done => done,
        }
    }

    /// Ends the membership and waits up to `limit` for the coordinator to hear it.
    pub fn leave(self, leave: Leave, limit: Duration) -> Result<()> {
        let (done, left) = oneshot::channel();
        self.say(Command::Leave(leave, done));
        let what = format!("leaving group {}", self.shared.metadata().group_id);
        self.cluster.io().run(&what, limit, async move {
            // A membership that failed before is over, too.
            let _ = left.await;
            Ok(())
        })
    }

    fn judge(&self, generation: i32, error: Error) -> Error {
        let code = match &error {
            Error::RebalanceInProgress { .. } => ErrorCode::REBALANCE_IN_PROGRESS,
            Error::NotMember { code, .. } => *code,
            _ => return error,
        };
        self.say(Command::CommitRefused(generation, code));
        match error {
            // The generation went by while the commit was under way; we are still a member.
            Error::NotMember {
                group,
                code: ErrorCode::ILLEGAL_GENERATION,
            } if self.shared.metadata().generation > generation => Error::RebalanceInProgress { group },
            error => error,
        }
    }

    fn say(&self, command: Command) {
        // After a failure nobody listens; the application was told.
        let _ = self.commands.send(command);
    }
}

impl Shared {
    pub(super) fn last_poll(&self) -> std::time::Instant {
        self.start.into_std() + Duration::from_nanos(self.last_poll.load(Ordering::Acquire))
    }

    pub(super) fn publish(&self, machine: &Membership) {
        let mut metadata = self.metadata();
        if *metadata != *machine.metadata() {
            metadata.clone_from(machine.metadata());
        }
        drop(metadata);
        self.rebalancing.store(machine.is_rebalancing(), Ordering::Release);
        self.away.store(machine.is_away(), Ordering::Release);
    }

    // Nothing panics while it holds this lock, so a poisoned lock still guards a whole state.
    fn metadata(&self) -> MutexGuard<'_, GroupMetadata> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
