//! A reader of what is committed that never stops: whether every output partition still moves, and what it has seen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kstreams::TopicPartition;
use kstreams_client::consume::Isolation;
use kstreams_client::{Client, Consumer, ConsumerConfig, ConsumerEvent, Start};

use super::model::{OUTPUTS, PARTITIONS, Values};
use super::outputs::{partitions, text};

/// The thread that reads.
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<()>,
}

/// How many records each output partition has.
pub type Counts = BTreeMap<TopicPartition, u64>;

/// What was seen.
pub struct Seen {
    /// By topic, as in [`OUTPUTS`].
    pub values: BTreeMap<String, Values>,
    /// When each partition had a record for the last time, and how many it had by then.
    moved: BTreeMap<TopicPartition, (Instant, u64)>,
    /// The longest time that a partition went without a record.
    pub longest_stall: Duration,
    /// What went wrong with the reading.
    pub failures: Vec<String>,
}

impl Watch {
    /// Begins to read.
    pub fn start(client: &Client) -> Self {
        let all: Vec<TopicPartition> = OUTPUTS.iter().flat_map(|topic| partitions(topic, PARTITIONS)).collect();
        let begin = Instant::now();
        let seen = Arc::new(Mutex::new(Seen {
            values: BTreeMap::new(),
            moved: all.iter().map(|partition| (partition.clone(), (begin, 0))).collect(),
            longest_stall: Duration::ZERO,
            failures: Vec::new(),
        }));
        let mut consumer = client.consumer(ConsumerConfig {
            isolation: Isolation::ReadCommitted,
            ..ConsumerConfig::default()
        });
        let starts: Vec<_> = all.into_iter().map(|partition| (partition, Start::Beginning)).collect();
        consumer.assign(&starts);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                take(&mut consumer, &shared);
            }
        });
        Self { stop, seen, thread }
    }

    /// How many records each output partition has.
    pub fn counts(&self) -> Counts {
        let seen = self.seen();
        seen.moved
            .iter()
            .map(|(partition, (_, count))| (partition.clone(), *count))
            .collect()
    }

    /// How many records there are in all.
    pub fn total(&self) -> u64 {
        self.counts().values().sum()
    }

    /// The partition that has gone without a record for the longest time, and how long.
    pub fn stalled(&self) -> (TopicPartition, Duration) {
        let seen = self.seen();
        let oldest = seen.moved.iter().min_by_key(|(_, (at, _))| *at);
        let (partition, (at, _)) = oldest.expect("there are output partitions");
        (partition.clone(), at.elapsed())
    }

    /// Ends the reading.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the reader does not panic");
        let seen = Arc::into_inner(self.seen).expect("the reader has ended");
        seen.into_inner().expect("the reader does not panic")
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("the reader does not panic")
    }
}

fn take(consumer: &mut Consumer, seen: &Mutex<Seen>) {
    let events = consumer.poll(Duration::from_millis(50));
    let mut seen = seen.lock().expect("nobody panics with it");
    for event in events {
        match event {
            ConsumerEvent::Fetched { partition, records, .. } => {
                for mut batch in records {
                    while let Some(record) = batch.next().expect("a good batch") {
                        let (key, value) = (text(record.key), text(record.value));
                        seen.note(&partition, key, value);
                    }
                }
            }
            other => seen.failures.push(format!("{other:?}")),
        }
    }
}

impl Seen {
    fn note(&mut self, partition: &TopicPartition, key: String, value: String) {
        let values = self.values.entry(partition.topic.to_string()).or_default();
        values.entry(key).or_default().push(value);
        if let Some((at, count)) = self.moved.get_mut(partition) {
            let now = Instant::now();
            self.longest_stall = self.longest_stall.max(now - *at);
            *at = now;
            *count += 1;
        }
    }
}
