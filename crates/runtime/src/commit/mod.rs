//! A commit: the order of the steps is the guarantee.
//!
//! * `mod`: the steps
//! * [`starts`]: whether what is committed began where the last commit ended
//!
//! 1. each task flushes its caches, which forwards and sends what they held back;
//! 2. the producer waits until everything sent is acknowledged;
//! 3. the input offsets are committed, all tasks in one request; under exactly-once they become part of the transaction
//!    that everything was sent in, and that is committed;
//! 4. each store writes what is new together with the changelog offset that is now known, in one atomic batch.
//!
//! A crash before step 3 does the work again, from a state that does not know of it; one between 3 and 4 finds the
//! changelog ahead of the store, and restores the difference. What was sent before a crash at step 3 counts at least once,
//! or, in a transaction that is aborted then, not at all: so state on disk never has to be thrown away.

pub(crate) mod starts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kstreams_client::Consumer;
use kstreams_client::group::Committed;
use kstreams_store::fault;
use kstreams_task::ActiveTask;
use kstreams_topology::TaskId;
use kstreams_wire::TopicPartition;

use crate::config::Guarantee;
use crate::error::{Error, Result};
use crate::failure::{Failure, Hurdle};
use crate::output::ProducerOutput;
use starts::Starts;

/// What a commit did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The tasks that had something to commit, and have committed it.
    pub(crate) tasks: BTreeSet<TaskId>,
    /// The input offsets that are now committed.
    pub(crate) offsets: BTreeMap<TopicPartition, i64>,
    /// What failed. Tasks that are in none of them are as they were, or committed.
    pub(crate) failures: Vec<Failure>,
}

/// What a commit goes through besides the tasks.
pub(crate) struct Way<'a> {
    pub(crate) output: &'a mut ProducerOutput,
    pub(crate) consumer: &'a mut Consumer,
    pub(crate) starts: &'a mut Starts,
    /// How long the group's coordinator may take to answer.
    pub(crate) limit: Duration,
}

/// Commits these tasks.
pub(crate) fn commit(mut tasks: Vec<(TaskId, &mut ActiveTask)>, way: &mut Way<'_>) -> Done {
    tasks.retain(|(_, task)| task.commit_needed());
    let mut done = Done::default();
    if !tasks.is_empty() {
        fault::reach("commit:1");
    }
    prepare(&mut tasks, way.output, &mut done);
    if tasks.is_empty() {
        return done;
    }
    fault::reach("commit:2");
    let ids: BTreeSet<TaskId> = tasks.iter().map(|(id, _)| *id).collect();
    let offsets = committable(&tasks, way.consumer);
    let delivered = way.output.flush();
    let numbers = offsets
        .iter()
        .map(|(partition, committed)| (partition.clone(), committed.offset));
    let numbers = numbers.collect();
    let committed = delivered.and_then(|()| {
        fault::reach("commit:3");
        commit_offsets(offsets, way)
    });
    if let Err(error) = committed {
        done.failures.push(Failure::of_output(ids, error));
        return done;
    }
    fault::reach("commit:5");
    done.tasks = ids;
    done.offsets = numbers;
    for (id, task) in &mut tasks {
        if let Err(source) = task.post_commit(|changelog| way.output.acked_offset(changelog)) {
            done.failures.push(Failure::within(*id, Hurdle::Commit, source));
        }
    }
    fault::reach("commit:6");
    done
}

/// Has the tasks send what they held back. One that cannot is left out; in a transaction, where what it sent would be
/// committed, too, all are.
fn prepare(tasks: &mut Vec<(TaskId, &mut ActiveTask)>, output: &mut ProducerOutput, done: &mut Done) {
    tasks.retain_mut(|(id, task)| {
        output.serve(*id);
        match task.prepare_commit(output) {
            Ok(()) => {
                fault::reach("commit:1+");
                true
            }
            Err(source) => {
                done.failures.push(Failure::within(*id, Hurdle::Commit, source));
                false
            }
        }
    });
    if output.guarantee() == Guarantee::ExactlyOnce && !done.failures.is_empty() {
        tasks.clear();
    }
}

/// The input offsets to commit.
fn committable(tasks: &[(TaskId, &mut ActiveTask)], consumer: &Consumer) -> BTreeMap<TopicPartition, Committed> {
    let committable = tasks.iter().flat_map(|(_, task)| task.committable());
    committable
        .map(|committable| {
            let committed = Committed {
                offset: committable.offset,
                leader_epoch: consumer.leader_epoch_before(&committable.partition, committable.offset),
                metadata: committable.metadata,
            };
            (committable.partition, committed)
        })
        .collect()
}

fn commit_offsets(offsets: BTreeMap<TopicPartition, Committed>, way: &mut Way<'_>) -> Result<()> {
    let Way {
        output,
        consumer,
        starts,
        limit,
    } = way;
    match output.guarantee() {
        Guarantee::ExactlyOnce => {
            let failed = |source: kstreams_client::Error| Error::Transaction { source: source.into() };
            if !offsets.is_empty() {
                let group = consumer.group_metadata().map_err(failed)?;
                output.send_offsets(&offsets, &group).map_err(failed)?;
                starts.confirm(&offsets, consumer, *limit)?;
            }
            fault::reach("commit:4");
            output.commit_transaction().map_err(failed)
        }
        Guarantee::AtLeastOnce if !offsets.is_empty() => {
            consumer.commit(offsets, *limit).map_err(|source| Error::Client {
                action: "commit input offsets".to_owned(),
                source: source.into(),
            })
        }
        Guarantee::AtLeastOnce => Ok(()),
    }
}
