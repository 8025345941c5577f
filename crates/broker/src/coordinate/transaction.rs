//! One transactional id: who may write under it, and what belongs to its transaction. Pure: is told the time.
//!
//! The life of a transaction is that of KIP-98, with the epochs of KIP-890: version 2 of the protocol ends every
//! transaction with a new epoch, so that nothing that arrives late can get into the next one. As this broker is alone, a
//! transaction's end is prepared, marked and completed in one turn; only a crash can come in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use kafka_protocol::ResponseError;

use super::journal::{put_bytes, take_text};
use super::offsets::{Committed, Place};
use crate::log::Outcome;

/// A producer, as it names itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl Producer {
    /// The same producer, one epoch on. The last epochs are left for fencing: then it takes another id.
    fn next(self, new_id: impl FnOnce() -> Result<i64, ResponseError>) -> Result<Self, ResponseError> {
        if self.epoch >= i16::MAX - 1 {
            return Ok(Self {
                id: new_id()?,
                epoch: 0,
            });
        }
        Ok(Self {
            epoch: self.epoch + 1,
            ..self
        })
    }

    /// Who ends this producer's transaction: nothing that it still sends counts.
    fn fenced(self) -> Self {
        Self {
            epoch: self.epoch.saturating_add(1),
            ..self
        }
    }
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    Ongoing,
    /// Its end is decided, but not written everywhere.
    Prepared(Outcome),
    Complete(Outcome),
}

impl Phase {
    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::Prepared(Outcome::Commit) => "PrepareCommit",
            Self::Prepared(Outcome::Abort) => "PrepareAbort",
            Self::Complete(Outcome::Commit) => "CompleteCommit",
            Self::Complete(Outcome::Abort) => "CompleteAbort",
        }
    }
}

/// Whether a transaction ends with a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// KIP-98: epochs change when somebody else begins.
    One,
    /// KIP-890: every end is also a new epoch.
    Two,
}

/// The offsets that a group is to get when the transaction commits.
pub(crate) type GroupOffsets = BTreeMap<String, BTreeMap<Place, Committed>>;

/// A transactional id.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) producer: Producer,
    /// Who ended the latest transaction: it may ask once more.
    ended_by: Option<Producer>,
    /// Who writes the markers of the end that is prepared.
    marked_by: Producer,
    pub(crate) timeout: Duration,
    pub(crate) phase: Phase,
    pub(crate) partitions: BTreeSet<Place>,
    pub(crate) offsets: GroupOffsets,
    pub(crate) started_ms: i64,
}

/// A transaction's end, to be written where it belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) marked_by: Producer,
    pub(crate) outcome: Outcome,
    pub(crate) partitions: BTreeSet<Place>,
    pub(crate) offsets: GroupOffsets,
}

impl Transaction {
    /// A transactional id that is used for the first time.
    pub(crate) fn new(producer: Producer, timeout: Duration) -> Self {
        Self {
            producer,
            ended_by: None,
            marked_by: producer,
            timeout,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            offsets: GroupOffsets::new(),
            started_ms: -1,
        }
    }

    /// Somebody begins to write under this id: whoever did so before is fenced. `known` is who the newcomer was before,
    /// if it wants to go on as the same producer (KIP-360). No transaction is open.
    pub(crate) fn begin_anew(
        &mut self,
        known: Option<Producer>,
        timeout: Duration,
        new_id: impl FnOnce() -> Result<i64, ResponseError>,
    ) -> Result<Producer, ResponseError> {
        known.map_or(Ok(()), |known| self.check_known(known))?;
        self.producer = self.producer.next(new_id)?;
        self.ended_by = None;
        self.timeout = timeout;
        self.phase = Phase::Empty;
        Ok(self.producer)
    }

    /// Whether a producer that says who it was may go on under the id: nobody has come after it.
    pub(crate) fn check_known(&self, known: Producer) -> Result<(), ResponseError> {
        if known == self.producer || self.ended_by == Some(known) {
            return Ok(());
        }
        Err(ResponseError::ProducerFenced)
    }

    /// Whether it is this producer that writes under the id.
    pub(crate) fn check(&self, producer: Producer) -> Result<(), ResponseError> {
        if producer.id != self.producer.id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if producer.epoch != self.producer.epoch {
            return Err(ResponseError::ProducerFenced);
        }
        if self.ending().is_some() {
            return Err(ResponseError::ConcurrentTransactions);
        }
        Ok(())
    }

    /// Partitions become part of the transaction, which begins with them.
    pub(crate) fn add_partitions(&mut self, places: impl IntoIterator<Item = Place>, now_ms: i64) {
        self.open(now_ms);
        self.partitions.extend(places);
    }

    /// A group's offsets become part of the transaction, which begins with them.
    pub(crate) fn add_group(&mut self, group: &str, now_ms: i64) {
        self.open(now_ms);
        self.offsets.entry(group.to_owned()).or_default();
    }

