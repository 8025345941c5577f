//! What a record costs between its batch and its output: the inbox, the graph, and a store.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kstreams_store::{CacheBudget, Output, OutputError, OutputRecord, Storage, TopicId};
use kstreams_task::{ActiveTask, Input, TaskConfig};
use kstreams_topology::blueprint::{GraphScope, TaskEnvironment};
use kstreams_topology::graph::ErrorHandlers;
use kstreams_topology::processor::{Context, Processor};
use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
use kstreams_topology::{BoxError, Consumed, Produced, Record, TaskId, Topology};
use kstreams_wire::batch::{Batch, BatchBuilder, ProducerStamp, Records};
use kstreams_wire::compression::Compression;
use kstreams_wire::{Headers, TopicName, TopicPartition};

const RECORDS: u32 = 10_000;
const TASK: TaskId = TaskId::new(0, 0);

/// Takes records and forgets them.
struct Nowhere;

impl Output for Nowhere {
    fn topic(&mut self, _: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        black_box(record);
        Ok(())
    }
}

/// A batch of records with 1,000 different keys of 8 bytes and values of 8 bytes.
fn batch() -> Result<Records, kstreams_wire::Error> {
    let mut builder = BatchBuilder::new(Compression::None);
    for at in 0..RECORDS {
        let key = format!("key{:05}", at * 7919 % 1000);
        builder.append(i64::from(at), Some(key.as_bytes()), Some(&[0; 8]), &Headers::new())?;
    }
    Batch::new(builder.finish(ProducerStamp::NONE)?)?.into_records()
}

fn task(topology: &Topology, topics: &[&str]) -> Result<ActiveTask, BoxError> {
    let storage = Storage::in_memory();
    let cache = CacheBudget::new(0);
    let graph = topology.build_graph(
        GraphScope::All,
        TaskEnvironment {
            task: TASK,
            application_id: "bench",
            handlers: ErrorHandlers::default(),
            emit_interval_ms: 0,
            read_global: &mut |spec| panic!("store {} is not global", spec.name),
            open_store: &mut |spec, changelog| storage.state(spec, "0_0", changelog, &cache),
        },
    )?;
    let inputs: Vec<TopicPartition> = topics.iter().map(|topic| TopicPartition::new(*topic, 0)).collect();
    let mut task = ActiveTask::new(TASK, graph, &inputs, TaskConfig::default())?;
    task.start_restoring()?;
    let inputs = inputs.into_iter().map(|partition| Input {
        partition,
        offset: None,
        metadata: String::new(),
    });
    task.complete_restoration(&inputs.collect::<Vec<_>>(), 0, &mut Nowhere)?;
    Ok(task)
}

fn measure(criterion: &mut Criterion, name: &str, topology: &Topology, topics: &[&str]) {
    let mut task = task(topology, topics).expect("the topology can be run");
    let batch = batch().expect("the batch can be built");
    let partitions: Vec<TopicPartition> = topics.iter().map(|topic| TopicPartition::new(*topic, 0)).collect();
    let records = u64::from(RECORDS) * partitions.len() as u64;
    let mut group = criterion.benchmark_group("task");
    group.throughput(Throughput::Elements(records));
    group.bench_function(name, |bencher| {
        bencher.iter_batched(
            || batch.clone(),
            |batch| {
                for partition in &partitions {
                    task.add_records(partition, vec![batch.clone()], i64::from(RECORDS))
                        .expect("an input");
                    task.set_lag(partition, Some(0)).expect("an input");
                }
                let done = task.process(usize::MAX, 0, &mut Nowhere).expect("nothing fails");
                assert_eq!(done as u64, records);
                task.prepare_commit(&mut Nowhere).expect("nothing fails");
                task.post_commit(|_| None).expect("nothing fails");
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn pipe(topics: &[&str]) -> Result<Topology, BoxError> {
    let mut topology = Topology::new();
    let topics: Vec<String> = topics.iter().map(ToString::to_string).collect();
    topology
        .add_source("source", topics, Consumed::<Bytes, Bytes>::default())?
        .add_sink("sink", "out", Produced::<Bytes, Bytes>::default(), &["source"])?;
    Ok(topology)
}

struct Count(StoreHandle<KeyValueStore<String, i64>>);

impl Processor for Count {
    type KIn = String;
    type VIn = i64;
    type KOut = String;
    type VOut = i64;

    fn stores(&self) -> Vec<StoreId> {
        vec![self.0.id()]
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Record<String, i64>) -> Result<(), BoxError> {
        let mut store = cx.store(self.0);
        let count = store.get(&record.key)?.unwrap_or(0) + 1;
        store.put(&record.key, &count)?;
        Ok(cx.forward(record.with_value(count))?)
    }
}

fn count() -> Result<Topology, BoxError> {
    let mut topology = Topology::new();
    let counts = topology.add_store(Stores::in_memory("counts").key_value())?;
    topology
        .add_source("source", "a", Consumed::<String, i64>::default())?
        .add_processor("count", move || Count(counts), &["source"])?
        .add_sink("sink", "out", Produced::<String, i64>::default(), &["count"])?;
    Ok(topology)
}

fn benches(criterion: &mut Criterion) {
    measure(criterion, "pipe", &pipe(&["a"]).expect("valid"), &["a"]);
    measure(
        criterion,
        "pipe_of_two_topics",
        &pipe(&["a", "b"]).expect("valid"),
        &["a", "b"],
    );
    measure(criterion, "count", &count().expect("valid"), &["a"]);
}

criterion_group!(inbox, benches);
criterion_main!(inbox);
