//! What idempotent producers have written last: finds duplicates and gaps.

use std::collections::{HashMap, HashSet, VecDeque};

use kafka_protocol::ResponseError;
use kstreams_wire::batch::BatchHeader;

use crate::refusal::Refusal;

/// As many batches as a producer may have under way: a retry of any of them is recognised.
const BATCHES_REMEMBERED: usize = 5;

/// The producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Written>,
    /// A marker has begun its epoch, so that sequences begin anew.
    is_anew: bool,
    seen_ms: i64,
}

/// A batch that a producer has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    first_sequence: i32,
    last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) max_timestamp: i64,
}

/// A producer, as a partition remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActiveProducer {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) last_sequence: Option<i32>,
    pub(crate) seen_ms: i64,
    /// The first offset of its open transaction.
    pub(crate) transaction_start: Option<i64>,
}

/// What to do with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// It was written before, here.
    Duplicate(Written),
}

impl Producers {
    /// Whether a batch continues what its producer has written.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Verdict, Refusal> {
        let Some(producer) = self.by_id.get(&header.producer_id).filter(|_| header.producer_id >= 0) else {
            return Ok(Verdict::Append);
        };
        if header.producer_epoch < producer.epoch {
            let message = format!(
                "Epoch of producer {} is {}, which is smaller than the last seen epoch {}",
                header.producer_id, header.producer_epoch, producer.epoch
            );
            return Err(Refusal::new(ResponseError::InvalidProducerEpoch, message));
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let expected = match producer.batches.back() {
            _ if header.producer_epoch > producer.epoch => 0,
            Some(latest) => {
                let same = |batch: &&Written| (batch.first_sequence, batch.last_sequence) == (first, last);
                if let Some(duplicate) = producer.batches.iter().find(same) {
                    return Ok(Verdict::Duplicate(*duplicate));
                }
                following(latest.last_sequence)
            }
            None if producer.is_anew => 0,
            // Its records are gone, by retention and a restart: any sequence may come next.
            None => return Ok(Verdict::Append),
        };
        if first != expected {
            let message = format!(
                "Out of order sequence number for producer {}: {first} (incoming), {expected} (expected)",
                header.producer_id
            );
            return Err(Refusal::new(ResponseError::OutOfOrderSequenceNumber, message));
        }
        Ok(Verdict::Append)
    }

    /// Remembers a batch that was appended. A transaction's marker may fence the epoch in which its records came.
    pub(crate) fn note(&mut self, header: &BatchHeader, now_ms: i64) {
        if header.producer_id < 0 {
            return;
        }
        let producer = self.by_id.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            batches: VecDeque::with_capacity(BATCHES_REMEMBERED),
            is_anew: false,
            seen_ms: now_ms,
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
            producer.is_anew = true;
        }
        producer.seen_ms = now_ms;
        if header.attributes.is_control() {
            return;
        }
        if producer.batches.len() == BATCHES_REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Written {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            max_timestamp: header.max_timestamp,
        });
    }

    /// Who has written and is remembered.
    pub(crate) fn active(&self) -> impl Iterator<Item = ActiveProducer> {
        self.by_id.iter().map(|(id, producer)| ActiveProducer {
            producer_id: *id,
            epoch: producer.epoch,
            last_sequence: producer.batches.back().map(|written| written.last_sequence),
            seen_ms: producer.seen_ms,
            transaction_start: None,
        })
    }

    /// Where the latest batch of each producer is: compaction keeps its header, so that a restart still knows.
    pub(crate) fn latest_offsets(&self) -> HashSet<i64> {
        let latest = self.by_id.values().filter_map(|producer| producer.batches.back());
        latest.map(|written| written.base_offset).collect()
    }

    /// Forgets who has written nothing since `before_ms`.
    pub(crate) fn expire(&mut self, before_ms: i64) {
        self.by_id.retain(|_, producer| producer.seen_ms >= before_ms);
    }
}

/// Sequences wrap to 0 after the largest.
fn following(sequence: i32) -> i32 {
    sequence.checked_add(1).unwrap_or(0)
}
