//! The graph itself: its nodes, stores and inputs, and the calls that drive it.

use std::any::Any;
use std::sync::Arc;

use kstreams_store::{Output, RecordContext, State, Write};
use kstreams_wire::{TopicName, TopicPartition};

use super::handler::place;
use super::timers::Timers;
use super::{Clock, ErrorHandlers, Failure, Node, NodeContext, RawRecord, Response, Source};
use crate::error::{Error, Result};
use crate::pattern::TopicPattern;
use crate::stores::StoreId;
use crate::task_id::TaskId;

/// What a graph has counted since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records dropped: undecodable, without a usable timestamp, null where the type knows no null, too late, or failed on
    /// while the handler says to go on.
    pub dropped: u64,
    /// Punctuations called.
    pub punctuations: u64,
}

/// One input partition of a graph, from [`Graph::add_input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InputId(usize);

pub(super) struct NodeSlot {
    pub(super) name: String,
    pub(super) children: Box<[usize]>,
    pub(super) stores: Box<[StoreId]>,
    node: Option<Box<dyn Node>>,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Source,
    Processor,
    Sink,
}

pub(super) struct StoreSlot {
    id: StoreId,
    pub(super) state: State,
    pub(super) front: Box<dyn Any + Send>,
}

struct SourceSlot {
    node: usize,
    topics: SourceTopics,
    source: Option<Box<dyn Source>>,
}

/// The topics that a source reads.
pub enum SourceTopics {
    /// These.
    Names(Vec<TopicName>),
    /// All that match.
    Pattern(TopicPattern),
}

impl SourceTopics {
    fn contain(&self, topic: &TopicName) -> bool {
        match self {
            Self::Names(topics) => topics.contains(topic),
            Self::Pattern(pattern) => pattern.matches(topic),
        }
    }
}

struct InputSlot {
    topic: TopicName,
    partition: i32,
    source: usize,
    time: i64,
}

/// Everything that a running node may reach.
pub(super) struct Parts {
    nodes: Vec<NodeSlot>,
    stores: Vec<StoreSlot>,
    pub(super) timers: Timers,
    pub(super) record: RecordContext,
    pub(super) stream_time: i64,
    pub(super) wall_clock: i64,
    pub(super) task: TaskId,
    pub(super) application_id: Arc<str>,
    handlers: ErrorHandlers,
    pub(super) totals: Totals,
    pub(super) commit_requested: bool,
    inputs: Vec<InputSlot>,
    current: usize,
}

const NODE: &str = "nodes are numbered by the builder, and none is removed";

impl Parts {
    #[inline]
    pub(super) fn slot(&self, node: usize) -> &NodeSlot {
        self.nodes.get(node).expect(NODE)
    }

    #[inline]
    pub(super) fn child(&self, node: usize, at: usize) -> usize {
        *self.slot(node).children.get(at).expect("within the number of children")
    }

    pub(super) fn child_named(&self, node: usize, name: &str) -> Option<usize> {
        let mut children = self.slot(node).children.iter().copied();
        children.find(|child| self.slot(*child).name == name)
    }

    #[inline]
    pub(super) fn take(&mut self, node: usize) -> Box<dyn Node> {
        let slot = self.nodes.get_mut(node).expect(NODE);
        slot.node
            .take()
            .expect("a node is in its place unless it panicked: graphs have no cycles")
    }

    #[inline]
    pub(super) fn put_back(&mut self, node: usize, body: Box<dyn Node>) {
        self.nodes.get_mut(node).expect(NODE).node = Some(body);
    }

