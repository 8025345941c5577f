//! The task that fills global stores: it reads all partitions of their topics, and every instance has one.

use kstreams_store::{Output, OutputError, OutputRecord, TopicId};
use kstreams_topology::graph::{Graph, InputId};
use kstreams_wire::batch::Records;
use kstreams_wire::{TopicName, TopicPartition};

use crate::error::{Error, Result};

/// Fills the global stores of one part of a topology. Its processors write to their stores and send nothing.
pub struct GlobalTask {
    graph: Graph,
    inputs: Vec<GlobalInput>,
    /// Whether something was applied that is not committed.
    dirty: bool,
}

struct GlobalInput {
    partition: TopicPartition,
    input: InputId,
    /// The next offset to be applied; `None` before the first one is known.
    next: Option<i64>,
}

impl GlobalTask {
    /// A task over an executable graph, reading these partitions from where its stores stand, and initialised. `now` is
    /// the wall clock in milliseconds.
    pub fn new(mut graph: Graph, partitions: &[TopicPartition], now: i64) -> Result<Self> {
        let mut inputs = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let input = graph.add_input(partition).ok_or_else(|| Error::UnknownInput {
                partition: partition.clone(),
            })?;
            let next = position(&mut graph, partition)?;
            inputs.push(GlobalInput {
                partition: partition.clone(),
                input,
                next,
            });
        }
        graph.set_wall_clock(now);
        graph.init(&mut Nowhere)?;
        Ok(Self {
            graph,
            inputs,
            dirty: false,
        })
    }

    /// The partitions, and where to go on reading each; `None` is its beginning.
    pub fn positions(&self) -> impl Iterator<Item = (&TopicPartition, Option<i64>)> {
        self.inputs.iter().map(|input| (&input.partition, input.next))
    }

    /// Whether the task reads this partition.
    pub fn reads(&self, partition: &TopicPartition) -> bool {
        self.inputs.iter().any(|input| input.partition == *partition)
    }

    /// Applies fetched batches. `next_offset` is the next offset to be fetched, `now` the wall clock in milliseconds. How
    /// many records there were.
    pub fn update(
        &mut self,
        partition: &TopicPartition,
        batches: Vec<Records>,
        next_offset: i64,
        now: i64,
    ) -> Result<u64> {
        let input = self.inputs.iter_mut().find(|input| input.partition == *partition);
        let input = input.ok_or_else(|| Error::UnknownInput {
            partition: partition.clone(),
        })?;
        self.graph.set_wall_clock(now);
        let first = input.next.unwrap_or(0);
        let mut count = 0;
        for mut batch in batches {
            loop {
                let record = batch.next().map_err(|source| Error::Corrupt {
                    partition: partition.clone(),
                    source,
                })?;
                let Some(record) = record else { break };
                // A batch is fetched whole, from before the position on.
                if record.offset >= first {
                    self.graph.process(input.input, &record, &mut Nowhere)?;
                    count += 1;
                }
            }
        }
        self.dirty |= input.next != Some(next_offset);
        input.next = Some(next_offset);
        Ok(count)
    }

    /// Makes what was applied durable and lets readers see it: entries and positions in one batch per store. False while
    /// readers hold what would be written to; then it is to be tried again.
    pub fn commit(&mut self) -> Result<bool> {
        if !self.dirty {
            return Ok(true);
        }
        let next = |input: &GlobalInput| Some((input.partition.to_string(), input.next?));
        let positions: Vec<(String, i64)> = self.inputs.iter().filter_map(next).collect();
        let mut done = true;
        for state in self.graph.stores() {
            done &= state.commit_positions(&positions)?;
        }
        self.dirty = !done;
        Ok(done)
    }

    /// Bytes that wait for the next commit.
    pub fn uncommitted_bytes(&mut self) -> usize {
        self.graph.stores().map(|state| state.buffered_bytes()).sum()
    }

    /// How many records were dropped.
    pub fn dropped(&self) -> u64 {
        self.graph.totals().dropped
    }

    /// Closes the nodes and the stores. What was not committed is thrown away.
    pub fn close(mut self) -> Result<()> {
        let closed = self.graph.close();
        let mut result = Ok(());
        for mut state in self.graph.into_stores() {
            state.discard();
            result = result.and(state.close());
        }
        closed?;
        Ok(result?)
    }

    /// The graph, for access to the stores from outside of processing. Whoever writes to them commits.
    pub fn graph(&mut self) -> &mut Graph {
        self.dirty = true;
        &mut self.graph
    }
}

/// Where all stores agree to go on: what one of them lacks is applied to the others once more, which changes nothing,
/// because records of tables are absolute.
fn position(graph: &mut Graph, partition: &TopicPartition) -> Result<Option<i64>> {
    let name = partition.to_string();
    let mut least = None;
    for (at, state) in graph.stores().enumerate() {
        let position = state.position(&name)?;
        least = if at == 0 { position } else { least.min(position) };
    }
    Ok(least)
}

/// Global stores are not logged, and their processors have nobody to send to.
struct Nowhere;

impl Nowhere {
    fn refuse(topic: TopicName) -> OutputError {
        OutputError {
            topic,
            source: "a processor that fills a global store cannot send records".into(),
        }
    }
}

impl Output for Nowhere {
    fn topic(&mut self, _: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _: TopicId) -> std::result::Result<i32, OutputError> {
        Err(Self::refuse(TopicName::from("unknown")))
    }

    fn send(&mut self, _: OutputRecord<'_>) -> std::result::Result<(), OutputError> {
        Err(Self::refuse(TopicName::from("unknown")))
    }
}
