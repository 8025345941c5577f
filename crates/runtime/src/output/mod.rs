//! The producer as a task sees it: topics by number, records copied into batches at once.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the output of a stream thread: send, flush, transactions |
//! | `lost` | what becomes of records that could not be sent |
//! | `origin` | where sent records come from, for a production handler |
//! | `unsent` | the error of a record that was not sent |
//! | `exception` | what Java would have thrown |

mod exception;
mod lost;
mod origin;
mod unsent;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kstreams_client::{Committed, GroupMetadata, Producer, ProducerRecord, ProducerTopic};
use kstreams_store::{Output, OutputError, OutputRecord, TopicId};
use kstreams_topology::TaskId;
use kstreams_topology::graph::ProductionHandler;
use kstreams_wire::{TopicName, TopicPartition};
use tracing::debug;

use crate::config::Guarantee;
use crate::error::Error;
use lost::is_of_record;
use origin::Sending;
pub use unsent::{Consequence, Unsent};

/// How long an abort may take at the end, so that others need not wait for the transaction's time-out.
const ABORT_WAIT: Duration = Duration::from_secs(1);

/// Sends the records of all tasks of a stream thread.
pub(crate) struct ProducerOutput {
    producer: Producer,
    guarantee: Guarantee,
    /// The producer is the one of its transactional id: always so without transactions.
    begun: bool,
    topics: Vec<(TopicName, ProducerTopic)>,
    /// Who decides about records that could not be sent. Without one, nothing has to be remembered of those on their way.
    handler: Option<ProductionHandler>,
    sending: Sending,
    /// How many records of each task the handler passed over.
    dropped: BTreeMap<TaskId, u64>,
}

impl ProducerOutput {
    /// An output that sends by this producer, which has to report what it loses.
    pub(crate) fn new(producer: Producer, guarantee: Guarantee, handler: Option<ProductionHandler>) -> Self {
        Self {
            producer,
            guarantee,
            begun: guarantee == Guarantee::AtLeastOnce,
            topics: Vec::new(),
            handler,
            sending: Sending::default(),
            dropped: BTreeMap::new(),
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

    /// Commits these offsets along with what was sent.
    pub(crate) fn send_offsets(
        &mut self,
        offsets: &BTreeMap<TopicPartition, Committed>,
        group: &GroupMetadata,
    ) -> Result<(), kstreams_client::Error> {
        self.producer.send_offsets(offsets, group)
    }

    /// Commits what was sent.
    pub(crate) fn commit_transaction(&mut self) -> Result<(), kstreams_client::Error> {
        self.producer.commit_transaction()
    }

    /// Says whose records follow.
    #[inline]
    pub(crate) fn serve(&mut self, task: TaskId) {
        self.sending.task(task);
    }

    /// How many records of each task were dropped because they could not be sent.
    pub(crate) fn dropped(&self) -> &BTreeMap<TaskId, u64> {
        &self.dropped
    }

    /// Sends lingering batches, takes in acknowledgements, and decides about what was lost: once a turn.
    pub(crate) fn tick(&mut self, now: Instant) -> Result<(), Error> {
        let ticked = self.producer.tick(now);
        self.settled(ticked, "send what the tasks sent")
    }

    /// A loss says more than what it did to the producer.
    fn settled(&mut self, done: Result<(), kstreams_client::Error>, action: &str) -> Result<(), Error> {
        self.settle().map_err(Error::Unsent)?;
        done.map_err(|source| Error::Client {
            action: action.to_owned(),
            source: source.into(),
        })
    }

    /// How long the producer can be left alone.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        Some(self.producer.next_tick()?.saturating_duration_since(now))
    }

    /// Waits until everything sent so far is acknowledged, or decided about.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        loop {
            let flushed = self.producer.flush();
            self.settled(flushed, "deliver what the tasks sent")?;
            // Dead letters may have been sent for what was lost.
            if self.producer.buffered_bytes() == 0 {
                return Ok(());
            }
        }
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

    #[cold]
    fn not_appended(&mut self, record: OutputRecord<'_>, error: kstreams_client::Error) -> Result<(), OutputError> {
        let (topic, _) = self.known(record.topic);
        let decided = if is_of_record(&error) {
            self.refused(record, &error)
        } else {
            // The producer failed before, and what it lost then says why.
            match self.settle() {
                Ok(()) => return Err(Self::error(&topic, error)),
                Err(unsent) => Err(unsent),
            }
        };
        decided.map_err(|source| OutputError { topic, source })
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
        let Some((_, topic)) = self.topics.get(record.topic.0 as usize) else {
            unreachable!("topic ids are handed out by this output only");
        };
        let sent = ProducerRecord {
            key: record.key,
            value: record.value,
            timestamp: record.timestamp.unwrap_or_else(now_ms),
            headers: record.headers,
        };
        let appended = match &self.handler {
            None => self.producer.append(*topic, record.partition, sent),
            Some(_) => {
                let origin = self.sending.by(record.sender);
                self.producer.append_from(*topic, record.partition, sent, origin)
            }
        };
        match appended {
            Ok(()) => Ok(()),
            Err(error) => self.not_appended(record, error),
        }
    }

    fn origin(&mut self, origin: kstreams_store::Origin<'_>) {
        self.sending.input(origin.into());
    }
}

/// The wall clock in milliseconds, as records carry it.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
