//! The graph itself, and the calls that drive it.

use std::any::Any;
use std::collections::BTreeMap;

use kstreams_store::{Origin, Output, RecordContext, State, Write};
use kstreams_wire::{TopicName, TopicPartition};

use super::parts::{InputId, InputSlot, Parts, Role, SourceSlot, StoreAccess, StoreSlot, Totals};
use super::{Clock, Node, NodeContext, RawRecord, Source};
use crate::error::{Error, Result};
use crate::panic::guarded;

/// The executable graph of one task.
pub struct Graph {
    pub(super) parts: Parts,
    pub(super) sources: Vec<SourceSlot>,
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

    /// Whether a source of the graph reads this topic.
    pub fn reads(&self, topic: &TopicName) -> bool {
        self.sources.iter().any(|slot| slot.topics.contain(topic))
    }

    /// Initialises the nodes, in topological order.
    pub fn init(&mut self, output: &mut dyn Output) -> Result<()> {
        self.for_each_node(output, |node, cx| node.init(cx))
    }

    /// What processors remember beyond restarts, to be committed along with the input offsets.
    pub fn processor_metadata(&self) -> &BTreeMap<String, i64> {
        &self.parts.metadata
    }

    /// Takes over what was committed with an input offset. Of several numbers under one name the largest counts.
    pub fn recall_metadata(&mut self, committed: BTreeMap<String, i64>) {
        for (name, value) in committed {
            let held = self.parts.metadata.entry(name).or_insert(value);
            *held = value.max(*held);
        }
    }

    /// Whether the records of this input have to be [held](Self::hold) to know their timestamps.
    pub fn looks_ahead(&self, input: InputId) -> bool {
        self.source(input).looks_ahead()
    }

    /// Takes a record and sends it down the graph.
    #[inline]
    pub fn process(&mut self, input: InputId, raw: &RawRecord<'_>, output: &mut dyn Output) -> Result<()> {
        self.parts.set_record(input.0, raw);
        self.with_source(input, Some(raw), output, |source, cx| source.process(cx, raw))
    }

    /// Decodes a record that became the head of its partition and keeps it until [`process_held`](Self::process_held).
    /// Its timestamp; `None` if it was dropped.
    pub fn hold(&mut self, input: InputId, raw: &RawRecord<'_>, output: &mut dyn Output) -> Result<Option<i64>> {
        self.parts.set_record(input.0, raw);
        self.with_source(input, Some(raw), output, |source, cx| source.hold(cx, input.0, raw))
    }

    /// Sends the held record of this input down the graph.
    pub fn process_held(&mut self, input: InputId, offset: i64, output: &mut dyn Output) -> Result<()> {
        self.parts.set_input(input.0);
        self.parts.record.offset = offset;
        self.with_source(input, None, output, |source, cx| source.process_held(cx, input.0))
    }

    fn source(&self, input: InputId) -> &dyn Source {
        let input = self.parts.inputs.get(input.0).expect(INPUT);
        let slot = self.sources.get(input.source).expect(INPUT);
        slot.source.as_deref().expect("sources never leave their place")
    }

    #[inline]
    fn with_source<T>(
        &mut self,
        input: InputId,
        raw: Option<&RawRecord<'_>>,
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
            raw,
        };
        cx.tell_origin();
        call(source, &mut cx).map_err(|error| cx.unasked(error))
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
            cx.tell_origin();
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
        if self.parts.handlers.production.is_some() {
            output.origin(Origin {
                record: &RecordContext::none(self.parts.stream_time),
                raw: None,
            });
        }
        for at in 0..self.parts.stores.len() {
            let Some(id) = self.parts.stores.get(at).map(|slot| slot.id) else {
                break;
            };
            for node in 0..self.parts.nodes.len() {
                if self.parts.slot(node).stores.contains(&id) {
                    let mut cx = self.context(node, output);
                    let flushed = cx.call_node(node, |node, cx| node.flush(cx));
                    flushed.map_err(|error| self.in_call(node, "a commit", error))?;
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
                let closed = guarded(|| node.close());
                result = result.and(closed.map_err(|error| error.in_call(&slot.name, "close")));
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
                let called = self.context(at, output).call_node(at, &mut call);
                called.map_err(|error| self.in_call(at, "init", error))?;
            }
        }
        Ok(())
    }

    fn in_call(&self, node: usize, call: &'static str, error: Error) -> Error {
        error.in_call(&self.parts.slot(node).name, call)
    }

    fn context<'a>(&'a mut self, node: usize, output: &'a mut dyn Output) -> NodeContext<'a> {
        NodeContext {
            parts: &mut self.parts,
            output,
            node,
            raw: None,
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

    /// What was counted, by nodes and stores.
    pub fn totals(&self) -> Totals {
        let stores = self.parts.stores.iter();
        let late: u64 = stores.map(|slot| slot.state.dropped()).sum();
        Totals {
            dropped: self.parts.totals.dropped + late,
            ..self.parts.totals
        }
    }

    /// Lets the nodes see what was committed to global stores since the last call.
    pub fn refresh_globals(&mut self) {
        let global = |slot: &&mut StoreSlot| slot.access == StoreAccess::Everyone;
        for slot in self.parts.stores.iter_mut().filter(global) {
            slot.state.refresh();
        }
    }

    /// The stores, in the order in which they are flushed.
    pub fn stores(&mut self) -> impl Iterator<Item = &mut State> {
        self.parts.stores.iter_mut().map(|slot| &mut slot.state)
    }

    /// The stores, when the graph is done with.
    pub fn into_stores(self) -> impl Iterator<Item = State> {
        self.parts.stores.into_iter().map(|slot| slot.state)
    }

    /// Whether the graph has a store of this name.
    pub fn has_store(&self, name: &str) -> bool {
        self.parts.stores.iter().any(|slot| slot.state.name() == name)
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
