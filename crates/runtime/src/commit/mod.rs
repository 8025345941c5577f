//! A commit: the order of the steps is the guarantee.
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

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams_client::Consumer;
use kstreams_client::group::Committed;
use kstreams_task::ActiveTask;
use kstreams_topology::TaskId;
use kstreams_wire::TopicPartition;

use crate::config::Guarantee;
use crate::error::{Error, Result};
use crate::output::ProducerOutput;

/// What a commit did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// How many tasks had something to commit.
    pub(crate) tasks: usize,
    /// The input offsets that are now committed.
    pub(crate) offsets: BTreeMap<TopicPartition, i64>,
}

/// Commits these tasks.
pub(crate) fn commit(
    mut tasks: Vec<(TaskId, &mut ActiveTask)>,
    output: &mut ProducerOutput,
    consumer: &mut Consumer,
    limit: Duration,
) -> Result<Done> {
    tasks.retain(|(_, task)| task.commit_needed());
    if tasks.is_empty() {
        return Ok(Done::default());
    }
    let mut offsets = BTreeMap::new();
    for (id, task) in &mut tasks {
        task.prepare_commit(output).map_err(|source| Error::Task {
            task: *id,
            source: source.into(),
        })?;
    }
    output.flush().map_err(|source| Error::Client {
        action: "deliver what the tasks sent".to_owned(),
        source: source.into(),
    })?;
    for (_, task) in &tasks {
        for committable in task.committable() {
            let committed = Committed {
                offset: committable.offset,
                leader_epoch: None,
                metadata: committable.metadata,
            };
            offsets.insert(committable.partition, committed);
        }
    }
    let done = Done {
        tasks: tasks.len(),
        offsets: offsets
            .iter()
            .map(|(partition, committed)| (partition.clone(), committed.offset))
            .collect(),
    };
    match output.guarantee() {
        Guarantee::ExactlyOnce => {
            let committed = output.commit_transaction(&offsets, consumer.group_metadata());
            committed.map_err(|source| Error::Transaction { source: source.into() })?;
        }
        Guarantee::AtLeastOnce if !offsets.is_empty() => {
            consumer.commit(offsets, limit).map_err(|source| Error::Client {
                action: "commit input offsets".to_owned(),
                source: source.into(),
            })?;
        }
        Guarantee::AtLeastOnce => {}
    }
    for (id, task) in &mut tasks {
        task.post_commit(|changelog| output.acked_offset(changelog))
            .map_err(|source| Error::Task {
                task: *id,
                source: source.into(),
            })?;
    }
    Ok(done)
}