    pub(super) fn store<'a>(&'a mut self, id: StoreId, output: &'a mut dyn Output) -> (&'a mut StoreSlot, Write<'a>) {
        let slot = self
            .stores
            .iter_mut()
            .find(|slot| slot.id == id)
            .expect("a connected store is in the graph");
        let context = &self.record;
        (slot, Write { output, context })
    }

    pub(super) fn now(&self, clock: Clock) -> i64 {
        match clock {
            Clock::StreamTime => self.stream_time,
            Clock::WallClock => self.wall_clock,
        }
    }

    /// Decides about an error that came out of `node`. The innermost processor is asked, once: what it lets pass is gone,
    /// what it does not travels up unchanged.
    #[cold]
    pub(super) fn failed(&mut self, node: usize, error: Error) -> Result<()> {
        let slot = self.slot(node);
        if slot.role != Role::Processor || !error.is_record_failure() {
            return Err(error);
        }
        if self.ask(&self.handlers.processing, node, &error) == Response::Continue {
            self.totals.dropped += 1;
            return Ok(());
        }
        let at = place(&self.record);
        let source = match error {
            Error::User(source) => source,
            other => Box::new(other),
        };
        let node = self.slot(node).name.clone();
        Err(Error::Processing { node, at, source })
    }

    #[cold]
    pub(super) fn undecodable(&mut self, node: usize, source: crate::serde::SerdeError) -> Result<()> {
        let error = Error::Deserialization {
            node: self.slot(node).name.clone(),
            at: place(&self.record),
            source,
        };
        if self.ask(&self.handlers.deserialization, node, &error) == Response::Fail {
            return Err(error);
        }
        self.totals.dropped += 1;
        Ok(())
    }

    fn ask(&self, handler: &super::FailureHandler, node: usize, error: &Error) -> Response {
        handler(&Failure {
            task: self.task,
            node: &self.slot(node).name,
            context: &self.record,
            error,
        })
    }

    /// The time of the current input partition.
    pub(super) fn partition_time(&self) -> i64 {
        self.inputs.get(self.current).map_or(-1, |input| input.time)
    }

    /// A record with this timestamp has been taken from the current input partition.
    #[inline]
    pub(super) fn advance(&mut self, timestamp: i64) {
        self.stream_time = self.stream_time.max(timestamp);
        if let Some(input) = self.inputs.get_mut(self.current) {
            input.time = input.time.max(timestamp);
        }
    }

    /// Makes the record the one being processed.
    #[inline]
    fn set_record(&mut self, input: usize, raw: &RawRecord<'_>) {
        self.set_input(input);
        self.record.offset = raw.offset;
        self.record.timestamp = raw.timestamp;
        if !raw.headers.is_empty() || !self.record.headers.is_empty() {
            self.record.headers = raw.to_headers();
        }
    }

    #[inline]
    fn set_input(&mut self, input: usize) {
        if self.current == input && self.record.topic.is_some() {
            return;
        }
        self.current = input;
        if let Some(slot) = self.inputs.get(input) {
            self.record.topic = Some(slot.topic.clone());
            self.record.partition = slot.partition;
        }
    }
}

/// The executable graph of one task.
pub struct Graph {
    parts: Parts,
    sources: Vec<SourceSlot>,
}

const INPUT: &str = "an input id comes from this graph";

impl Graph {
    /// Adds an input partition; `None` if no source of the graph reads its topic.
    pub fn add_input(&mut self, partition: &TopicPartition) -> Option<InputId> {
        let reads = |slot: &SourceSlot| slot.topics.contain(&partition.topic);
        let source = self.sources.iter().position(reads)?;
        self.parts.inputs.push(InputSlot {
            topic: partition.topic.clone(),
            partition: partition.partition,
            source,
            time: -1,
        });
        Some(InputId(self.parts.inputs.len() - 1))
    }

    /// Initialises the nodes, in topological order.
    pub fn init(&mut self, output: &mut dyn Output) -> Result<()> {
        self.for_each_node(output, |node, cx| node.init(cx))
    }

    /// Whether the records of this input have to be [held](Self::hold) to know their timestamps.
    pub fn looks_ahead(&self, input: InputId) -> bool {
        self.source(input).looks_ahead()
    }

    /// Takes a record and sends it down the graph.
    #[inline]
    pub fn process(&mut self, input: InputId, raw: &RawRecord<'_>, output: &mut dyn Output) -> Result<()> {
        self.parts.set_record(input.0, raw);
        self.with_source(input, output, |source, cx| source.process(cx, raw))
    }

    /// Decodes a record that became the head of its partition and keeps it until [`process_held`](Self::process_held).
    /// Its timestamp; `None` if it was dropped.
    pub fn hold(&mut self, input: InputId, raw: &RawRecord<'_>, output: &mut dyn Output) -> Result<Option<i64>> {
        self.parts.set_record(input.0, raw);
        self.with_source(input, output, |source, cx| source.hold(cx, input.0, raw))
    }

    /// Sends the held record of this input down the graph.
    pub fn process_held(&mut self, input: InputId, offset: i64, output: &mut dyn Output) -> Result<()> {
        self.parts.set_input(input.0);
        self.parts.record.offset = offset;
        self.with_source(input, output, |source, cx| source.process_held(cx, input.0))
    }