    /// Offsets are to be committed with the transaction, which has the group already.
    pub(crate) fn add_offsets(&mut self, group: &str, commits: Vec<(Place, Committed)>) -> Result<(), ResponseError> {
        let offsets = self.offsets.get_mut(group).ok_or(ResponseError::InvalidTxnState)?;
        offsets.extend(commits);
        Ok(())
    }

    fn open(&mut self, now_ms: i64) {
        if self.phase != Phase::Ongoing {
            self.phase = Phase::Ongoing;
            self.started_ms = now_ms;
            self.ended_by = None;
        }
    }

    /// The producer ends its transaction. Whether there is something to be settled: not if it asks once more.
    pub(crate) fn end(
        &mut self,
        producer: Producer,
        outcome: Outcome,
        protocol: Protocol,
        new_id: impl FnOnce() -> Result<i64, ResponseError>,
    ) -> Result<bool, ResponseError> {
        if self.ended_by == Some(producer) {
            match self.phase {
                Phase::Complete(ended) if ended == outcome => return Ok(false),
                // Decided, but for want of room on the disk not written everywhere.
                Phase::Prepared(_) => return Err(ResponseError::ConcurrentTransactions),
                _ => {}
            }
        }
        self.check(producer)?;
        match (self.phase, outcome, protocol) {
            (Phase::Ongoing, ..) => {}
            // Nothing was written, or nothing arrived: an abort makes sure of that.
            (Phase::Empty | Phase::Complete(_), Outcome::Abort, Protocol::Two) => {}
            _ => return Err(ResponseError::InvalidTxnState),
        }
        self.marked_by = producer;
        if protocol == Protocol::Two {
            self.marked_by = producer.fenced();
            self.producer = producer.next(new_id)?;
        }
        self.ended_by = Some(producer);
        self.phase = Phase::Prepared(outcome);
        Ok(true)
    }

    /// The transaction is given up for its producer, which is fenced.
    pub(crate) fn abandon(&mut self) {
        self.producer = self.producer.fenced();
        self.marked_by = self.producer;
        self.ended_by = None;
        self.phase = Phase::Prepared(Outcome::Abort);
    }

    /// What has to be written for the end that is prepared.
    pub(crate) fn ending(&self) -> Option<Ending> {
        let Phase::Prepared(outcome) = self.phase else {
            return None;
        };
        Some(Ending {
            marked_by: self.marked_by,
            outcome,
            partitions: self.partitions.clone(),
            offsets: self.offsets.clone(),
        })
    }

    /// Everything is written.
    pub(crate) fn complete(&mut self) {
        if let Phase::Prepared(outcome) = self.phase {
            self.phase = Phase::Complete(outcome);
        }
        self.partitions.clear();
        self.offsets.clear();
        self.started_ms = -1;
    }

    /// When the transaction has taken too long, if it is open.
    pub(crate) fn expires_ms(&self) -> Option<i64> {
        let timeout_ms = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        (self.phase == Phase::Ongoing).then(|| self.started_ms.saturating_add(timeout_ms))
    }

    /// As bytes for the journal.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for producer in [self.producer, self.marked_by, self.ended_by.unwrap_or(NOBODY)] {
            bytes.put_i64(producer.id);
            bytes.put_i16(producer.epoch);
        }
        bytes.put_u64(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX));
        bytes.put_u8(PHASES.iter().position(|phase| *phase == self.phase).unwrap_or_default() as u8);
        bytes.put_i64(self.started_ms);
        bytes.put_u32(self.partitions.len() as u32);
        for (topic, partition) in &self.partitions {
            put_bytes(&mut bytes, topic.as_bytes());
            bytes.put_i32(*partition);
        }
        bytes.put_u32(self.offsets.len() as u32);
        for (group, offsets) in &self.offsets {
            put_bytes(&mut bytes, group.as_bytes());
            bytes.put_u32(offsets.len() as u32);
            for ((topic, partition), committed) in offsets {
                put_bytes(&mut bytes, topic.as_bytes());
                bytes.put_i32(*partition);
                bytes.put_i64(committed.offset);
                bytes.put_i32(committed.leader_epoch);
                put_bytes(&mut bytes, committed.metadata.as_bytes());
            }
        }
        bytes
    }

    /// From the journal's bytes, if they are what was written.
    pub(crate) fn from_bytes(mut bytes: Bytes) -> Option<Self> {
        let from = &mut bytes;
        let producer = take_producer(from)?;
        let marked_by = take_producer(from)?;
        let ended_by = Some(take_producer(from)?).filter(|producer| *producer != NOBODY);
        let timeout = Duration::from_millis(from.try_get_u64().ok()?);
        let phase = *PHASES.get(usize::from(from.try_get_u8().ok()?))?;
        let started_ms = from.try_get_i64().ok()?;
        let mut partitions = BTreeSet::new();
        for _ in 0..from.try_get_u32().ok()? {
            partitions.insert((take_text(from)?, from.try_get_i32().ok()?));
        }
        let mut offsets = GroupOffsets::new();
        for _ in 0..from.try_get_u32().ok()? {
            let of_group = offsets.entry(take_text(from)?).or_default();
            for _ in 0..from.try_get_u32().ok()? {
                let place = (take_text(from)?, from.try_get_i32().ok()?);
                let committed = Committed {
                    offset: from.try_get_i64().ok()?,
                    leader_epoch: from.try_get_i32().ok()?,
                    metadata: take_text(from)?,
                };
                of_group.insert(place, committed);
            }
        }
        Some(Self {
            producer,
            ended_by,
            marked_by,
            timeout,
            phase,
            partitions,
            offsets,
            started_ms,
        })
    }
}

