//! All transactional ids, and the journal that keeps them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kafka_protocol::ResponseError;

use super::journal::{Journal, put_bytes, take_text};
use super::offsets::{Committed, Place};
use super::transaction::{Ending, Phase, Producer, Protocol, Transaction};
use crate::log::Outcome;

/// The transactions of the broker.
#[derive(Debug)]
pub(crate) struct Transactions {
    by_id: BTreeMap<String, Transaction>,
    timeout_max: Duration,
    journal: Option<Journal>,
}

/// What somebody asks who begins to write under a transactional id.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) timeout: Duration,
    /// Who it was before, if it wants to go on as the same producer.
    pub(crate) known: Option<Producer>,
}

/// Who asks, and under which id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) id: &'a str,
    pub(crate) producer: Producer,
}

impl Transactions {
    /// The transactions in this journal; in memory, none. Nobody may ask for a longer time than `timeout_max`.
    pub(crate) fn open(path: Option<PathBuf>, timeout_max: Duration) -> io::Result<Self> {
        let mut transactions = Self {
            by_id: BTreeMap::new(),
            timeout_max,
            journal: None,
        };
        let Some(path) = path else {
            return Ok(transactions);
        };
        let (journal, entries) = Journal::open(path)?;
        for mut entry in entries {
            let Some(id) = take_text(&mut entry) else { continue };
            if let Some(transaction) = Transaction::from_bytes(entry) {
                transactions.by_id.insert(id, transaction);
            }
        }
        transactions.journal = Some(journal);
        Ok(transactions)
    }

    /// The transaction of this id.
    pub(crate) fn find(&self, id: &str) -> Option<&Transaction> {
        self.by_id.get(id)
    }

