//! Batches out: a producer owned by one thread, emptied by a sender on the I/O thread.
//!
//! | file | what |
//! |---|---|
//! | `mod` | [`Producer`]: append, seal, collect acknowledgements |
//! | `settle` | waiting for acknowledgements: flush, room in the buffer |
//! | `accumulator` | the open batch of each partition |
//! | `batch` | a sealed batch on its way |
//! | `queue` | a partition's batches on their way: order, sequences, retries |
//! | `sender` | the I/O side: requests to brokers |
//! | `outcome` | what becomes of the answers |
//! | `lost` | what could not be written, handed back |
//! | `request` | Produce and InitProducerId |
//! | `transaction/` | writing in transactions |

mod accumulator;
mod batch;
mod config;
mod lost;
mod outcome;
mod queue;
mod request;
mod sender;
mod settle;
mod transaction;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kstreams_wire::batch::BatchBuilder;
use kstreams_wire::partition::partition_for_key;
use kstreams_wire::{Headers, TopicName, TopicPartition};
use rustc_hash::FxBuildHasher;
use tokio::sync::{mpsc, watch};

pub use config::{Acks, ProducerConfig, TransactionalConfig};
pub use lost::{Fate, Lost, LostRecord, OnLoss, Origin, UNEXPLAINED};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::mailbox::Mailbox;
use crate::network::{self, sleep, timeout};
use accumulator::{Partition, Topic};
use batch::{Place, Sealed};
use queue::Identity;
use sender::{Command, Sender};
use transaction::Transactions;

/// Sealed batches cross to the I/O thread together when there are as many bytes, or when the owner ticks.
const CROSS_BYTES: usize = 64 * 1024;
/// How much larger than `batch.size` a batch may become while its partition's earlier ones wait for their answers.
const BACKLOG_GROWTH: usize = 8;
/// What a batch adds to its records.
const BATCH_OVERHEAD_BYTES: usize = kstreams_wire::batch::HEADER_BYTES;

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
/// The first failed delivery stays: every later call gives it again until [`Producer::forget_failure`]. An owner that wants
/// to decide about every record asks for [`OnLoss::Report`], and looks at [`Producer::take_lost`] after each call.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    config: ProducerConfig,
    topics: Vec<Topic>,
    numbers: HashMap<TopicName, u32, FxBuildHasher>,
    /// The partitions with an open batch, in the order of their opening.
    open: Vec<Place>,
    outbox: Vec<Sealed>,
    outbox_bytes: usize,
    buffered_bytes: usize,
    unacked_batches: usize,
    identity: Option<Identity>,
    transactions: Option<Transactions>,
    failure: Option<Error>,
    lost: Vec<Lost>,
    commands: mpsc::UnboundedSender<Command>,
    mailbox: Mailbox<Letter>,
    letters: Vec<Letter>,
    metadata: watch::Receiver<u64>,
}

/// What the I/O side has to say.
#[derive(Debug)]
enum Letter {
    Identity(Identity),
    Acked(Vec<Ack>),
    /// A batch became two.
    Split,
    /// Batches were lost, and what they take of the buffer is free again.
    Failed {
        error: Error,
        charged_bytes: Vec<usize>,
    },
    /// Records were lost, and the others go on. With the batch's end its partition has one less on its way.
    Lost {
        place: Place,
        lost: Vec<Lost>,
        charged_bytes: usize,
        ended: bool,
    },
    /// Batches were given up because of an earlier failure.
    Dropped(Vec<usize>),
}

#[derive(Debug)]
struct Ack {
    batch: Sealed,
    last_offset: Option<i64>,
}

impl Producer {
    pub(crate) fn new(client: Client, config: ProducerConfig) -> Self {
        let mailbox = Mailbox::new();
        let commands = start(&client, &config, &mailbox);
        let transactions = config.transactional.clone().map(Transactions::new);
        let metadata = client.cluster().metadata_received();
        Self {
            metadata,
            client,
            config,
            topics: Vec::new(),
            numbers: HashMap::default(),
            open: Vec::new(),
            outbox: Vec::new(),
            outbox_bytes: 0,
            buffered_bytes: 0,
            unacked_batches: 0,
            identity: None,
            transactions,
            failure: None,
            lost: Vec::new(),
            commands,
            mailbox,
            letters: Vec::new(),
        }
    }

