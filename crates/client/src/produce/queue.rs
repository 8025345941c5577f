//! One partition's batches on their way: order, sequences and retries. Pure: is told the time and what came back.
//!
//! Up to five batches are in flight. When one fails, those behind it fail, too (out of order); sending then stops until
//! nothing is in flight, and goes on in the old order with the old sequences, so that the broker tells what it already
//! has. When a batch is given up, those behind it close the gap with other sequences, unless one of them may be written
//! under its own already. Only when the broker misses what it should have does the partition begin anew with the next
//! epoch.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use kstreams_wire::batch::{ProducerStamp, stamp};
use kstreams_wire::code::ErrorCode;
use kstreams_wire::compression::Codec;

use super::batch::Sealed;
use super::lost::Fate;
use crate::network::Instant;

/// Who the brokers know a producer as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
}

/// The place of a batch in the order of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number {
    whole: u64,
    /// Where in a batch that was split this part begins, and how far it reaches.
    part: u32,
    width: u32,
}

/// A batch with its place in the order of its partition.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) number: Number,
    pub(super) batch: Sealed,
    /// How often it was sent.
    pub(super) attempts: u32,
    /// An attempt ended without saying whether it was written.
    pub(super) uncertain: bool,
    /// Its sequences are given: it keeps them in further attempts.
    stamped: bool,
}

/// What becomes of a batch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is written after all.
    Written,
    /// It may be sent again.
    Retry,
    /// Nothing is wrong with it but that one before it failed: it goes again behind that.
    Behind,
    /// It is larger than the broker takes.
    TooLarge,
    /// It never will be written.
    Hopeless,
}

/// The batches of one partition.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Numbered>,
    in_flight: BTreeSet<Number>,
    numbers: u64,
    identity: Option<Identity>,
    next_sequence: i32,
    /// The last batch that is written under this identity, and the sequence that follows it.
    written: Option<(Number, i32)>,
    /// The broker has batches of this producer id. One that has none takes any sequence for the first: until then,
    /// batches go one by one.
    known: bool,
    /// Its batches belong to transactions: what goes wrong is mended by an abort, not here.
    transactional: bool,
    recovery: Recovery,
    retry: Option<Instant>,
}

/// What has to happen before the next batch may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Recovery {
    #[default]
    None,
    /// Everything in flight comes back first.
    Drain,
    /// So it does, and then sequences go on behind what is written: there is a gap where a batch was given up.
    Renumber,
    /// So it does, and then the partition begins anew with the next epoch.
    NextEpoch,
}

impl Queue {
    /// The producer writes in transactions, from now on as this one. Nothing is on its way.
    pub(super) fn begin_transaction(&mut self, identity: Identity) {
        self.transactional = true;
        if self.identity != Some(identity) {
            self.known &= self
                .identity
                .is_some_and(|before| before.producer_id == identity.producer_id);
            self.identity = Some(identity);
            self.next_sequence = 0;
            self.written = None;
        }
        self.recovery = Recovery::None;
    }

    pub(super) fn push(&mut self, batch: Sealed) {
        self.numbers += 1;
        let number = Number {
            whole: self.numbers,
            part: 0,
            width: u32::MAX,
        };
        self.waiting.push_back(Numbered {
            number,
            batch,
            attempts: 0,
            uncertain: false,
            stamped: false,
        });
    }

    /// The next batch to be sent, if one may leave now. `identity` is that of the producer, if it has one.
    pub(super) fn pop(&mut self, now: Instant, identity: Option<Identity>) -> kstreams_wire::Result<Option<Numbered>> {
        if !self.is_ready(now) {
            return Ok(None);
        }
        self.recover(identity);
        let Some(mut next) = self.waiting.pop_front() else {
            return Ok(None);
        };
        if let Some(identity) = self.identity.filter(|_| !next.stamped) {
            next.batch.restamp(ProducerStamp {
                producer_id: identity.producer_id,
                epoch: identity.epoch,
                base_sequence: self.next_sequence,
                transactional: self.transactional,
            })?;
            next.stamped = true;
            self.next_sequence = stamp::next_sequence(self.next_sequence, next.batch.records.unsigned_abs());
        }
        next.attempts += 1;
        self.in_flight.insert(next.number);
        Ok(Some(next))
    }

    /// The size of the batch that [`Queue::pop`] would give.
    pub(super) fn front_bytes(&self, now: Instant) -> Option<usize> {
        self.waiting
            .front()
            .filter(|_| self.is_ready(now))
            .map(|next| next.batch.bytes.len())
    }

    /// The batch came to its end, one way or the other.
    pub(super) fn landed(&mut self, number: Number) {
        self.in_flight.remove(&number);
    }

