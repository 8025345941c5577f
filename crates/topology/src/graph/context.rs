//! What a node sees of the graph around it while it runs.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use kstreams_store::{Output, RecordContext, State, Write};

use super::parts::Parts;
use super::timers::Schedule;
use super::{Clock, Input, Node, RawRecord, TimerId};
use crate::error::{Error, Result};
use crate::panic::guarded;
use crate::record::Record;
use crate::stores::{StoreHandle, StoreId, StoreKind};
use crate::task_id::TaskId;

/// The graph around the running node, lent for one call.
pub struct NodeContext<'a> {
    pub(super) parts: &'a mut Parts,
    pub(super) output: &'a mut dyn Output,
    pub(super) node: usize,
    /// The input record being processed, undecoded; `None` if there is none.
    pub(super) raw: Option<&'a RawRecord<'a>>,
}

/// What [`NodeContext::enter`] replaced, to be put back when the children are done.
struct Entered {
    timestamp: i64,
    headers: Option<kstreams_wire::Headers>,
}

impl<'a> NodeContext<'a> {
    /// Like [`store`](Self::store), for as long as the graph is lent.
    pub fn into_store<S: StoreKind>(self, handle: StoreHandle<S>) -> S::View<'a> {
        self.check_access(handle.id());
        let (slot, write) = self.parts.store(handle.id(), self.output);
        let front = slot
            .front
            .downcast_mut::<S::Front>()
            .expect("a handle has the type of the store that it was made for");
        S::view(front, &mut slot.state, write)
    }
}