    /// The handle of a topic; asks for its metadata ahead.
    pub fn topic(&mut self, name: &TopicName) -> ProducerTopic {
        if let Some(number) = self.numbers.get(name) {
            return ProducerTopic(*number);
        }
        self.client.cluster().allow_creation(name);
        self.client.cluster().add_interest(name);
        let number = u32::try_from(self.topics.len()).unwrap_or(u32::MAX);
        self.topics.push(Topic::new(name.clone()));
        self.numbers.insert(name.clone(), number);
        self.command(Command::Topic(name.clone()));
        ProducerTopic(number)
    }

    /// How many partitions the topic has. Waits for metadata up to `max.block.ms`.
    pub fn partitions(&mut self, topic: ProducerTopic) -> Result<i32> {
        let known = self.known(topic)?.partitions.len();
        if known > 0 {
            return Ok(i32::try_from(known).unwrap_or(i32::MAX));
        }
        let name = self.known(topic)?.name.clone();
        let (cluster, limit) = (self.client.cluster().clone(), self.config.block_max);
        let what = format!("metadata of topic {name}");
        let look_up = async move { look_up(&cluster, &name, limit).await };
        // The look-up minds its own time, so that it can say what stood in the way.
        let partitions = self.client.io().run(&what, limit + Duration::from_secs(1), look_up)?;
        if let Some(known) = self.topics.get_mut(topic.0 as usize) {
            known.widen(topic.0, partitions);
        }
        Ok(partitions)
    }

    /// Appends a record. Without a partition the key decides as in Java (murmur2); without a key, too, batches of the
    /// topic's partitions are filled one after the other. Waits up to `max.block.ms` for metadata and for room.
    ///
    /// A record that is refused here leaves no trace: the producer goes on, and so does its transaction.
    #[inline]
    pub fn append(&mut self, topic: ProducerTopic, partition: Option<i32>, record: ProducerRecord<'_>) -> Result<()> {
        self.append_to(topic, partition, record).map(|_| ())
    }

    /// Appends a record and remembers where it came from, to tell if it is lost.
    pub fn append_from(
        &mut self,
        topic: ProducerTopic,
        partition: Option<i32>,
        record: ProducerRecord<'_>,
        origin: Origin,
    ) -> Result<()> {
        let place = self.append_to(topic, partition, record)?;
        let slot = self.slot(place).ok_or(Error::Closed)?;
        slot.came_from(origin);
        Ok(())
    }

    #[inline]
    fn append_to(&mut self, topic: ProducerTopic, partition: Option<i32>, record: ProducerRecord<'_>) -> Result<Place> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let place = self.place(topic, partition, record.key)?;
        let bytes = BatchBuilder::record_bytes_max(record.key, record.value, record.headers);
        let limit = self.config.request_bytes_max;
        if bytes + BATCH_OVERHEAD_BYTES > limit || bytes > self.config.buffer_bytes {
            let size = bytes + BATCH_OVERHEAD_BYTES;
            return Err(Error::RecordTooLarge {
                partition: self.partition_name(place),
                size,
                limit,
            });
        }
        if self.buffered_bytes + bytes > self.config.buffer_bytes {
            self.make_room(bytes)?;
        }
        // Not before it is sure that something will be written: a transaction with nothing in it could not be committed.
        if let Some(transactions) = &mut self.transactions {
            transactions.machine.open()?;
        }
        let (batch_bytes, in_flight_max) = (self.config.batch_bytes, self.config.in_flight_max);
        let slot = self.slot(place).ok_or(Error::Closed)?;
        // Another batch could not leave before one of these comes back: then few large ones are cheaper than many.
        let backlog = slot.unacked_batches() >= in_flight_max;
        let aim_bytes = if backlog {
            (batch_bytes * BACKLOG_GROWTH).min(limit / 2)
        } else {
            batch_bytes
        };
        if slot.opened().is_some() && slot.size() + bytes > aim_bytes.max(batch_bytes) {
            self.seal(place)?;
        }
        let codec = self.config.codec;
        let slot = self.slot(place).ok_or(Error::Closed)?;
        let added = slot.append(&record, codec)?;
        if slot.opened().is_none() {
            slot.open(network::Instant::now());
            self.open.push(place);
        }
        self.buffered_bytes += added;
        Ok(place)
    }

