//! A task over `in -> out`, batches for it, and an output that remembers.

use bytes::Bytes;
use kstreams_store::{CacheBudget, Output, OutputError, OutputRecord, Storage, TopicId};
use kstreams_task::{ActiveTask, Input, TaskConfig};
use kstreams_topology::blueprint::{GraphScope, TaskEnvironment};
use kstreams_topology::graph::ErrorHandlers;
use kstreams_topology::{Consumed, Produced, TaskId, Topology};
use kstreams_wire::batch::{Batch, BatchBuilder, ProducerStamp, Records, stamp};
use kstreams_wire::compression::Compression;
use kstreams_wire::{Headers, TopicName, TopicPartition};

pub(crate) const TASK: TaskId = TaskId::new(0, 1);

/// Remembers what was sent, as `topic value@timestamp`.
#[derive(Default)]
pub(crate) struct Sent {
    topics: Vec<TopicName>,
    lines: Vec<String>,
}

impl Sent {
    /// What was sent since the last look.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

impl Output for Sent {
    fn topic(&mut self, name: &TopicName) -> TopicId {
        self.topics.push(name.clone());
        TopicId(u32::try_from(self.topics.len() - 1).expect("a test has few topics"))
    }

    fn partitions(&mut self, _: TopicId) -> Result<i32, OutputError> {
        Ok(4)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        let topic = self
            .topics
            .get(record.topic.0 as usize)
            .expect("ids come from this output");
        let value = String::from_utf8_lossy(record.value.unwrap_or(b"null")).into_owned();
        self.lines
            .push(format!("{topic} {value}@{}", record.timestamp.unwrap_or(-1)));
        Ok(())
    }
}

/// Records of these values and timestamps, from this offset on.
pub(crate) fn batch(offset: i64, records: &[(&str, i64)]) -> Vec<Records> {
    let mut builder = BatchBuilder::new(Compression::None);
    for (value, timestamp) in records {
        builder
            .append(*timestamp, Some(b"k"), Some(value.as_bytes()), &Headers::new())
            .expect("the record is small");
    }
    let mut bytes = Vec::from(builder.finish(ProducerStamp::NONE).expect("the batch is small"));
    stamp::place(&mut bytes, offset, -1).expect("it is a batch");
    let batch = Batch::new(Bytes::from(bytes)).expect("it is a batch");
    vec![batch.into_records().expect("it is not compressed")]
}

pub(crate) fn partition(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, TASK.partition)
}

/// Copies strings from these topics to `out`.
pub(crate) fn copying(topics: &[&str]) -> Topology {
    let topics: Vec<String> = topics.iter().map(ToString::to_string).collect();
    let mut topology = Topology::new();
    topology
        .add_source("source", topics, Consumed::<String, String>::default())
        .and_then(|topology| topology.add_sink("sink", "out", Produced::<String, String>::default(), &["source"]))
        .expect("the topology is valid");
    topology
}

pub(crate) fn created(topology: &Topology, config: TaskConfig, storage: &Storage) -> ActiveTask {
    let parts = topology.subtopologies("app");
    let cache = CacheBudget::new(0);
    let environment = TaskEnvironment {
        task: TASK,
        application_id: "app",
        handlers: ErrorHandlers::log_and_continue(),
        emit_interval_ms: 0,
        read_global: &mut |spec| panic!("store {} is not global", spec.name),
        open_store: &mut |spec, changelog| storage.state(spec, &TASK.to_string(), changelog, &cache),
    };
    let graph = topology
        .build_graph(GraphScope::Subtopology(0), environment)
        .expect("the graph can be built");
    let inputs: Vec<TopicPartition> = parts.source_topics().iter().map(|topic| partition(topic)).collect();
    ActiveTask::new(TASK, graph, &inputs, config).expect("the inputs are those of the topology")
}

/// Brings a task to where it processes, with nothing committed.
pub(crate) fn run(task: &mut ActiveTask, sent: &mut Sent) {
    let inputs: Vec<Input> = task.inputs().cloned().map(uncommitted).collect();
    task.start_restoring().expect("it was created or suspended");
    task.complete_restoration(&inputs, 0, sent).expect("nothing fails");
}

fn uncommitted(partition: TopicPartition) -> Input {
    Input {
        partition,
        offset: None,
        metadata: String::new(),
    }
}

pub(crate) fn running(topics: &[&str], config: TaskConfig) -> (ActiveTask, Sent) {
    let mut sent = Sent::default();
    let mut task = created(&copying(topics), config, &Storage::in_memory());
    run(&mut task, &mut sent);
    (task, sent)
}
