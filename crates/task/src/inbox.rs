//! The records that wait to be processed: one queue per input partition, the smallest timestamp next.
//!
//! Batches stay as they were fetched; only the record whose turn it is gets parsed. With one partition buffered, which is
//! the common case, nothing is compared and nothing is looked up.

use std::collections::VecDeque;

use kstreams_topology::graph::InputId;
use kstreams_topology::heap::Heap;
use kstreams_wire::TopicPartition;
use kstreams_wire::batch::{RawRecord, Records};

use crate::error::{Error, Result};

/// How a task buffers and waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskConfig {
    /// `buffered.records.per.partition`: a partition with more records than this is paused.
    pub buffered_records_max: usize,
    /// `max.task.idle.ms`: how long to wait for an empty partition that has nothing on the broker either; −1: never wait,
    /// not even for what the broker has.
    pub idle_ms_max: i64,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            buffered_records_max: 1000,
            idle_ms_max: 0,
        }
    }
}

/// What to do with a partition after records of it were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go on fetching.
    Open,
    /// Pause it: it is in [`ActiveTask::take_resumable`](crate::ActiveTask::take_resumable) when there is room again.
    Full,
}

/// The queue of one partition.
pub(crate) struct Queue {
    pub(crate) partition: TopicPartition,
    pub(crate) input: InputId,
    /// Whether records have to be decoded before their turn.
    looks_ahead: bool,
    current: Option<Records>,
    later: VecDeque<Records>,
    records: usize,
    /// The offset of the first record, if it is decoded and waits in its source.
    held: Option<i64>,
    /// The offset behind the last record taken, or where the partition was found.
    position: Option<i64>,
    /// The offset behind everything that was fetched.
    next_offset: Option<i64>,
    /// The position that was committed last.
    committed: Option<i64>,
    lag: Option<i64>,
    /// Since when the partition is known to have nothing, here and on the broker.
    idle_since: Option<i64>,
    paused: bool,
}

/// What comes next out of the inbox.
pub(crate) enum Next<'a> {
    /// A record, as fetched.
    Raw(RawRecord<'a>),
    /// The record that the source holds.
    Held { offset: i64 },
}

pub(crate) struct Inbox {
    /// Sorted by topic and partition, but for those added later.
    queues: Vec<Queue>,
    config: TaskConfig,
    /// How many queues hold records.
    filled: usize,
    /// Whether some queue may have been waited for at the last look.
    waiting: bool,
    /// The filled queues whose first record's timestamp is known.
    order: Heap<usize>,
    /// The other filled queues.
    unordered: VecDeque<usize>,
}

const QUEUE: &str = "queues are numbered by the inbox, and none is removed";

impl Inbox {
    pub(crate) fn new(mut inputs: Vec<(TopicPartition, InputId, bool)>, config: TaskConfig) -> Self {
        inputs.sort_by(|a, b| a.0.cmp(&b.0));
        let queues = inputs
            .into_iter()
            .map(|(partition, input, looks_ahead)| Queue::new(partition, input, looks_ahead));
        Self {
            queues: queues.collect(),
            config,
            filled: 0,
            waiting: false,
            order: Heap::default(),
            unordered: VecDeque::new(),
        }
    }

    pub(crate) fn add_queue(&mut self, partition: TopicPartition, input: InputId, looks_ahead: bool) {
        self.queues.push(Queue::new(partition, input, looks_ahead));
    }

    pub(crate) fn queues(&self) -> &[Queue] {
        &self.queues
    }

    pub(crate) fn queue_mut(&mut self, partition: &TopicPartition) -> Result<&mut Queue> {
        let at = self.position(partition)?;
        Ok(self.queues.get_mut(at).expect(QUEUE))
    }

    fn position(&self, partition: &TopicPartition) -> Result<usize> {
        let at = self.queues.iter().position(|queue| queue.partition == *partition);
        at.ok_or_else(|| Error::UnknownInput {
            partition: partition.clone(),
        })
    }

    pub(crate) fn buffered(&self) -> usize {
        self.queues.iter().map(|queue| queue.records).sum()
    }