    /// Sends batches that have waited for `linger.ms`, and collects acknowledgements. Call it once a turn.
    pub fn tick(&mut self, now: Instant) -> Result<()> {
        let due = |opened: Instant, linger| now.saturating_duration_since(opened) >= linger;
        // In the order of their opening: who comes first is due first.
        while let Some(place) = self.open.first().copied() {
            let opened = self
                .slot(place)
                .and_then(|slot| slot.opened())
                .map(network::Instant::into_std);
            if opened.is_some_and(|opened| !due(opened, self.config.linger)) {
                break;
            }
            self.seal(place)?;
        }
        self.cross();
        self.collect();
        if self.metadata.has_changed().unwrap_or(false) {
            self.metadata.mark_unchanged();
            self.widen();
        }
        self.check()
    }

    /// When [`Producer::tick`] next has a batch to send, if one is open.
    pub fn next_tick(&self) -> Option<Instant> {
        let first = self.open.first()?;
        let partitions = &self.topics.get(first.topic as usize)?.partitions;
        let opened = partitions.get(usize::try_from(first.partition).ok()?)?.opened()?;
        Some(opened.into_std() + self.config.linger)
    }

    /// The highest acknowledged offset of a partition, of what this producer wrote.
    pub fn acked_offset(&mut self, topic: ProducerTopic, partition: i32) -> Option<i64> {
        self.collect();
        self.slot(Place {
            topic: topic.0,
            partition,
        })?
        .acked_offset()
    }

    /// What is appended and not acknowledged, in bytes.
    pub fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// What was lost since the last call. There is something only for an owner that asked for [`OnLoss::Report`]; a
    /// transaction does not commit before its losses were taken.
    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Gives up what is not acknowledged and forgets the failure, so that the producer is of use again: as another
    /// producer, to the brokers. A transactional producer [aborts](Producer::abort_transaction) instead.
    pub fn forget_failure(&mut self) {
        if let (Some(transactions), Some(failure)) = (&mut self.transactions, &self.failure) {
            transactions.machine.doom(failure);
        }
        self.restart();
    }

    /// Gives up what is not acknowledged.
    fn restart(&mut self) {
        self.mailbox = Mailbox::new();
        self.commands = start(&self.client, &self.config, &self.mailbox);
        for topic in &mut self.topics {
            topic.partitions.iter_mut().for_each(Partition::clear);
            // The new sender gets the topics in the order of their numbers.
            let _ = self.commands.send(Command::Topic(topic.name.clone()));
        }
        self.open.clear();
        self.outbox.clear();
        self.outbox_bytes = 0;
        self.buffered_bytes = 0;
        self.unacked_batches = 0;
        self.identity = None;
        self.failure = None;
        self.lost.clear();
    }

    /// Flushes within `timeout`, then ends. What is not acknowledged by then is given up.
    pub fn close(mut self, timeout: Duration) -> Result<()> {
        self.flush_within(timeout)
    }

    /// Topics may have got more partitions.
    fn widen(&mut self) {
        let cluster = self.client.cluster();
        for (number, topic) in (0..)
            .zip(&mut self.topics)
            .filter(|(_, topic)| !topic.partitions.is_empty())
        {
            if let Some(known) = cluster.known_topic(&topic.name).filter(|known| known.code.is_ok()) {
                topic.widen(number, i32::try_from(known.leaders.len()).unwrap_or(i32::MAX));
            }
        }
    }

    fn known(&self, topic: ProducerTopic) -> Result<&Topic> {
        self.topics.get(topic.0 as usize).ok_or(Error::Closed)
    }

