//! Where a task's records go: sinks and changelogs write to an [`Output`].

use kstreams_wire::batch::RawRecord;
use kstreams_wire::{Headers, TopicName};

use crate::context::RecordContext;

/// A topic known to an [`Output`], resolved once so that no record needs its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub u32);

/// A record on its way out: borrowed, because the output copies it into a batch at once.
#[derive(Clone, Copy, Debug)]
pub struct OutputRecord<'a> {
    /// The topic, from [`Output::topic`].
    pub topic: TopicId,
    /// The partition; `None` leaves the choice to the producer: the key's hash, or a sticky one without a key.
    pub partition: Option<i32>,
    /// The serialised key.
    pub key: Option<&'a [u8]>,
    /// The serialised value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds; `None` lets the producer take its clock.
    pub timestamp: Option<i64>,
    /// The headers.
    pub headers: &'a Headers,
    /// Who sends it: the name of a sink or processor, or of the store whose changelog it is for.
    pub sender: &'a str,
}

/// The input record that records are sent for.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Where it came from.
    pub record: &'a RecordContext,
    /// Itself, undecoded. `None` where none is being processed: in punctuations, in commits, and for records that waited in
    /// a cache.
    pub raw: Option<&'a RawRecord<'a>>,
}

/// Why an [`Output`] took no record.
#[derive(Debug, thiserror::Error)]
#[error("could not send to topic {topic}")]
pub struct OutputError {
    /// The topic's name.
    pub topic: TopicName,
    /// What the producer said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Takes the records that a task sends, in order. The runtime's is a producer, the test driver's a list.
pub trait Output {
    /// The id under which records of this topic are sent. Call it once, not per record.
    fn topic(&mut self, name: &TopicName) -> TopicId;

    /// The topic's number of partitions; waits for metadata where it has to.
    fn partitions(&mut self, topic: TopicId) -> Result<i32, OutputError>;

    /// Takes one record. An error of an earlier, asynchronous send may surface here.
    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError>;

    /// Says where all records come from that are sent until the next call. Only tasks with a handler for what cannot be
    /// sent say so.
    fn origin(&mut self, origin: Origin<'_>) {
        let _ = origin;
    }
}
