//! Writing in transactions: begin, send offsets along, commit, abort.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what a producer's owner calls |
//! | `machine` | what to ask next: a state machine |
//! | `request` | how it is asked |

pub(super) mod machine;
pub(super) mod request;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams_wire::TopicPartition;

use super::queue::Identity;
use super::sender::Command;
use super::{Producer, TransactionalConfig};
use crate::error::{Error, Result};
use crate::group::{Committed, GroupMetadata};
use crate::network::{sleep, timeout};
use machine::{Machine, Outcome, Protocol, Remedy};
use request::Errand;

/// A producer's transactions, as its owner has them.
#[derive(Debug)]
pub(super) struct Transactions {
    config: TransactionalConfig,
    pub(super) machine: Machine,
}

impl Transactions {
    pub(super) fn new(config: TransactionalConfig) -> Self {
        Self {
            machine: Machine::new(&config.id),
            config,
        }
    }
}

/// What goes along with a transaction's questions.
struct Offsets<'a> {
    group: &'a GroupMetadata,
    offsets: &'a BTreeMap<TopicPartition, Committed>,
}

impl Producer {
    /// Becomes the one producer of its transactional id: who was it before is fenced, and what that one left open is
    /// aborted. Must come first, and once more after a [fencing](Error::Fenced) or an end whose outcome is not known.
    /// Waits up to `max.block.ms`.
    pub fn init_transactions(&mut self) -> Result<()> {
        if self.identity.is_some() || self.failure.is_some() {
            self.restart();
        }
        self.transactions()?.machine.plan_begin();
        self.converse(None, self.config.block_max)?;
        if let (Some(transactions), Some(identity)) = (&self.transactions, self.identity) {
            let Identity { producer_id, epoch } = identity;
            tracing::info!(
                transactional_id = transactions.config.id,
                producer_id,
                epoch,
                "producer id given"
            );
        }
        Ok(())
    }

    /// Whether something was written, or offsets sent, since the last transaction ended.
    pub fn in_transaction(&self) -> bool {
        let transactions = self.transactions.as_ref();
        transactions.is_some_and(|transactions| transactions.machine.is_open())
    }

    /// Commits these offsets for the group when the transaction commits, if the member still is who it says.
    pub fn send_offsets(&mut self, offsets: &BTreeMap<TopicPartition, Committed>, group: &GroupMetadata) -> Result<()> {
        // A transaction with nothing in it could not be committed.
        if offsets.is_empty() {
            return Ok(());
        }
        self.transactions()?.machine.plan_offsets()?;
        self.converse(Some(&Offsets { group, offsets }), self.config.block_max)
    }

    /// Waits until everything is written, and commits the transaction. If time runs out on the last step
    /// ([`Error::Timeout`]), it may or may not be committed: [`Producer::init_transactions`] makes sure.
    pub fn commit_transaction(&mut self) -> Result<()> {
        let flushed = self.flush();
        // An owner that was not asked about a loss cannot have decided to do without the record.
        let unseen = self.lost.first().map(super::Lost::to_error);
        if let Err(error) = flushed.and(unseen.map_or(Ok(()), Err)) {
            self.transactions()?.machine.doom(&error);
            return Err(error);
        }
        self.transactions()?.machine.plan_end(Outcome::Commit)?;
        self.converse(None, self.config.block_max)
    }

    /// Gives up what was written since the last transaction ended, whether it was acknowledged or not. The producer goes
    /// on after that, also after a failed delivery.
    pub fn abort_transaction(&mut self) -> Result<()> {
        self.abort_within(self.config.block_max)
    }

    /// Like [`abort_transaction`](Self::abort_transaction), but waits no longer than `limit`: if the coordinator does not
    /// hear of the abort, the transaction ends by `transaction.timeout.ms`.
    pub fn abort_within(&mut self, limit: Duration) -> Result<()> {
        let was_open = self.in_transaction();
        if !was_open && self.failure.is_some() {
            return self.init_transactions();
        }
        self.transactions()?.machine.plan_end(Outcome::Abort)?;
        if was_open {
            self.restart();
        }
        self.converse(None, limit)
    }

    /// Asks what the machine wants asked, until nothing is left to ask.
    fn converse(&mut self, offsets: Option<&Offsets<'_>>, limit: Duration) -> Result<()> {
        let cluster = self.client.cluster().clone();
        let io = self.client.io().clone();
        let transactions = self.transactions()?;
        let Some(first) = transactions.machine.next() else {
            return Ok(());
        };
        let what = format!(
            "{} of transactional id {}",
            machine::name(first),
            transactions.config.id
        );
        let mut machine = transactions.machine.clone();
        // Should the conversation itself be lost, nobody knows what was asked and what was done.
        transactions.machine.gave_up(Error::Closed);
        let errand = Errand {
            cluster,
            id: transactions.config.id.clone(),
            timeout: transactions.config.timeout,
            group: offsets.map(|offsets| offsets.group.clone()),
            offsets: offsets.map(|offsets| offsets.offsets.clone()).unwrap_or_default(),
        };
        let waiting = what.clone();
        let conversation = async move {
            let done = match timeout(limit, ask(&mut machine, &errand)).await {
                Ok(done) => done,
                Err(_) => Err(machine.gave_up(Error::Timeout {
                    what: waiting,
                    waited: limit,
                    source: None,
                })),
            };
            Ok((machine, done))
        };
        // The conversation minds its own time, so that it can say what stood in the way.
        let (machine, done) = io.run(&what, limit + Duration::from_secs(1), conversation)?;
        self.transactions()?.machine = machine;
        self.introduce();
        done
    }

    /// Tells the sender who it writes as from now on.
    fn introduce(&mut self) {
        let Some(transactions) = &self.transactions else { return };
        let (identity, protocol) = (transactions.machine.identity(), transactions.machine.protocol());
        if self.in_transaction() {
            return;
        }
        if self.identity != identity {
            self.identity = identity;
            let partitions = self.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            partitions.for_each(super::Partition::begin_sequences);
        }
        if let Some(identity) = identity {
            self.command(Command::Transaction { identity, protocol });
        }
    }

    fn transactions(&mut self) -> Result<&mut Transactions> {
        self.transactions.as_mut().ok_or(Error::TransactionState {
            id: String::new(),
            what: "the producer has no transactional.id",
        })
    }
}

async fn ask(machine: &mut Machine, errand: &Errand) -> Result<()> {
    let mut backoff = errand.cluster.backoff();
    while let Some(ask) = machine.next() {
        let remedy = match errand.ask(ask, machine).await {
            Ok(answer) => machine.answered(answer)?,
            Err(error) if error.is_retriable() => Remedy::FindCoordinator,
            Err(error) => return Err(machine.gave_up(error)),
        };
        match remedy {
            Remedy::None => continue,
            Remedy::Wait => {}
            Remedy::FindCoordinator => errand.forget_coordinator(ask),
        }
        sleep(backoff.failed()).await;
    }
    Ok(())
}

impl Protocol {
    /// The version that a level of the feature `transaction.version` stands for.
    fn of_feature(level: i16) -> Self {
        if level >= 2 { Self::Two } else { Self::One }
    }
}
