//! What the nodes of a graph share: each other, the stores, the record being processed, the times.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use kstreams_store::{Output, RecordContext, State, Write};
use kstreams_wire::TopicName;

use super::alone::Tap;
use super::timers::Timers;
use super::{Clock, ErrorHandlers, Node, RawRecord, Source};
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

/// One input partition of a graph, from [`Graph::add_input`](super::Graph::add_input).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InputId(pub(super) usize);

pub(super) struct NodeSlot {
    pub(super) name: String,
    pub(super) children: Box<[usize]>,
    pub(super) stores: Box<[StoreId]>,
    pub(super) node: Option<Box<dyn Node>>,
    pub(super) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Source,
    Processor,
    Sink,
}

/// Which nodes may use a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAccess {
    /// Those that are connected to it.
    Connected,
    /// All: it is global.
    Everyone,
}

pub(super) struct StoreSlot {
    pub(super) id: StoreId,
    pub(super) access: StoreAccess,
    pub(super) state: State,
    pub(super) front: Box<dyn Any + Send>,
}

pub(super) struct SourceSlot {
    pub(super) node: usize,
    pub(super) topics: SourceTopics,
    pub(super) source: Option<Box<dyn Source>>,
}

/// The topics that a source reads.
pub enum SourceTopics {
    /// These.
    Names(Vec<TopicName>),
    /// All that match.
    Pattern(TopicPattern),
}

impl SourceTopics {
    pub(super) fn contain(&self, topic: &TopicName) -> bool {
        match self {
            Self::Names(topics) => topics.contains(topic),
            Self::Pattern(pattern) => pattern.matches(topic),
        }
    }
}

pub(super) struct InputSlot {
    pub(super) topic: TopicName,
    pub(super) partition: i32,
    pub(super) source: usize,
    pub(super) time: i64,
}

/// Everything that a running node may reach.
pub(super) struct Parts {
    pub(super) nodes: Vec<NodeSlot>,
    pub(super) stores: Vec<StoreSlot>,
    pub(super) timers: Timers,
    pub(super) record: RecordContext,
    pub(super) stream_time: i64,
    pub(super) wall_clock: i64,
    pub(super) task: TaskId,
    pub(super) application_id: Arc<str>,
    pub(super) handlers: ErrorHandlers,
    /// Takes what nodes without children forward, in tests of single nodes.
    pub(super) tap: Option<Tap>,
    pub(super) emit_interval: i64,
    /// What processors remember beyond restarts, by names of their choice.
    pub(super) metadata: BTreeMap<String, i64>,
    pub(super) totals: Totals,
    pub(super) commit_requested: bool,
    pub(super) inputs: Vec<InputSlot>,
    pub(super) current: usize,
}

pub(super) const NODE: &str = "nodes are numbered by the builder, and none is removed";

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
        slot.node.take().expect("a node is in its place: graphs have no cycles")
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

    pub(super) fn may_use(&self, node: usize, store: StoreId) -> bool {
        let is_global = |slot: &StoreSlot| slot.id == store && slot.access == StoreAccess::Everyone;
        self.slot(node).stores.contains(&store) || self.stores.iter().any(is_global)
    }

    pub(super) fn now(&self, clock: Clock) -> i64 {
        match clock {
            Clock::StreamTime => self.stream_time,
            Clock::WallClock => self.wall_clock,
        }
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
    pub(super) fn set_record(&mut self, input: usize, raw: &RawRecord<'_>) {
        self.set_input(input);
        self.record.offset = raw.offset;
        self.record.timestamp = raw.timestamp;
        if !raw.headers.is_empty() || !self.record.headers.is_empty() {
            self.record.headers = raw.to_headers();
        }
    }

    #[inline]
    pub(super) fn set_input(&mut self, input: usize) {
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