    /// Appends fetched batches. `next_offset` is behind all of them, and behind what carries no records.
    pub(crate) fn add(
        &mut self,
        partition: &TopicPartition,
        batches: Vec<Records>,
        next_offset: i64,
    ) -> Result<Admission> {
        let limit = self.config.buffered_records_max;
        let at = self.position(partition)?;
        let queue = self.queues.get_mut(at).expect(QUEUE);
        let was_empty = queue.records == 0;
        for batch in batches {
            queue.records += batch.remaining() as usize;
            queue.later.push_back(batch);
        }
        queue.next_offset = Some(next_offset);
        let fills = was_empty && queue.records > 0;
        queue.paused |= queue.records > limit;
        let admission = if queue.paused { Admission::Full } else { Admission::Open };
        if fills {
            self.filled += 1;
            self.unordered.push_back(at);
        }
        Ok(admission)
    }

    /// The paused partitions that have room again.
    pub(crate) fn take_resumable(&mut self) -> Vec<TopicPartition> {
        let limit = self.config.buffered_records_max;
        let ready = self
            .queues
            .iter_mut()
            .filter(|queue| queue.paused && queue.records <= limit);
        ready
            .map(|queue| {
                queue.paused = false;
                queue.partition.clone()
            })
            .collect()
    }

    /// Whether a record may be taken now, although some partitions may have none.
    #[inline]
    pub(crate) fn is_ready(&mut self, now: i64) -> bool {
        if self.filled == self.queues.len() && !self.waiting {
            return self.filled > 0;
        }
        self.filled > 0 && self.may_go_on(now)
    }

    /// As in Java, empty partitions are waited for one after the other: the wait for the next one begins when that for the
    /// one before is over.
    fn may_go_on(&mut self, now: i64) -> bool {
        let idle_ms_max = self.config.idle_ms_max;
        if idle_ms_max < 0 {
            return true;
        }
        self.waiting = self.filled < self.queues.len();
        for queue in &mut self.queues {
            if queue.records > 0 {
                queue.idle_since = None;
                continue;
            }
            if queue.lag != Some(0) {
                queue.idle_since = None;
                return false;
            }
            let since = *queue.idle_since.get_or_insert(now);
            if now < since.saturating_add(idle_ms_max) {
                return false;
            }
        }
        true
    }

    /// Puts the filled queues in order. Stops at one whose head has to be looked at first.
    #[inline]
    pub(crate) fn settle(&mut self) -> Option<usize> {
        while let Some(at) = self.unordered.front().copied() {
            let queue = self.queues.get_mut(at).expect(QUEUE);
            if queue.looks_ahead {
                return Some(at);
            }
            if self.filled == 1 {
                return None;
            }
            let timestamp = queue.head_timestamp();
            self.unordered.pop_front();
            self.order.push(timestamp, at);
        }
        None
    }

    /// The queue whose record is next: the only filled one, or that with the smallest timestamp at its head. `None` if none
    /// is filled. Call it when all [are settled](Self::settle).
    #[inline]
    pub(crate) fn choose(&mut self) -> Option<usize> {
        // A queue that is alone is not put in order.
        self.unordered.pop_front().or_else(|| self.order.pop())
    }

    /// The raw record at the head of a queue, to be looked at. It leaves the queue: say with [`held`](Self::held) or
    /// [`dropped`](Self::dropped) what became of it.
    pub(crate) fn look(&mut self, at: usize) -> Result<(InputId, RawRecord<'_>)> {
        let queue = self.queues.get_mut(at).expect(QUEUE);
        let input = queue.input;
        Ok((input, queue.raw()?))
    }

    /// The record looked at is held by its source until it is taken.
    pub(crate) fn held(&mut self, at: usize, timestamp: i64, offset: i64) {
        self.queues.get_mut(at).expect(QUEUE).held = Some(offset);
        self.unordered.pop_front();
        self.order.push(timestamp, at);
    }

