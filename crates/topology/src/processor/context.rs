//! What a processor sees of the task around it.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use kstreams_wire::{Headers, TopicName};

use super::{FixedKeyContext, FixedKeyProcessor, Processor};
use crate::error::Result;
use crate::graph::{Clock, NodeContext, TimerId};
use crate::record::Record;
use crate::stores::{StoreHandle, StoreKind};
use crate::task_id::TaskId;

/// Everything but forwarding: stores, timers, times, and where the record came from.
pub struct ProcessingContext<'a> {
    cx: NodeContext<'a>,
}

impl<'a> From<NodeContext<'a>> for ProcessingContext<'a> {
    fn from(cx: NodeContext<'a>) -> Self {
        Self { cx }
    }
}

/// Where the record being processed came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordMetadata<'a> {
    /// The input topic; `None` while punctuating.
    pub topic: Option<&'a TopicName>,
    /// The input partition; −1 while punctuating.
    pub partition: i32,
    /// The offset in that partition; −1 while punctuating.
    pub offset: i64,
    /// The record's timestamp, or the punctuation's.
    pub timestamp: i64,
    /// The record's headers.
    pub headers: &'a Headers,
}

impl<'a> ProcessingContext<'a> {
    /// What user code of the node that `cx` is for may see.
    pub fn new<'b>(cx: &'a mut NodeContext<'b>) -> Self {
        Self { cx: cx.reborrow() }
    }

    /// The same for a processor of this type. Only tests of a processor by itself have a use for it.
    pub fn of_processor<P: Processor>(self) -> Context<'a, P> {
        Context {
            common: self,
            processor: PhantomData,
        }
    }

    /// The same for a processor of this type that keeps keys. Only tests of a processor by itself have a use for it.
    pub fn of_fixed_key_processor<P: FixedKeyProcessor>(self) -> FixedKeyContext<'a, P> {
        FixedKeyContext::over(self)
    }

    /// A store, for as long as the view is held.
    ///
    /// # Panics
    /// If the processor is not connected to the store: name it in [`Processor::stores`].
    pub fn store<S: StoreKind>(&mut self, handle: StoreHandle<S>) -> S::View<'_> {
        self.cx.store(handle)
    }

    /// Has `punctuate` called at every interval of a clock. On stream time it is due as soon as that is known, then at
    /// the multiples of the interval; on the wall clock one interval from now, and then on that grid. However many
    /// intervals were missed, it is called once. Intervals below a millisecond are raised to one.
    pub fn schedule(&mut self, every: Duration, clock: Clock) -> TimerId {
        self.cx.schedule(every, clock)
    }

    /// Like [`schedule`](Self::schedule), on the grid that goes through `start` (milliseconds).
    pub fn schedule_at(&mut self, start: i64, every: Duration, clock: Clock) -> TimerId {
        self.cx.schedule_at(start, every, clock)
    }

    /// Ends a schedule.
    pub fn cancel(&mut self, timer: TimerId) {
        self.cx.cancel(timer);
    }

    /// Where the record being processed came from.
    pub fn metadata(&self) -> RecordMetadata<'_> {
        let record = self.cx.record();
        RecordMetadata {
            topic: record.topic.as_ref(),
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            headers: &record.headers,
        }
    }

    /// The largest timestamp that this task has seen; −1 before the first record.
    pub fn stream_time(&self) -> i64 {
        self.cx.stream_time()
    }

    /// The wall clock in milliseconds, as of the beginning of this turn.
    pub fn wall_clock(&self) -> i64 {
        self.cx.wall_clock()
    }

    /// Asks for a commit as soon as possible.
    pub fn request_commit(&mut self) {
        self.cx.request_commit();
    }

    /// Counts the record being processed as dropped.
    pub fn drop_record(&mut self) {
        self.cx.drop_record();
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.cx.task_id()
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        self.cx.application_id()
    }

    /// The processor's name in the topology.
    pub fn node_name(&self) -> &str {
        self.cx.node_name()
    }

    pub(super) fn forward_record<K, V>(&mut self, record: Record<K, V>) -> Result<()>
    where
        K: Clone + 'static,
        V: Clone + 'static,
    {
        self.cx.forward(record)
    }

    pub(super) fn forward_record_to<K: 'static, V: 'static>(
        &mut self,
        child: &str,
        record: Record<K, V>,
    ) -> Result<()> {
        self.cx.forward_to(child, record)
    }
}

/// What a [`Processor`] sees while it runs: a [`ProcessingContext`] that forwards records of its output types.
pub struct Context<'a, P: ?Sized> {
    common: ProcessingContext<'a>,
    processor: PhantomData<fn(&P)>,
}

impl<'a, P: Processor + ?Sized> Context<'a, P> {
    pub(super) fn new<'b>(cx: &'a mut NodeContext<'b>) -> Self {
        Self {
            common: ProcessingContext::new(cx),
            processor: PhantomData,
        }
    }

    /// Hands the record to all children, in the order in which they were attached. Returns when they are done with it.
    pub fn forward(&mut self, record: Record<P::KOut, P::VOut>) -> Result<()> {
        self.common.forward_record(record)
    }

    /// Hands the record to the child of this name.
    pub fn forward_to(&mut self, child: &str, record: Record<P::KOut, P::VOut>) -> Result<()> {
        self.common.forward_record_to(child, record)
    }
}

impl<'a, P: ?Sized> Deref for Context<'a, P> {
    type Target = ProcessingContext<'a>;

    fn deref(&self) -> &Self::Target {
        &self.common
    }
}

impl<P: ?Sized> DerefMut for Context<'_, P> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.common
    }
}
