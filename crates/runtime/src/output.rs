//! The producer as a task sees it: topics by number, records copied into batches at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kstreams_client::{Committed, GroupMetadata, Producer, ProducerRecord, ProducerTopic};
use kstreams_store::{Output, OutputError, OutputRecord, TopicId};
use kstreams_wire::{TopicName, TopicPartition};
use tracing::debug;

use crate::config::Guarantee;

/// How long an abort may take at the end, so that others need not wait for the transaction's time-out.
const ABORT_WAIT: Duration = Duration::from_secs(1);

/// Sends the records of all tasks of a stream thread.
pub(crate) struct ProducerOutput {
    producer: Producer,
    guarantee: Guarantee,
    /// The producer is the one of its transactional id: always so without transactions.
    begun: bool,
    topics: Vec<(TopicName, ProducerTopic)>,
}

impl ProducerOutput {
    pub(crate) fn new(producer: Producer, guarantee: Guarantee) -> Self {
        Self {
            producer,
            guarantee,
            begun: guarantee == Guarantee::AtLeastOnce,
            topics: Vec::new(),
        }
    }

    pub(crate) fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    /// Whether nothing stands in the way of writing.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Makes sure that nobody else writes under this producer's transactional id, and that what was open there is ended.
    /// Nothing to do but once, and after failures.
    pub(crate) fn begin(&mut self) -> Result<(), kstreams_client::Error> {
        if !self.begun {
            self.producer.init_transactions()?;
            self.begun = true;
        }
        Ok(())
    }

    /// Commits what was sent, and these offsets along with it.
    pub(crate) fn commit_transaction(
        &mut self,
        offsets: &BTreeMap<TopicPartition, Committed>,
        group: Result<GroupMetadata, kstreams_client::Error>,
    ) -> Result<(), kstreams_client::Error> {
        if !offsets.is_empty() {
            self.producer.send_offsets(offsets, &group?)?;
        }
        self.producer.commit_transaction()
    }

    /// Sends lingering batches and takes in acknowledgements: once a turn.
    pub(crate) fn tick(&mut self, now: Instant) -> Result<(), kstreams_client::Error> {
        self.producer.tick(now)
    }

    /// How long the producer can be left alone.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        Some(self.producer.next_tick()?.saturating_duration_since(now))
    }

    /// Waits until everything sent so far is acknowledged.
    pub(crate) fn flush(&mut self) -> Result<(), kstreams_client::Error> {
        self.producer.flush()
    }

    /// The highest offset acknowledged for a partition that this thread wrote to.
    pub(crate) fn acked_offset(&mut self, partition: &TopicPartition) -> Option<i64> {
        let (_, topic) = self.topics.iter().find(|(name, _)| *name == partition.topic)?;
        self.producer.acked_offset(*topic, partition.partition)
    }

    /// Gives up what is not committed, after an error.
    pub(crate) fn reset(&mut self) {
        if self.guarantee == Guarantee::AtLeastOnce {
            return self.producer.forget_failure();
        }
        if let Err(error) = self.producer.abort_transaction() {
            debug!(%error, "the transaction could not be aborted: the producer begins anew");
            self.begun = false;
        }
    }

    /// Ends the producer, leaving it this much time for what it still has. What is not committed is aborted.
    pub(crate) fn close(mut self, timeout: Duration) -> Result<(), kstreams_client::Error> {
        if self.producer.in_transaction() {
            return self.producer.abort_within(timeout.max(ABORT_WAIT));
        }
        self.producer.close(timeout)
    }

    fn known(&self, topic: TopicId) -> (TopicName, ProducerTopic) {
        self.topics
            .get(topic.0 as usize)
            .cloned()
            .expect("topic ids are handed out by this output only")
    }

    fn error(topic: &TopicName, source: kstreams_client::Error) -> OutputError {
        OutputError {
            topic: topic.clone(),
            source: Box::new(source),
        }
    }
}

impl Output for ProducerOutput {
    fn topic(&mut self, name: &TopicName) -> TopicId {
        let at = self
            .topics
            .iter()
            .position(|(known, _)| known == name)
            .unwrap_or_else(|| {
                let topic = self.producer.topic(name);
                self.topics.push((name.clone(), topic));
                self.topics.len() - 1
            });
        TopicId(at as u32)
    }

    fn partitions(&mut self, topic: TopicId) -> Result<i32, OutputError> {
        let (name, topic) = self.known(topic);
        self.producer
            .partitions(topic)
            .map_err(|error| Self::error(&name, error))
    }

    #[inline]
    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        let Some((name, topic)) = self.topics.get(record.topic.0 as usize) else {
            unreachable!("topic ids are handed out by this output only");
        };
        let sent = ProducerRecord {
            key: record.key,
            value: record.value,
            timestamp: record.timestamp.unwrap_or_else(now_ms),
            headers: record.headers,
        };
        self.producer
            .append(*topic, record.partition, sent)
            .map_err(|error| Self::error(name, error))
    }
}

/// The wall clock in milliseconds, as records carry it.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