    #[inline]
    fn slot(&mut self, place: Place) -> Option<&mut Partition> {
        self.topics
            .get_mut(place.topic as usize)?
            .partitions
            .get_mut(usize::try_from(place.partition).ok()?)
    }

    #[inline]
    fn place(&mut self, topic: ProducerTopic, partition: Option<i32>, key: Option<&[u8]>) -> Result<Place> {
        let count = match self.known(topic)?.partitions.len() {
            0 => self.partitions(topic)?,
            known => i32::try_from(known).unwrap_or(i32::MAX),
        };
        let partition = match (partition, key) {
            (Some(partition), _) if (0..count).contains(&partition) => partition,
            (Some(partition), _) => return Err(self.no_such(topic, partition, count)),
            (None, Some(key)) => partition_for_key(key, count),
            (None, None) => i32::try_from(self.known(topic)?.sticky).unwrap_or(0) % count.max(1),
        };
        Ok(Place {
            topic: topic.0,
            partition,
        })
    }

    #[cold]
    fn no_such(&self, topic: ProducerTopic, partition: i32, partitions: i32) -> Error {
        let place = Place {
            topic: topic.0,
            partition,
        };
        Error::NoSuchPartition {
            partition: self.partition_name(place),
            partitions,
        }
    }

    fn partition_name(&self, place: Place) -> TopicPartition {
        let topic = self
            .topics
            .get(place.topic as usize)
            .expect("places are made from known topics");
        TopicPartition {
            topic: topic.name.clone(),
            partition: place.partition,
        }
    }

    fn seal(&mut self, place: Place) -> Result<()> {
        self.open.retain(|open| *open != place);
        let (identity, transactional) = (self.identity, self.transactions.is_some());
        let Some(slot) = self.slot(place) else { return Ok(()) };
        let open_bytes = slot.open_bytes();
        let sealed = slot.seal(identity, transactional)?;
        self.buffered_bytes -= open_bytes;
        if let Some(sealed) = sealed {
            self.buffered_bytes += sealed.charged_bytes;
            self.outbox_bytes += sealed.charged_bytes;
            self.unacked_batches += 1;
            self.outbox.push(sealed);
        }
        if let Some(topic) = self.topics.get_mut(place.topic as usize) {
            topic.sticky = (topic.sticky + 1) % topic.partitions.len().max(1);
        }
        if self.outbox_bytes >= CROSS_BYTES {
            self.cross();
        }
        Ok(())
    }

    fn seal_all(&mut self) -> Result<()> {
        while let Some(place) = self.open.first().copied() {
            self.seal(place)?;
        }
        self.cross();
        Ok(())
    }

    fn cross(&mut self) {
        if !self.outbox.is_empty() {
            self.outbox_bytes = 0;
            let batches = std::mem::take(&mut self.outbox);
            self.command(Command::Send(batches));
        }
    }

    fn command(&self, command: Command) {
        // The sender ends only with the I/O thread; then flushing says that nothing is acknowledged.
        let _ = self.commands.send(command);
    }
}

fn start(client: &Client, config: &ProducerConfig, mailbox: &Mailbox<Letter>) -> mpsc::UnboundedSender<Command> {
    let (commands, received) = mpsc::unbounded_channel();
    let sender = Sender::new(client.cluster().separate(), config.clone(), mailbox.clone());
    client.io().spawn(sender.run(received));
    commands
}

/// The number of a topic's partitions; a topic that is not there may still come into being.
async fn look_up(cluster: &Cluster, topic: &TopicName, limit: Duration) -> Result<i32> {
    let mut obstacle = None;
    let found = timeout(limit, async {
        let mut backoff = cluster.backoff();
        loop {
            match cluster.partitions(topic).await {
                Err(error) if error.is_retriable() => obstacle = Some(error),
                result => return result,
            }
            sleep(backoff.failed()).await;
        }
    });
    if let Ok(result) = found.await {
        return result;
    }
    let what = format!("metadata of topic {topic}");
    Err(Error::Timeout {
        what,
        waited: limit,
        source: obstacle.map(Box::new),
    })
}