    fn source(&self, input: InputId) -> &dyn Source {
        let input = self.parts.inputs.get(input.0).expect(INPUT);
        let slot = self.sources.get(input.source).expect(INPUT);
        slot.source
            .as_deref()
            .expect("a source is in its place unless it panicked")
    }

    #[inline]
    fn with_source<T>(
        &mut self,
        input: InputId,
        output: &mut dyn Output,
        call: impl FnOnce(&mut dyn Source, &mut NodeContext<'_>) -> Result<T>,
    ) -> Result<T> {
        let input = self.parts.inputs.get(input.0).expect(INPUT);
        let slot = self.sources.get_mut(input.source).expect(INPUT);
        let source = slot.source.as_deref_mut().expect("sources never leave their place");
        let mut cx = NodeContext {
            parts: &mut self.parts,
            output,
            node: slot.node,
        };
        call(source, &mut cx)
    }

    /// Calls the timers of this clock that are due. How many were called.
    pub fn punctuate(&mut self, clock: Clock, output: &mut dyn Output) -> Result<usize> {
        let now = self.parts.now(clock);
        if self.parts.timers.next_due(clock) > now {
            return Ok(0);
        }
        let before = std::mem::replace(&mut self.parts.record, RecordContext::none(now));
        let result = self.punctuate_due(clock, now, output);
        self.parts.record = before;
        result
    }

    fn punctuate_due(&mut self, clock: Clock, now: i64, output: &mut dyn Output) -> Result<usize> {
        let mut called = 0;
        while let Some(due) = self.parts.timers.pop(clock, now) {
            self.parts.record = RecordContext::none(now);
            called += 1;
            self.parts.totals.punctuations += 1;
            let mut cx = self.context(due.node, output);
            cx.with_node(due.node, |node, cx| node.punctuate(cx, due.id, now))?;
        }
        Ok(called)
    }

    /// When the next timer of this clock is due; `i64::MAX` without one.
    pub fn next_due(&self, clock: Clock) -> i64 {
        self.parts.timers.next_due(clock)
    }

    /// Empties the caches of all stores, in topological order of the nodes that use them. The node that owns a cached store
    /// flushes it and forwards what comes out; stores that no node flushes are flushed here.
    pub fn flush(&mut self, output: &mut dyn Output) -> Result<()> {
        for at in 0..self.parts.stores.len() {
            let Some(id) = self.parts.stores.get(at).map(|slot| slot.id) else {
                break;
            };
            for node in 0..self.parts.nodes.len() {
                if self.parts.slot(node).stores.contains(&id) {
                    self.context(node, output).with_node(node, |node, cx| node.flush(cx))?;
                }
            }
            if let Some(slot) = self.parts.stores.get_mut(at) {
                slot.state.flush(output)?;
            }
        }
        Ok(())
    }

    /// Closes the nodes, in topological order; all of them, even if one fails. The first error.
    pub fn close(&mut self) -> Result<()> {
        self.parts.timers.clear();
        let mut result = Ok(());
        for slot in &mut self.parts.nodes {
            if let Some(node) = &mut slot.node {
                result = result.and(node.close());
            }
        }
        result
    }

    fn for_each_node(
        &mut self,
        output: &mut dyn Output,
        mut call: impl FnMut(&mut dyn Node, &mut NodeContext<'_>) -> Result<()>,
    ) -> Result<()> {
        for at in 0..self.parts.nodes.len() {
            if self.parts.slot(at).role != Role::Source {
                self.context(at, output).with_node(at, &mut call)?;
            }
        }
        Ok(())
    }

    fn context<'a>(&'a mut self, node: usize, output: &'a mut dyn Output) -> NodeContext<'a> {
        NodeContext {
            parts: &mut self.parts,
            output,
            node,
        }
    }
}

/// The graph's times, counters and stores.
impl Graph {
    /// The largest timestamp seen; −1 before the first record.
    pub fn stream_time(&self) -> i64 {
        self.parts.stream_time
    }

    /// The largest timestamp taken from this input; −1 before the first record.
    pub fn partition_time(&self, input: InputId) -> i64 {
        self.parts.inputs.get(input.0).expect(INPUT).time
    }

    /// Sets the time that was committed with this input's offset.
    pub fn set_partition_time(&mut self, input: InputId, time: i64) {
        self.parts.inputs.get_mut(input.0).expect(INPUT).time = time;
        self.parts.stream_time = self.parts.stream_time.max(time);
    }

    /// Forgets all times, as suspended tasks do.
    pub fn reset_times(&mut self) {
        self.parts.stream_time = -1;
        for input in &mut self.parts.inputs {
            input.time = -1;
        }
    }

    /// Sets the wall clock that nodes see, in milliseconds.
    pub fn set_wall_clock(&mut self, now: i64) {
        self.parts.wall_clock = now;
    }

    /// Whether a node asked for a commit; asking takes the answer back.
    pub fn take_commit_request(&mut self) -> bool {
        std::mem::take(&mut self.parts.commit_requested)
    }

    /// Whether a node asked for a commit.
    pub fn commit_requested(&self) -> bool {
        self.parts.commit_requested
    }

    /// What was counted.
    pub fn totals(&self) -> Totals {
        self.parts.totals
    }

    /// The stores, in the order in which they are flushed.
    pub fn stores(&mut self) -> impl Iterator<Item = &mut State> {
        self.parts.stores.iter_mut().map(|slot| &mut slot.state)
    }

    /// The stores, when the graph is done with.
    pub fn into_stores(self) -> impl Iterator<Item = State> {
        self.parts.stores.into_iter().map(|slot| slot.state)
    }

    /// A store's typed front and bytes, for access from outside of processing. `None` if the graph has no such store.
    pub fn store_slot<'a>(
        &'a mut self,
        name: &str,
        output: &'a mut dyn Output,
    ) -> Option<(&'a mut (dyn Any + Send), &'a mut State, Write<'a>)> {
        let slot = self.parts.stores.iter_mut().find(|slot| slot.state.name() == name)?;
        let context = &self.parts.record;
        Some((slot.front.as_mut(), &mut slot.state, Write { output, context }))
    }
}

/// Puts a graph together, in topological order: parents first.
pub struct GraphBuilder {
    nodes: Vec<(NodeSlot, Vec<usize>)>,
    stores: Vec<StoreSlot>,
    sources: Vec<SourceSlot>,
}

impl Default for GraphBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            stores: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// Adds a source of these topics; its number.
    pub fn add_source(&mut self, name: &str, topics: SourceTopics, source: Box<dyn Source>) -> usize {
        let node = self.push(name, None, Role::Source);
        self.sources.push(SourceSlot {
            node,
            topics,
            source: Some(source),
        });
        node
    }

