//! Writes the input all along, by an idempotent producer that outlives restarts of the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kstreams::{Headers, TopicName};
use kstreams_client::{Error, Producer, ProducerConfig, ProducerRecord, ProducerTopic};

use super::model::{LEFT, RIGHT, is_right, partition};

/// As long as the broker may be away in all.
const PATIENCE: Duration = Duration::from_secs(600);

/// A number comes to `right` so many numbers after it came to `left`.
const RIGHT_BEHIND: u64 = 100;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(10);

/// The thread that writes.
pub struct Feed {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: JoinHandle<Result<u64, Error>>,
}

impl Feed {
    /// Begins to write so many numbers a second; the first has the timestamp `base_ms`, each other one a millisecond more.
    pub fn start(bootstrap: &str, per_second: u64, base_ms: i64) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let client = super::client(bootstrap);
        let thread = std::thread::spawn(move || {
            let mut writer = Writer::new(
                client.producer(ProducerConfig {
                    block_max: PATIENCE,
                    delivery_timeout: PATIENCE,
                    ..ProducerConfig::default()
                }),
                base_ms,
            );
            let begin = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let due = begin.elapsed().as_millis() as u64 * per_second / 1000;
                writer.write_to(due)?;
                count.store(writer.numbers, Ordering::Relaxed);
                std::thread::sleep(TICK);
            }
            writer.finish()
        });
        Self { stop, written, thread }
    }

    /// How many numbers were written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Ends, when everything is acknowledged; how many numbers there are.
    pub fn stop(self) -> Result<u64, Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the feed does not panic")
    }
}

struct Writer {
    producer: Producer,
    left: ProducerTopic,
    right: ProducerTopic,
    base_ms: i64,
    /// Written to `left`, and to `right`.
    numbers: u64,
    right_numbers: u64,
}

impl Writer {
    fn new(mut producer: Producer, base_ms: i64) -> Self {
        Self {
            left: producer.topic(&TopicName::from(LEFT)),
            right: producer.topic(&TopicName::from(RIGHT)),
            producer,
            base_ms,
            numbers: 0,
            right_numbers: 0,
        }
    }

    fn write_to(&mut self, due: u64) -> Result<(), Error> {
        while self.numbers < due {
            self.send(self.left, self.numbers)?;
            self.numbers += 1;
        }
        self.write_right_to(self.numbers.saturating_sub(RIGHT_BEHIND))?;
        self.producer.tick(Instant::now())
    }

    fn write_right_to(&mut self, end: u64) -> Result<(), Error> {
        while self.right_numbers < end {
            if is_right(self.right_numbers) {
                self.send(self.right, self.right_numbers)?;
            }
            self.right_numbers += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<u64, Error> {
        self.write_right_to(self.numbers)?;
        self.producer.flush()?;
        Ok(self.numbers)
    }

    fn send(&mut self, topic: ProducerTopic, number: u64) -> Result<(), Error> {
        let text = number.to_string();
        let record = ProducerRecord {
            key: Some(text.as_bytes()),
            value: Some(text.as_bytes()),
            timestamp: self.base_ms + number as i64,
            headers: &Headers::new(),
        };
        self.producer.append(topic, Some(partition(number)), record)
    }
}
