//! A transaction's end is written where it belongs: markers into partitions, offsets to groups.

use std::io;

use kafka_protocol::ResponseError;
use tracing::{error, info};

use crate::coordinate::transaction::{Ending, Producer, Protocol};
use crate::coordinate::transactions::{Asking, Begin};
use crate::error::{Error, Result};
use crate::log::{Outcome, TransactionMarker};
use crate::node::{Node, wall_clock_ms};

impl Node {
    /// Somebody begins to write under a transactional id; what its predecessor left open is aborted.
    pub(crate) fn begin_transactions(&self, id: &str, begin: Begin) -> std::result::Result<Producer, ResponseError> {
        let mut transactions = self.transactions.borrow_mut();
        transactions.check_timeout(begin.timeout)?;
        if let (Some(known), Some(transaction)) = (begin.known, transactions.find(id)) {
            transaction.check_known(known)?;
        }
        let mut known = begin.known;
        let abandoned = transactions.abandon(id).map_err(storage)?;
        drop(transactions);
        // That of the transaction just abandoned, or one that could not be written everywhere when it was decided.
        self.settle(id).map_err(storage)?;
        let mut transactions = self.transactions.borrow_mut();
        if abandoned {
            // Its own end has moved the epoch on.
            known = known.and(transactions.find(id).map(|transaction| transaction.producer));
        }
        transactions.begin(id, Begin { known, ..begin }, || self.new_producer_id())
    }

    /// A producer ends its transaction; who it is from now on.
    pub(crate) fn end_transaction(
        &self,
        asking: Asking<'_>,
        outcome: Outcome,
        protocol: Protocol,
    ) -> std::result::Result<Producer, ResponseError> {
        let mut transactions = self.transactions.borrow_mut();
        let producer = transactions.end(asking, (outcome, protocol), || self.new_producer_id())?;
        drop(transactions);
        self.settle(asking.id).map_err(storage)?;
        Ok(producer)
    }

    /// Aborts what has taken too long, and fences who did.
    pub(crate) fn abort_expired(&self) {
        let expired = self.transactions.borrow().expired(wall_clock_ms());
        for id in expired {
            info!(id, "aborting a transaction that has taken too long");
            let abandoned = self.transactions.borrow_mut().abandon(&id);
            if let Err(error) = abandoned.and_then(|_| self.settle(&id)) {
                error!(id, %error, "could not abort a transaction");
            }
        }
        // An end that could not be written before, for want of room on the disk.
        let prepared = self.transactions.borrow().prepared();
        for id in prepared {
            if let Err(error) = self.settle(&id) {
                error!(id, %error, "could not end a transaction");
            }
        }
    }

    /// Writes what was decided before the broker ended.
    pub(crate) fn finish_transactions(&self) -> Result<()> {
        let prepared = self.transactions.borrow().prepared();
        for id in prepared {
            self.settle(&id).map_err(|source| Error::data("transactions", source))?;
        }
        Ok(())
    }

    /// Writes a prepared end wherever the transaction was, if there is one.
    fn settle(&self, id: &str) -> io::Result<()> {
        let Some(ending) = self.transactions.borrow().ending(id) else {
            return Ok(());
        };
        self.mark(&ending)?;
        if ending.outcome == Outcome::Commit {
            let mut offsets = self.offsets.borrow_mut();
            for (group, commits) in ending.offsets {
                offsets.commit(&group, commits.into_iter().collect())?;
            }
        }
        self.transactions.borrow_mut().complete(id)
    }

    fn mark(&self, ending: &Ending) -> io::Result<()> {
        let marker = TransactionMarker {
            producer_id: ending.marked_by.id,
            producer_epoch: ending.marked_by.epoch,
            outcome: ending.outcome,
            coordinator_epoch: self.identity.borrow().epoch,
        };
        let topics = self.topics.borrow();
        for (topic, partition) in &ending.partitions {
            // A topic that was deleted meanwhile needs no marker.
            if let Some(mut log) = topics.find(topic).and_then(|topic| topic.log(*partition)) {
                log.append_marker(marker, wall_clock_ms())?;
            }
        }
        Ok(())
    }

    fn new_producer_id(&self) -> std::result::Result<i64, ResponseError> {
        self.identity.borrow_mut().new_producer_id().map_err(storage)
    }
}

fn storage(error: impl std::fmt::Display) -> ResponseError {
    error!(%error, "could not use the data directory for a transaction");
    // As if the coordinator's log did not take it: whoever asked may ask again.
    ResponseError::CoordinatorNotAvailable
}