    /// The record looked at is gone.
    pub(crate) fn dropped(&mut self, at: usize, offset: i64) {
        let queue = self.queues.get_mut(at).expect(QUEUE);
        queue.position = Some(offset + 1);
        queue.records -= 1;
        if queue.records == 0 {
            self.filled -= 1;
            self.unordered.pop_front();
        }
    }

    /// Takes the first record of a chosen queue.
    #[inline]
    pub(crate) fn take(&mut self, at: usize) -> Result<(InputId, Next<'_>)> {
        let queue = self.queues.get_mut(at).expect(QUEUE);
        queue.records -= 1;
        if queue.records == 0 {
            self.filled -= 1;
        } else {
            self.unordered.push_back(at);
        }
        let input = queue.input;
        if let Some(offset) = queue.held.take() {
            queue.position = Some(offset + 1);
            return Ok((input, Next::Held { offset }));
        }
        let position = &mut queue.position;
        let raw = Queue::front(&mut queue.current, &mut queue.later, &queue.partition)?;
        *position = Some(raw.offset + 1);
        Ok((input, Next::Raw(raw)))
    }

    /// Forgets all records, as suspended tasks do: they are fetched again from the committed offsets.
    pub(crate) fn clear(&mut self) {
        for queue in &mut self.queues {
            queue.current = None;
            queue.later.clear();
            queue.records = 0;
            queue.held = None;
            queue.position = None;
            queue.next_offset = None;
            queue.idle_since = None;
            queue.lag = None;
            queue.paused = false;
        }
        self.filled = 0;
        self.order.clear();
        self.unordered.clear();
    }

    /// Remembers that the positions are committed.
    pub(crate) fn set_committed(&mut self) {
        for queue in &mut self.queues {
            queue.committed = queue.committable().or(queue.committed);
        }
    }
}

impl Queue {
    fn new(partition: TopicPartition, input: InputId, looks_ahead: bool) -> Self {
        Self {
            partition,
            input,
            looks_ahead,
            current: None,
            later: VecDeque::new(),
            records: 0,
            held: None,
            position: None,
            next_offset: None,
            committed: None,
            lag: None,
            idle_since: None,
            paused: false,
        }
    }

    /// The offset to commit: behind the last record taken, or, if no record waits, behind everything that was fetched.
    /// `None` if nothing was taken.
    pub(crate) fn committable(&self) -> Option<i64> {
        if self.records == 0 {
            return self.next_offset.max(self.position);
        }
        self.position
    }

    /// Whether the offset to commit is another than the committed one.
    pub(crate) fn has_moved(&self) -> bool {
        self.committable().is_some_and(|offset| self.committed != Some(offset))
    }

    /// Sets where the partition was committed.
    pub(crate) fn start_at(&mut self, committed: Option<i64>) {
        self.committed = committed;
    }

    pub(crate) fn set_lag(&mut self, lag: Option<i64>) {
        self.lag = lag;
    }

    /// A record that cannot be parsed goes first: taking it reports it.
    fn head_timestamp(&mut self) -> i64 {
        skip_empty(&mut self.current, &mut self.later);
        let timestamp = self.current.as_ref().and_then(Records::peek_timestamp);
        timestamp.unwrap_or(i64::MIN)
    }

    fn raw(&mut self) -> Result<RawRecord<'_>> {
        Self::front(&mut self.current, &mut self.later, &self.partition)
    }

    #[inline]
    fn front<'a>(
        current: &'a mut Option<Records>,
        later: &mut VecDeque<Records>,
        partition: &TopicPartition,
    ) -> Result<RawRecord<'a>> {
        skip_empty(current, later);
        let batch = current.as_mut().expect("a filled queue has a batch with records");
        let next = batch.next().map_err(|source| Error::Corrupt {
            partition: partition.clone(),
            source,
        })?;
        Ok(next.expect("a batch with remaining records has a next one"))
    }
}

#[inline]
fn skip_empty(current: &mut Option<Records>, later: &mut VecDeque<Records>) {
    while current.as_ref().is_none_or(|batch| batch.remaining() == 0) {
        *current = later.pop_front();
        if current.is_none() {
            return;
        }
    }
}