    /// All transactions, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        self.by_id.iter().map(|(id, transaction)| (id.as_str(), transaction))
    }

    /// The ids whose end is decided, but not written everywhere.
    pub(crate) fn prepared(&self) -> Vec<String> {
        let prepared = self.iter().filter(|(_, transaction)| transaction.ending().is_some());
        prepared.map(|(id, _)| id.to_owned()).collect()
    }

    /// Gives up the open transaction of an id, if there is one. Whether there was.
    pub(crate) fn abandon(&mut self, id: &str) -> io::Result<bool> {
        let Some(mut transaction) = self.find(id).filter(|open| open.phase == Phase::Ongoing).cloned() else {
            return Ok(false);
        };
        transaction.abandon();
        self.replace(id, transaction)?;
        Ok(true)
    }

    /// Somebody begins to write under an id, whose transaction is not open.
    pub(crate) fn begin(
        &mut self,
        id: &str,
        begin: Begin,
        new_id: impl FnOnce() -> Result<i64, ResponseError>,
    ) -> Result<Producer, ResponseError> {
        let transaction = match self.find(id).cloned() {
            Some(mut transaction) => {
                transaction.begin_anew(begin.known, begin.timeout, new_id)?;
                transaction
            }
            None => {
                let producer = Producer {
                    id: new_id()?,
                    epoch: 0,
                };
                Transaction::new(producer, begin.timeout)
            }
        };
        let producer = transaction.producer;
        self.replace(id, transaction).map_err(storage)?;
        Ok(producer)
    }

    /// Whether a transaction may take so long.
    pub(crate) fn check_timeout(&self, timeout: Duration) -> Result<(), ResponseError> {
        if timeout.is_zero() || timeout > self.timeout_max {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        Ok(())
    }

    /// Partitions become part of a transaction.
    pub(crate) fn add_partitions(
        &mut self,
        asking: Asking<'_>,
        places: Vec<Place>,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let transaction = self.of(asking)?;
        let known = transaction.phase == Phase::Ongoing && places.iter().all(|at| transaction.partitions.contains(at));
        if known {
            return Ok(());
        }
        let mut transaction = transaction.clone();
        transaction.add_partitions(places, now_ms);
        self.replace(asking.id, transaction).map_err(storage)
    }

    /// Whether a partition is part of an open transaction.
    pub(crate) fn check_partition(&self, asking: Asking<'_>, place: &Place) -> Result<(), ResponseError> {
        let transaction = self.of(asking)?;
        if transaction.phase == Phase::Ongoing && transaction.partitions.contains(place) {
            return Ok(());
        }
        Err(ResponseError::InvalidTxnState)
    }

    /// A group's offsets become part of a transaction.
    pub(crate) fn add_group(&mut self, asking: Asking<'_>, group: &str, now_ms: i64) -> Result<(), ResponseError> {
        let mut transaction = self.of(asking)?.clone();
        transaction.add_group(group, now_ms);
        self.replace(asking.id, transaction).map_err(storage)
    }

    /// Offsets are to be committed with a transaction.
    pub(crate) fn add_offsets(
        &mut self,
        asking: Asking<'_>,
        group: &str,
        commits: Vec<(Place, Committed)>,
    ) -> Result<(), ResponseError> {
        let transaction = self.of(asking)?;
        if transaction.phase != Phase::Ongoing {
            return Err(ResponseError::InvalidTxnState);
        }
        let mut transaction = transaction.clone();
        transaction.add_offsets(group, commits)?;
        self.replace(asking.id, transaction).map_err(storage)
    }

    /// Whether an open transaction is about to change a committed offset.
    pub(crate) fn holds_offset(&self, group: &str, place: &Place) -> bool {
        let holds = |transaction: &Transaction| {
            let offsets = transaction.offsets.get(group);
            offsets.is_some_and(|offsets| offsets.contains_key(place))
        };
        self.by_id.values().any(holds)
    }

    /// A producer ends its transaction; who it is from now on. Then the end is to be [settled](Self::ending).
    pub(crate) fn end(
        &mut self,
        asking: Asking<'_>,
        (outcome, protocol): (Outcome, Protocol),
        new_id: impl FnOnce() -> Result<i64, ResponseError>,
    ) -> Result<Producer, ResponseError> {
        let transaction = self.find(asking.id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let mut transaction = transaction.clone();
        let prepared = transaction.end(asking.producer, outcome, protocol, new_id)?;
        let producer = transaction.producer;
        if prepared {
            self.replace(asking.id, transaction).map_err(storage)?;
        }
        Ok(producer)
    }

    /// What is to be written for a prepared end.
    pub(crate) fn ending(&self, id: &str) -> Option<Ending> {
        self.by_id.get(id)?.ending()
    }

    /// A prepared end is written everywhere.
    pub(crate) fn complete(&mut self, id: &str) -> io::Result<()> {
        let Some(mut transaction) = self.find(id).cloned() else {
            return Ok(());
        };
        transaction.complete();
        self.replace(id, transaction)
    }

    /// The transactions that have taken too long.
    pub(crate) fn expired(&self, now_ms: i64) -> Vec<String> {
        let expired = self
            .iter()
            .filter(|(_, transaction)| transaction.expires_ms().is_some_and(|expires| expires <= now_ms));
        expired.map(|(id, _)| id.to_owned()).collect()
    }

    /// Brings the journal to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.journal.as_ref().map_or(Ok(()), Journal::sync)
    }

    fn of(&self, asking: Asking<'_>) -> Result<&Transaction, ResponseError> {
        let transaction = self.by_id.get(asking.id);
        let transaction = transaction.ok_or(ResponseError::InvalidProducerIdMapping)?;
        transaction.check(asking.producer)?;
        Ok(transaction)
    }

    /// Writes down what became of a transaction. What the disk does not take has not happened.
    fn replace(&mut self, id: &str, transaction: Transaction) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(&[entry(id, &transaction)])?;
        }
        self.by_id.insert(id.to_owned(), transaction);
        if let Some(journal) = &mut self.journal {
            let entries = self.by_id.iter().map(|(id, transaction)| entry(id, transaction));
            journal.shorten(self.by_id.len(), || entries.collect());
        }
        Ok(())
    }
}

fn entry(id: &str, transaction: &Transaction) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, id.as_bytes());
    bytes.extend_from_slice(&transaction.to_bytes());
    bytes
}

fn storage(error: io::Error) -> ResponseError {
    tracing::error!(%error, "could not write down a transaction");
    ResponseError::CoordinatorNotAvailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_end_survives_the_broker() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("transactions");
        let open = || Transactions::open(Some(path.clone()), Duration::from_secs(900)).expect("the journal opens");
        let mut transactions = open();
        let begin = Begin {
            timeout: Duration::from_secs(60),
            known: None,
        };
        let producer = transactions.begin("id", begin, || Ok(7)).expect("nobody is in the way");
        let asking = Asking { id: "id", producer };
        let place = ("t".to_owned(), 0);
        transactions
            .add_partitions(asking, vec![place.clone()], 0)
            .expect("it is the producer");
        assert_eq!(transactions.check_partition(asking, &place), Ok(()));
        assert_eq!(transactions.expired(60_000), ["id"]);
        let ended = transactions.end(asking, (Outcome::Commit, Protocol::Two), || Ok(8));
        assert_eq!(ended, Ok(Producer { id: 7, epoch: 1 }));
        drop(transactions);

        let mut transactions = open();
        assert_eq!(transactions.prepared(), ["id"]);
        transactions.complete("id").expect("the journal takes it");
        assert!(open().prepared().is_empty());
    }
}