const NOBODY: Producer = Producer { id: -1, epoch: -1 };

/// The phases as the journal numbers them.
const PHASES: [Phase; 6] = [
    Phase::Empty,
    Phase::Ongoing,
    Phase::Prepared(Outcome::Commit),
    Phase::Prepared(Outcome::Abort),
    Phase::Complete(Outcome::Commit),
    Phase::Complete(Outcome::Abort),
];

fn take_producer(from: &mut Bytes) -> Option<Producer> {
    Some(Producer {
        id: from.try_get_i64().ok()?,
        epoch: from.try_get_i16().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn no_new_id() -> Result<i64, ResponseError> {
        Err(ResponseError::UnknownServerError)
    }

    fn at(epoch: i16) -> Producer {
        Producer { id: 7, epoch }
    }

    fn ongoing() -> Transaction {
        let mut transaction = Transaction::new(at(0), TIMEOUT);
        transaction.add_partitions([("t".to_owned(), 1)], 100);
        transaction.add_group("g", 101);
        let committed = Committed {
            offset: 5,
            leader_epoch: 0,
            metadata: "m".to_owned(),
        };
        let added = transaction.add_offsets("g", vec![(("in".to_owned(), 0), committed)]);
        assert_eq!(added, Ok(()));
        transaction
    }

    #[test]
    fn the_second_protocol_ends_with_a_new_epoch_and_answers_twice() {
        let mut transaction = ongoing();
        let end = |transaction: &mut Transaction, producer| {
            transaction.end(producer, Outcome::Commit, Protocol::Two, no_new_id)
        };
        assert_eq!(end(&mut transaction, at(0)), Ok(true));
        let ending = transaction.ending().expect("an end is prepared");
        assert_eq!(ending.marked_by, at(1));
        transaction.complete();
        assert_eq!(transaction.producer, at(1));
        assert_eq!(end(&mut transaction, at(0)), Ok(false), "the answer was lost");
        assert_eq!(end(&mut transaction, at(1)), Err(ResponseError::InvalidTxnState));
    }

    #[test]
    fn the_first_protocol_keeps_the_epoch() {
        let mut transaction = ongoing();
        let abort = |transaction: &mut Transaction| transaction.end(at(0), Outcome::Abort, Protocol::One, no_new_id);
        assert_eq!(abort(&mut transaction), Ok(true));
        assert_eq!(transaction.ending().expect("an end is prepared").marked_by, at(0));
        transaction.complete();
        assert_eq!(transaction.producer, at(0));
        assert_eq!(abort(&mut transaction), Ok(false), "the answer was lost");
        transaction.add_partitions([("t".to_owned(), 2)], 200);
        assert_eq!(abort(&mut transaction), Ok(true));
    }

    #[test]
    fn whoever_was_replaced_is_fenced() {
        let mut transaction = ongoing();
        transaction.abandon();
        transaction.complete();
        assert_eq!(transaction.begin_anew(None, TIMEOUT, no_new_id), Ok(at(2)));
        assert_eq!(transaction.check(at(0)), Err(ResponseError::ProducerFenced));
        let stranger = Producer { id: 8, epoch: 2 };
        assert_eq!(
            transaction.check(stranger),
            Err(ResponseError::InvalidProducerIdMapping)
        );
        let old = transaction.begin_anew(Some(at(1)), TIMEOUT, no_new_id);
        assert_eq!(old, Err(ResponseError::ProducerFenced));
        assert_eq!(transaction.begin_anew(Some(at(2)), TIMEOUT, no_new_id), Ok(at(3)));
    }

    #[test]
    fn after_the_last_epoch_comes_another_id() {
        let mut transaction = Transaction::new(at(i16::MAX - 1), TIMEOUT);
        let begun = transaction.begin_anew(None, TIMEOUT, || Ok(8));
        assert_eq!(begun, Ok(Producer { id: 8, epoch: 0 }));
    }

    #[test]
    fn only_an_open_transaction_expires() {
        let mut transaction = ongoing();
        assert_eq!(transaction.expires_ms(), Some(60_100));
        transaction.abandon();
        assert_eq!(transaction.expires_ms(), None);
    }

    #[test]
    fn the_journal_brings_back_what_was_prepared() {
        let mut transaction = ongoing();
        transaction.abandon();
        let read = Transaction::from_bytes(transaction.to_bytes().into()).expect("its own bytes");
        assert_eq!(read.ending(), transaction.ending());
        assert_eq!((read.producer, read.timeout), (transaction.producer, TIMEOUT));
        assert!(Transaction::from_bytes(Bytes::from_static(b"torn")).is_none());
    }
}
