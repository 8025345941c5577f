//! The group's affairs: what a member says of itself, and what its leader decides for all.
//!
//! * `mod`: subscription, the leader's flow, reading an assignment
//! * [`topics`]: partition counts, internal topics
//! * [`matched`]: topics that patterns match

pub(crate) mod matched;
pub(crate) mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kstreams_assignor::{
    AssignmentData, Input, Member, MemberId, ProcessId, SubscriptionData, TaskDemand, Verdict, assign, withhold,
};
use kstreams_client::group::GroupMember;
use kstreams_store::Storage;
use kstreams_topology::TaskId;
use kstreams_topology::blueprint::{PartitionCounts, ResetPolicy, Subtopologies};
use kstreams_wire::membership::Assignment;
use kstreams_wire::{TopicName, TopicPartition};
use tracing::{info, warn};

use crate::error::{Error, Result, with_causes};
use topics::InternalTopics;

/// The topics that a member reads, and the topic's subtopology.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) parts: Subtopologies,
    readers: BTreeMap<TopicName, u32>,
}

impl Layout {
    pub(crate) fn new(parts: Subtopologies) -> Self {
        let readers = parts
            .parts
            .iter()
            .flat_map(|part| part.source_topics.iter().map(|topic| (topic.clone(), part.id)))
            .collect();
        Self { parts, readers }
    }

    /// The topics to subscribe to: those that sources name, and these, which patterns match.
    pub(crate) fn topics(&self, matched: BTreeSet<TopicName>) -> Vec<TopicName> {
        self.readers.keys().cloned().chain(matched).collect()
    }

    /// Whether there is anything that makes tasks.
    pub(crate) fn has_tasks(&self) -> bool {
        !self.parts.parts.is_empty()
    }

    /// Whether a source reads this topic by its name.
    pub(crate) fn names(&self, topic: &TopicName) -> bool {
        self.readers.contains_key(topic)
    }

    /// The task that reads this partition.
    pub(crate) fn task(&self, partition: &TopicPartition) -> Option<TaskId> {
        let named = self.readers.get(&partition.topic).copied();
        let subtopology = named.or_else(|| Some(self.parts.pattern(&partition.topic)?.subtopology))?;
        Some(TaskId::new(subtopology, partition.partition))
    }

    /// Where to start reading a topic without a committed offset, if its source says it.
    pub(crate) fn reset(&self, topic: &TopicName) -> Option<ResetPolicy> {
        let named = self.parts.reset_policies.get(topic).copied();
        named.or_else(|| self.parts.pattern(topic)?.reset)
    }

    /// Whether the topic is internal: its records may be deleted once they are consumed.
    pub(crate) fn is_repartition(&self, topic: &TopicName) -> bool {
        self.parts
            .parts
            .iter()
            .any(|part| part.repartition_sources.contains_key(topic))
    }

    /// Partitions sorted by the task that reads them.
    pub(crate) fn by_task(&self, partitions: &[TopicPartition]) -> BTreeMap<TaskId, Vec<TopicPartition>> {
        let mut tasks: BTreeMap<TaskId, Vec<TopicPartition>> = BTreeMap::new();
        for partition in partitions {
            match self.task(partition) {
                Some(task) => tasks.entry(task).or_default().push(partition.clone()),
                None => warn!(%partition, "assigned a partition that the topology does not read"),
            }
        }
        tasks
    }
}

/// What this member tells the group.
pub(crate) fn subscription(
    process: ProcessId,
    running: BTreeSet<TaskId>,
    storage: &Storage,
    shutdown: Shutdown,
) -> Bytes {
    let data = SubscriptionData {
        member: Member {
            process,
            running,
            state: local_state(storage),
        },
        shutdown: shutdown == Shutdown::Announced,
    };
    data.encode()
}

/// Whether the member asks the whole application to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// No.
    NotAsked,
    /// Yes.
    Announced,
}

/// How far the state on disk goes, by task.
fn local_state(storage: &Storage) -> BTreeMap<TaskId, i64> {
    let tasks = storage.tasks().unwrap_or_else(|error| {
        warn!(%error, "could not list local state: tasks may go where there is none");
        BTreeSet::new()
    });
    tasks
        .iter()
        .filter_map(|name| {
            let sum = storage
                .offsets(name)
                .ok()?
                .values()
                .copied()
                .fold(0, i64::saturating_add);
            Some((name.parse().ok()?, sum))
        })
        .collect()
}

/// The verdict and the tasks that this member was told, or the error that ends it.
pub(crate) fn read_assignment(user_data: &Bytes) -> Result<()> {
    // A group without members' data, or a member without tasks, has nothing to say.
    if user_data.is_empty() {
        return Ok(());
    }
    let data = AssignmentData::decode(user_data).map_err(|error| Error::Assignment {
        reason: error.to_string(),
    })?;
    match data.verdict {
        Verdict::Assigned => Ok(()),
        Verdict::MissingSourceTopics => Err(Error::MissingSourceTopics {
            topics: data.reason.split(", ").map(str::to_owned).collect(),
        }),
        Verdict::Failed => Err(Error::Assignment { reason: data.reason }),
        Verdict::Shutdown => Err(Error::ShutdownRequested),
    }
}