impl NodeContext<'_> {
    /// The same context for a shorter while.
    pub fn reborrow(&mut self) -> NodeContext<'_> {
        NodeContext {
            parts: self.parts,
            output: self.output,
            node: self.node,
            raw: self.raw,
        }
    }

    /// Hands the record to all children, in the order in which they were attached: the last one gets the record itself,
    /// the others clones. Returns when everything below is done.
    pub fn forward<K, V>(&mut self, record: Record<K, V>) -> Result<()>
    where
        K: Clone + 'static,
        V: Clone + 'static,
    {
        let count = self.parts.slot(self.node).children.len();
        if count == 0 {
            if let Some(tap) = &mut self.parts.tap {
                tap(None, Input::new(&mut Some(record)));
            }
            return Ok(());
        }
        let entered = self.enter(&record);
        let result = self.forward_to_children(count, record);
        self.leave(entered);
        result
    }

    fn forward_to_children<K, V>(&mut self, count: usize, record: Record<K, V>) -> Result<()>
    where
        K: Clone + 'static,
        V: Clone + 'static,
    {
        for at in 0..count - 1 {
            let child = self.parts.child(self.node, at);
            self.deliver(child, Input::new(&mut Some(record.clone())))?;
        }
        let last = self.parts.child(self.node, count - 1);
        self.deliver(last, Input::new(&mut Some(record)))
    }

    /// Hands the record to the child of this name.
    pub fn forward_to<K: 'static, V: 'static>(&mut self, child: &str, record: Record<K, V>) -> Result<()> {
        if let Some(tap) = &mut self.parts.tap {
            tap(Some(child), Input::new(&mut Some(record)));
            return Ok(());
        }
        let Some(child) = self.parts.child_named(self.node, child) else {
            return Err(Error::User(
                format!("node {} has no child {child}", self.node_name()).into(),
            ));
        };
        let entered = self.enter(&record);
        let result = self.deliver(child, Input::new(&mut Some(record)));
        self.leave(entered);
        result
    }

    /// Hands the record to the child at this place, in the order in which they were attached.
    pub fn forward_to_nth<K: 'static, V: 'static>(&mut self, place: usize, record: Record<K, V>) -> Result<()> {
        let child = self.parts.child(self.node, place);
        let entered = self.enter(&record);
        let result = self.deliver(child, Input::new(&mut Some(record)));
        self.leave(entered);
        result
    }

    /// Forwards as if `context` were the record being processed: for records that waited in a cache or buffer.
    pub fn forward_as<K, V>(&mut self, context: RecordContext, record: Record<K, V>) -> Result<()>
    where
        K: Clone + 'static,
        V: Clone + 'static,
    {
        self.process_as(context, |cx| cx.forward(record))
    }

    /// Does something as if `context` were the record being processed.
    pub fn process_as<T>(&mut self, context: RecordContext, process: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.parts.record, context);
        let raw = self.raw.take();
        self.tell_origin();
        let outcome = catch_unwind(AssertUnwindSafe(|| process(self)));
        self.raw = raw;
        self.parts.record = before;
        self.tell_origin();
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Sets the time and headers that nodes below see, if the record has others than the one being processed.
    fn enter<K, V>(&mut self, record: &Record<K, V>) -> Entered {
        let context = &mut self.parts.record;
        let timestamp = std::mem::replace(&mut context.timestamp, record.timestamp);
        let headers = (context.headers != record.headers)
            .then(|| std::mem::replace(&mut context.headers, record.headers.clone()));
        Entered { timestamp, headers }
    }

    fn leave(&mut self, entered: Entered) {
        let context = &mut self.parts.record;
        context.timestamp = entered.timestamp;
        if let Some(headers) = entered.headers {
            context.headers = headers;
        }
    }

    fn deliver(&mut self, child: usize, input: Input<'_>) -> Result<()> {
        self.with_node(child, |node, cx| node.process(cx, input))
    }

    /// Calls a node about a record, and asks the handler if it failed.
    pub(super) fn with_node<F>(&mut self, at: usize, call: F) -> Result<()>
    where
        F: FnOnce(&mut dyn Node, &mut NodeContext<'_>) -> Result<()>,
    {
        match self.call_node(at, call) {
            Ok(()) => Ok(()),
            Err(error) => self.failed(at, error),
        }
    }

    /// Takes a node out of its place, calls it with a context of its own, and puts it back, even if it panicked: the
    /// handler may let the task go on.
    pub(super) fn call_node<F>(&mut self, at: usize, call: F) -> Result<()>
    where
        F: FnOnce(&mut dyn Node, &mut NodeContext<'_>) -> Result<()>,
    {
        let mut node = self.parts.take(at);
        let mut cx = NodeContext {
            parts: self.parts,
            output: self.output,
            node: at,
            raw: self.raw,
        };
        let result = guarded(|| call(node.as_mut(), &mut cx));
        self.parts.put_back(at, node);
        result
    }

    /// The typed view of a store that this node is connected to.
    ///
    /// # Panics
    /// If the node is not connected to the store.
    pub fn store<S: StoreKind>(&mut self, handle: StoreHandle<S>) -> S::View<'_> {
        self.reborrow().into_store(handle)
    }

    /// The bytes of a store that this node is connected to, and what writing needs.
    ///
    /// # Panics
    /// If the node is not connected to the store.
    pub fn store_state(&mut self, store: StoreId) -> (&mut State, Write<'_>) {
        self.check_access(store);
        let (slot, write) = self.parts.store(store, self.output);
        (&mut slot.state, write)
    }

    fn check_access(&self, store: StoreId) {
        if !self.parts.may_use(self.node, store) {
            panic!(
                "processor {} is not connected to that store ({store:?}): name it in the processor's stores()",
                self.node_name()
            );
        }
    }

    /// Where records go.
    pub fn output(&mut self) -> &mut dyn Output {
        self.output
    }

    /// Where records go, and the record being processed.
    pub fn output_and_record(&mut self) -> (&mut dyn Output, &RecordContext) {
        (self.output, &self.parts.record)
    }

    /// The record being processed: where it came from, its time and headers as this node sees them.
    pub fn record(&self) -> &RecordContext {
        &self.parts.record
    }

    /// Calls [`Node::punctuate`] of this node at every interval of a clock. On stream time it is due as soon as that is
    /// known, then at the multiples of the interval; on the wall clock one interval from now. Intervals below a
    /// millisecond are raised to one.
    pub fn schedule(&mut self, every: Duration, clock: Clock) -> TimerId {
        let now = self.parts.now(clock);
        let schedule = Schedule {
            every,
            clock,
            start: None,
        };
        self.parts.timers.schedule(self.node, schedule, now)
    }

    /// Like [`schedule`](Self::schedule), on the grid that goes through `start`.
    pub fn schedule_at(&mut self, start: i64, every: Duration, clock: Clock) -> TimerId {
        let now = self.parts.now(clock);
        let start = Some(start);
        self.parts
            .timers
            .schedule(self.node, Schedule { every, clock, start }, now)
    }

    /// Ends a schedule.
    pub fn cancel(&mut self, timer: TimerId) {
        self.parts.timers.cancel(timer);
    }

    /// The largest timestamp that this task has seen; −1 before the first record.
    pub fn stream_time(&self) -> i64 {
        self.parts.stream_time
    }

    /// The wall clock in milliseconds, as of the beginning of this turn.
    pub fn wall_clock(&self) -> i64 {
        self.parts.wall_clock
    }

    /// The least time in milliseconds of the wall clock between two sweeps of a node for results that are due, such as closed
    /// windows and unmatched rows of an outer join.
    pub fn emit_interval(&self) -> i64 {
        self.parts.emit_interval
    }

    /// What a processor of this task remembered under this name, if any did. It is committed along with the input offsets,
    /// and so comes back after a restart, wherever that is.
    pub fn processor_metadata(&self, name: &str) -> Option<i64> {
        self.parts.metadata.get(name).copied()
    }

    /// Remembers a number under this name, see [`processor_metadata`](Self::processor_metadata).
    pub fn set_processor_metadata(&mut self, name: &str, value: i64) {
        match self.parts.metadata.get_mut(name) {
            Some(held) => *held = value,
            None => {
                self.parts.metadata.insert(name.to_owned(), value);
            }
        }
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.parts.task
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        &self.parts.application_id
    }

    /// This node's name.
    pub fn node_name(&self) -> &str {
        &self.parts.slot(self.node).name
    }

    /// How many children this node has.
    pub fn children(&self) -> usize {
        self.parts.slot(self.node).children.len()
    }

    /// Counts the record being processed as dropped.
    pub fn drop_record(&mut self) {
        self.parts.totals.dropped += 1;
    }

    /// Asks for a commit as soon as possible.
    pub fn request_commit(&mut self) {
        self.parts.commit_requested = true;
    }
}