    /// The batch is written.
    pub(super) fn written(&mut self, batch: &Numbered) {
        self.landed(batch.number);
        self.known = true;
        let stamp = batch.batch.stamp;
        if self.written.is_none_or(|(number, _)| number < batch.number) {
            let next = stamp::next_sequence(stamp.base_sequence, batch.batch.records.unsigned_abs());
            self.written = Some((batch.number, next));
        }
    }

    /// The batch will not be sent any more.
    pub(super) fn give_up(&mut self, batch: &Numbered) -> Fate {
        self.landed(batch.number);
        if batch.uncertain {
            return Fate::Unknown;
        }
        if batch.stamped {
            self.recovery = self.recovery.max(Recovery::Renumber);
        }
        Fate::NotWritten
    }

    /// What to do about a batch that came back with this code.
    pub(super) fn judge(&mut self, failed: &Numbered, code: ErrorCode) -> Verdict {
        match code {
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::Written,
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE if failed.batch.records > 1 => {
                Verdict::TooLarge
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_EPOCH
                if self.identity.is_some() =>
            {
                // Behind a batch that failed, this is to be expected. The first of all should have followed what was
                // acknowledged: the broker has forgotten that, so sequences mean nothing any more.
                let behind = !self.is_first(failed.number) || self.recovery == Recovery::Renumber;
                if behind && code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER {
                    return Verdict::Behind;
                }
                if self.transactional {
                    return Verdict::Hopeless;
                }
                if !behind {
                    self.recovery = Recovery::NextEpoch;
                }
                Verdict::Retry
            }
            code if code.is_retriable() => Verdict::Retry,
            _ => Verdict::Hopeless,
        }
    }

    /// Puts a batch back where it belongs, to be sent again after a pause.
    pub(super) fn put_back(&mut self, batch: Numbered, now: Instant, pause: Duration) {
        self.retry = self.retry.max(Some(now + pause));
        self.insert(batch);
    }

    /// Puts back a batch that failed because of one before it: that was no attempt.
    pub(super) fn put_back_behind(&mut self, batch: Numbered) {
        self.landed(batch.number);
        let attempts = batch.attempts.saturating_sub(1);
        self.insert(Numbered { attempts, ..batch });
    }

    /// Puts a batch back as two that it was split into.
    pub(super) fn put_back_halves(&mut self, whole: Numbered, codec: Codec) -> kstreams_wire::Result<()> {
        let width = whole.number.width / 2;
        let [first, second] = whole.batch.split(codec)?;
        let second_number = Number {
            part: whole.number.part.saturating_add(width),
            width,
            ..whole.number
        };
        let first_number = Number { width, ..whole.number };
        for (number, batch) in [(first_number, first), (second_number, second)] {
            self.insert(Numbered {
                number,
                batch,
                attempts: 0,
                uncertain: whole.uncertain,
                stamped: whole.stamped,
            });
        }
        Ok(())
    }

    /// Puts back what is left of a batch, some of whose records were refused.
    pub(super) fn put_back_rest(&mut self, whole: &Numbered, rest: Sealed) {
        self.insert(Numbered {
            number: whole.number,
            batch: rest,
            attempts: whole.attempts,
            uncertain: whole.uncertain,
            stamped: false,
        });
        self.recovery = self.recovery.max(Recovery::Renumber);
    }

    /// Takes out everything that has waited for too long.
    pub(super) fn expire(&mut self, now: Instant, delivery_timeout: Duration) -> Vec<Numbered> {
        let old = self
            .waiting
            .iter()
            .take_while(|b| now.duration_since(b.batch.opened) >= delivery_timeout)
            .count();
        self.waiting.drain(..old).collect()
    }

    /// Takes out everything that waits.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = Numbered> {
        std::mem::take(&mut self.waiting).into_iter()
    }