    /// Adds a processor that uses these stores; its number.
    pub fn add_processor(&mut self, name: &str, node: Box<dyn Node>, stores: Vec<StoreId>) -> usize {
        let at = self.push(name, Some(node), Role::Processor);
        if let Some((slot, _)) = self.nodes.last_mut() {
            slot.stores = stores.into();
        }
        at
    }

    /// Adds a sink; its number.
    pub fn add_sink(&mut self, name: &str, node: Box<dyn Node>) -> usize {
        self.push(name, Some(node), Role::Sink)
    }

    fn push(&mut self, name: &str, node: Option<Box<dyn Node>>, role: Role) -> usize {
        let slot = NodeSlot {
            name: name.to_owned(),
            children: Box::default(),
            stores: Box::default(),
            node,
            role,
        };
        self.nodes.push((slot, Vec::new()));
        self.nodes.len() - 1
    }

    /// Makes `child` the next child of `parent`.
    pub fn connect(&mut self, parent: usize, child: usize) {
        self.nodes.get_mut(parent).expect(NODE).1.push(child);
    }

    /// Adds an open store and its typed front.
    pub fn add_store(&mut self, id: StoreId, state: State, front: Box<dyn Any + Send>) {
        self.stores.push(StoreSlot { id, state, front });
    }

    /// The graph of this task.
    pub fn build(self, task: TaskId, application_id: &str, handlers: ErrorHandlers) -> Graph {
        let nodes = self.nodes.into_iter().map(|(slot, children)| NodeSlot {
            children: children.into(),
            ..slot
        });
        Graph {
            parts: Parts {
                nodes: nodes.collect(),
                stores: self.stores,
                timers: Timers::new(),
                // Before the first record, stores are written to at time 0, as in Java.
                record: RecordContext::none(0),
                stream_time: -1,
                wall_clock: 0,
                task,
                application_id: Arc::from(application_id),
                handlers,
                totals: Totals::default(),
                commit_requested: false,
                inputs: Vec::new(),
                current: 0,
            },
            sources: self.sources,
        }
    }
}