/// The leader's flow: counts, internal topics, tasks, plan.
pub(crate) struct Leader<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) topics: InternalTopics<'a>,
    /// Until then internal topics are tried to be created.
    pub(crate) patience: Duration,
}

impl Leader<'_> {
    /// An assignment for every member. Never fails: what goes wrong is told to all members.
    pub(crate) fn lead(&self, members: &[GroupMember]) -> Vec<(String, Assignment)> {
        match self.plan(members) {
            Ok(assignments) => assignments,
            Err((verdict, reason)) => {
                warn!(?verdict, reason, "no tasks are assigned");
                let data = AssignmentData {
                    verdict,
                    active: Vec::new(),
                    reason,
                };
                members
                    .iter()
                    .map(|member| (member.member_id.clone(), assignment(&[], &data)))
                    .collect()
            }
        }
    }

    fn plan(&self, members: &[GroupMember]) -> Result<Vec<(String, Assignment)>, (Verdict, String)> {
        let mut input = Input::default();
        for member in members {
            let data = SubscriptionData::decode(member.subscription.user_data.as_deref().unwrap_or_default())
                .map_err(|error| (Verdict::Failed, format!("member {}: {error}", member.member_id)))?;
            if data.shutdown {
                return Err((Verdict::Shutdown, String::new()));
            }
            input
                .members
                .insert(MemberId::from(member.member_id.as_str()), data.member);
        }
        let subscribed = members.iter().flat_map(|member| &member.subscription.topics);
        let parts = self.parts(subscribed)?;
        let counts = self.counts(&parts)?;
        for part in &parts.parts {
            let demand = if part.stores.iter().any(|store| store.changelog.is_some()) {
                TaskDemand::Stateful
            } else {
                TaskDemand::Stateless
            };
            for partition in 0..counts.tasks(part) {
                input.tasks.insert(TaskId::new(part.id, partition), demand);
            }
        }
        let wanted = assign(&input);
        let plan = withhold(&input, &wanted);
        let tasks = input.tasks.len();
        let given: usize = plan.active.values().map(BTreeSet::len).sum();
        info!(
            members = members.len(),
            tasks,
            withheld = tasks - given,
            "tasks assigned"
        );
        Ok(plan
            .active
            .iter()
            .map(|(member, tasks)| (member.as_str().to_owned(), share(tasks, &parts, &counts)))
            .collect())
    }

    /// The parts of the topology with the topics that a member found to match a pattern, as far as they still exist.
    fn parts<'a>(&self, subscribed: impl Iterator<Item = &'a TopicName>) -> Result<Subtopologies, (Verdict, String)> {
        let parts = self.layout.parts.clone();
        if parts.patterns.is_empty() {
            return Ok(parts);
        }
        let matched: Vec<TopicName> = matched::matching(&parts, subscribed.cloned()).into_iter().collect();
        let existing = self.patiently(|| self.topics.describe(&matched))?;
        Ok(parts.with_matching(existing.keys()))
    }

    /// How many partitions every topic has or is to have; internal topics exist when this returns.
    fn counts(&self, parts: &Subtopologies) -> Result<PartitionCounts, (Verdict, String)> {
        self.patiently(|| self.topics.ensure(parts))
    }

    /// Tries until it works or cannot work.
    fn patiently<T>(&self, attempt: impl Fn() -> Result<T>) -> Result<T, (Verdict, String)> {
        let deadline = Instant::now() + self.patience;
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(Error::MissingSourceTopics { topics }) => {
                    return Err((Verdict::MissingSourceTopics, topics.join(", ")));
                }
                Err(error) if topics::may_pass(&error) && Instant::now() < deadline => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "internal topics are not ready; trying again"
                    );
                    std::thread::sleep(self.topics.settings.retry_backoff);
                }
                Err(error) => return Err((Verdict::Failed, with_causes(&error))),
            }
        }
    }
}

/// The partitions of these tasks.
fn share(tasks: &BTreeSet<TaskId>, parts: &Subtopologies, counts: &PartitionCounts) -> Assignment {
    let partitions: Vec<TopicPartition> = tasks
        .iter()
        .filter_map(|task| Some(counts.inputs(parts.part(task.subtopology)?, task.partition)))
        .flatten()
        .collect();
    let data = AssignmentData {
        active: tasks.iter().copied().collect(),
        ..AssignmentData::default()
    };
    assignment(&partitions, &data)
}

fn assignment(partitions: &[TopicPartition], data: &AssignmentData) -> Assignment {
    Assignment {
        partitions: partitions.to_vec(),
        user_data: Some(data.encode()),
    }
}