    /// When something changes by itself: a pause ends, or a batch has waited for too long.
    pub(super) fn wakes(&self, now: Instant, delivery_timeout: Duration) -> Option<Instant> {
        let expiry = self.waiting.front().map(|next| next.batch.opened + delivery_timeout);
        let retry = self.retry.filter(|retry| *retry > now && !self.waiting.is_empty());
        expiry.into_iter().chain(retry).min()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn is_ready(&self, now: Instant) -> bool {
        let alone = self.recovery != Recovery::None || self.identity.is_some() && !self.known;
        (!alone || self.in_flight.is_empty()) && self.retry.is_none_or(|retry| retry <= now)
    }

    fn recover(&mut self, identity: Option<Identity>) {
        let next = match self.recovery {
            Recovery::NextEpoch => self.identity.and_then(Identity::next).or(identity),
            _ => self.identity.or(identity),
        };
        let anew = self.recovery == Recovery::NextEpoch || self.identity.is_none();
        if anew {
            self.identity = next;
            self.written = None;
            self.known = false;
        }
        // What may be written has to keep the sequences by which the broker would know it.
        let kept = |batch: &Numbered| batch.stamped && batch.uncertain;
        if anew || self.recovery == Recovery::Renumber && !self.waiting.iter().any(kept) {
            self.next_sequence = self.written.map_or(0, |(_, next)| next);
            self.waiting.iter_mut().for_each(|batch| batch.stamped = false);
        }
        self.recovery = Recovery::None;
        self.retry = None;
    }

    fn insert(&mut self, batch: Numbered) {
        self.recovery = self.recovery.max(Recovery::Drain);
        let place = self.waiting.partition_point(|other| other.number < batch.number);
        self.waiting.insert(place, batch);
    }

    fn is_first(&self, number: Number) -> bool {
        let first_in_flight = self.in_flight.first().is_none_or(|first| number <= *first);
        first_in_flight && self.waiting.front().is_none_or(|first| number <= first.number)
    }
}

impl Identity {
    /// The same producer, one epoch on; `None` after the last epoch.
    fn next(self) -> Option<Self> {
        Some(Self {
            epoch: self.epoch.checked_add(1)?,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::produce::batch::Place;
    use kstreams_wire::Headers;
    use kstreams_wire::batch::BatchBuilder;
    use kstreams_wire::compression::Compression;

    const IDENTITY: Identity = Identity {
        producer_id: 7,
        epoch: 0,
    };
    const PAUSE: Duration = Duration::from_millis(100);

    fn sealed(records: i32, now: Instant) -> Sealed {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..records {
            builder.append(0, None, Some(b"v"), &Headers::new()).unwrap();
        }
        let bytes = builder.finish(ProducerStamp::NONE).unwrap();
        let place = Place { topic: 0, partition: 0 };
        Sealed {
            place,
            charged_bytes: bytes.len(),
            bytes,
            records,
            stamp: ProducerStamp::NONE,
            opened: now,
            origins: Vec::new(),
        }
    }

    /// A queue whose broker has met the producer, with an empty hand.
    fn met(now: Instant) -> Queue {
        let mut queue = Queue::default();
        assert!(queue.pop(now, Some(IDENTITY)).unwrap().is_none());
        queue.known = true;
        queue
    }

    /// A queue with three batches of two records each, all in flight.
    fn three_in_flight(now: Instant) -> (Queue, Vec<Numbered>) {
        let mut queue = met(now);
        (0..3).for_each(|_| queue.push(sealed(2, now)));
        let sent = pop_all(&mut queue, now);
        assert_eq!(stamps(&sent), [(0, 0), (0, 2), (0, 4)]);
        (queue, sent)
    }

    fn pop_all(queue: &mut Queue, now: Instant) -> Vec<Numbered> {
        std::iter::from_fn(|| queue.pop(now, Some(IDENTITY)).unwrap()).collect()
    }

    /// Epoch and first sequence of each.
    fn stamps(batches: &[Numbered]) -> Vec<(i16, i32)> {
        batches
            .iter()
            .map(|batch| (batch.batch.stamp.epoch, batch.batch.stamp.base_sequence))
            .collect()
    }

    /// A batch comes back with this code.
    fn fail(queue: &mut Queue, batch: Numbered, code: ErrorCode, now: Instant) -> Verdict {
        let verdict = queue.judge(&batch, code);
        queue.landed(batch.number);
        queue.put_back(batch, now, PAUSE);
        verdict
    }

    #[test]
    fn after_a_failure_all_that_follows_is_sent_again_in_the_old_order() {
        let now = Instant::now();
        let (mut queue, mut sent) = three_in_flight(now);
        let (third, second, first) = (sent.pop().unwrap(), sent.pop().unwrap(), sent.pop().unwrap());
        assert_eq!(
            fail(&mut queue, first, ErrorCode::NOT_LEADER_OR_FOLLOWER, now),
            Verdict::Retry
        );
        let later = now + PAUSE;
        assert!(
            queue.pop(later, Some(IDENTITY)).unwrap().is_none(),
            "others are still in flight"
        );
        assert_eq!(
            fail(&mut queue, third, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, now),
            Verdict::Behind
        );
        assert_eq!(
            fail(&mut queue, second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, now),
            Verdict::Behind
        );
        assert!(
            queue.pop(now, Some(IDENTITY)).unwrap().is_none(),
            "the pause is not over"
        );
        assert_eq!(queue.wakes(now, Duration::from_secs(120)), Some(later));
        assert_eq!(stamps(&pop_all(&mut queue, later)), [(0, 0), (0, 2), (0, 4)]);
    }

    #[test]
    fn a_broker_that_forgot_what_it_acknowledged_sees_the_next_epoch() {
        let now = Instant::now();
        let (mut queue, mut sent) = three_in_flight(now);
        let (third, second, first) = (sent.pop().unwrap(), sent.pop().unwrap(), sent.pop().unwrap());
        queue.written(&first);
        fail(&mut queue, second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, now);
        fail(&mut queue, third, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, now);
        queue.push(sealed(1, now));
        let sent = pop_all(&mut queue, now + PAUSE);
        assert_eq!(stamps(&sent), [(1, 0)], "whoever forgot takes anything: one by one");
        queue.written(&sent[0]);
        assert_eq!(stamps(&pop_all(&mut queue, now + PAUSE)), [(1, 2), (1, 4)]);
    }

    #[test]
    fn behind_a_batch_that_is_given_up_sequences_close_the_gap() {
        let now = Instant::now();
        let (mut queue, mut sent) = three_in_flight(now);
        let (third, second, first) = (sent.pop().unwrap(), sent.pop().unwrap(), sent.pop().unwrap());
        queue.written(&first);
        assert_eq!(queue.judge(&second, ErrorCode::INVALID_RECORD), Verdict::Hopeless);
        assert_eq!(queue.give_up(&second), Fate::NotWritten);
        assert_eq!(
            fail(&mut queue, third, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, now),
            Verdict::Behind
        );
        queue.push(sealed(1, now));
        assert_eq!(stamps(&pop_all(&mut queue, now + PAUSE)), [(0, 2), (0, 4)]);
    }

    #[test]
    fn what_may_be_written_keeps_its_sequences() {
        let now = Instant::now();
        let (mut queue, mut sent) = three_in_flight(now);
        let (mut third, second, first) = (sent.pop().unwrap(), sent.pop().unwrap(), sent.pop().unwrap());
        queue.written(&first);
        assert_eq!(queue.give_up(&second), Fate::NotWritten);
        third.uncertain = true;
        fail(&mut queue, third, ErrorCode::NETWORK_EXCEPTION, now);
        assert_eq!(stamps(&pop_all(&mut queue, now + PAUSE)), [(0, 4)]);
    }

    #[test]
    fn a_broker_that_has_not_met_the_producer_gets_one_batch_first() {
        let now = Instant::now();
        let mut queue = Queue::default();
        (0..3).for_each(|_| queue.push(sealed(2, now)));
        let sent = pop_all(&mut queue, now);
        assert_eq!(stamps(&sent), [(0, 0)]);
        queue.written(&sent[0]);
        assert_eq!(stamps(&pop_all(&mut queue, now)), [(0, 2), (0, 4)]);
    }

    #[test]
    fn what_the_broker_already_has_is_written() {
        let now = Instant::now();
        let (mut queue, sent) = three_in_flight(now);
        assert_eq!(
            queue.judge(&sent[0], ErrorCode::DUPLICATE_SEQUENCE_NUMBER),
            Verdict::Written
        );
        assert_eq!(
            queue.judge(&sent[0], ErrorCode::TOPIC_AUTHORIZATION_FAILED),
            Verdict::Hopeless
        );
    }

    #[test]
    fn halves_of_a_batch_take_its_place_and_its_sequences() {
        let now = Instant::now();
        let mut queue = met(now);
        queue.push(sealed(5, now));
        queue.push(sealed(1, now));
        let mut sent = pop_all(&mut queue, now);
        let (small, large) = (sent.pop().unwrap(), sent.pop().unwrap());
        assert_eq!(queue.judge(&large, ErrorCode::MESSAGE_TOO_LARGE), Verdict::TooLarge);
        assert_eq!(queue.judge(&small, ErrorCode::MESSAGE_TOO_LARGE), Verdict::Hopeless);
        queue.landed(large.number);
        queue.put_back_halves(large, Codec::from(Compression::None)).unwrap();
        fail(&mut queue, small, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, now);
        let mut sent = pop_all(&mut queue, now + PAUSE);
        assert_eq!(stamps(&sent), [(0, 0), (0, 3), (0, 5)]);
        let (second, first) = (sent.remove(1), sent.remove(0));
        fail(&mut queue, second, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, now);
        queue.landed(sent[0].number);
        fail(&mut queue, first, ErrorCode::NOT_LEADER_OR_FOLLOWER, now);
        assert_eq!(stamps(&pop_all(&mut queue, now + PAUSE)), [(0, 0), (0, 3)]);
    }

    #[test]
    fn only_what_waits_expires() {
        let now = Instant::now();
        let (mut queue, _in_flight) = three_in_flight(now);
        queue.push(sealed(1, now));
        queue.push(sealed(1, now + PAUSE));
        assert_eq!(queue.expire(now + PAUSE, PAUSE).len(), 1);
        assert_eq!(queue.wakes(now, PAUSE), Some(now + PAUSE + PAUSE));
    }
}
