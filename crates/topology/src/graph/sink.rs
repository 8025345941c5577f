//! The nodes through which records leave: typed records become bytes for a topic.

use std::sync::Arc;

use kstreams_store::{OutputRecord, RecordContext, TopicId};
use kstreams_wire::TopicName;
use kstreams_wire::partition::partition_for_key;

use super::ask::Unserialized;
use super::{Input, Node, NodeContext, Part};
use crate::error::{Error, Result};
use crate::panic::guarded;
use crate::record::{Nullable, Record};
use crate::serde::{Serde, SerdeError};

/// Where a sink sends a record.
pub enum SinkTopic<K, V> {
    /// Always to this topic.
    Static(TopicName),
    /// To the topic that the closure names.
    Dynamic(DynamicTopic<K, V>),
}

/// A closure that names the topic of a record.
pub type DynamicTopic<K, V> = Arc<dyn Fn(&K, &V, &RecordContext) -> String + Send + Sync>;

impl<K, V> Clone for SinkTopic<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Static(topic) => Self::Static(topic.clone()),
            Self::Dynamic(choose) => Self::Dynamic(choose.clone()),
        }
    }
}

/// The partitions that a partitioner chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// The producer's choice: by the key's hash, or a sticky one without a key.
    Default,
    /// This one.
    One(i32),
    /// A copy to each of these. None of them: the record is dropped.
    Many(Vec<i32>),
}

/// Chooses a record's partition among `n`: called with the topic, the key, the value and `n`.
pub type Partitioner<K, V> = Arc<dyn Fn(&str, &K, &V, i32) -> Partitions + Send + Sync>;

/// A topic that records are sent to.
struct Resolved {
    name: TopicName,
    id: TopicId,
    /// Whether the serdes are ready for it.
    ready: bool,
}

/// The sink of records of one type.
pub struct SinkNode<K: Nullable, V: Nullable> {
    topic: SinkTopic<K, V>,
    key: Arc<dyn Serde<K::Inner>>,
    value: Arc<dyn Serde<V::Inner>>,
    partitioner: Option<Partitioner<K, V>>,
    windows_together: bool,
    resolved: Vec<Resolved>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl<K: Nullable, V: Nullable> SinkNode<K, V> {
    /// A sink with these serdes.
    pub fn new(
        topic: SinkTopic<K, V>,
        key: Arc<dyn Serde<K::Inner>>,
        value: Arc<dyn Serde<V::Inner>>,
        partitioner: Option<Partitioner<K, V>>,
    ) -> Self {
        Self {
            topic,
            key,
            value,
            partitioner,
            windows_together: false,
            resolved: Vec::new(),
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
        }
    }

    /// Sends all windows of a key to one partition, see [`Serde::partitioned_by`]. Repartition topics do not: records with
    /// one windowed key have to meet there, like records with any other key.
    pub fn windows_together(self) -> Self {
        Self {
            windows_together: true,
            ..self
        }
    }

    /// The partition of a record for which the program named none.
    fn default_partition(&self, cx: &mut NodeContext<'_>, topic: TopicId, has_key: bool) -> Result<Partitions> {
        let part = self.key.partitioned_by(&self.key_bytes);
        if !self.windows_together || !has_key || part.len() == self.key_bytes.len() {
            return Ok(Partitions::Default);
        }
        let count = cx.output().partitions(topic)?;
        Ok(Partitions::One(partition_for_key(part, count)))
    }

    /// The place of the record's topic in the list of known ones. The static topic is the only one there.
    fn resolve(&mut self, cx: &mut NodeContext<'_>, record: &Record<K, V>) -> usize {
        let SinkTopic::Dynamic(choose) = &self.topic else {
            return 0;
        };
        let name = choose(&record.key, &record.value, cx.record());
        if let Some(at) = self.resolved.iter().position(|known| *known.name == *name) {
            return at;
        }
        let name = TopicName::from(name);
        let id = cx.output().topic(&name);
        let ready = false;
        self.resolved.push(Resolved { name, id, ready });
        self.resolved.len() - 1
    }

    fn resolved(&self, at: usize) -> &Resolved {
        self.resolved.get(at).expect("the topic was resolved")
    }

    /// Writes key and value to the buffers; which of them are there. What cannot be written is not there either.
    #[inline]
    fn encode(&mut self, at: usize, record: &Record<K, V>) -> Result<(bool, bool), (Part, SerdeError)> {
        let Some(topic) = self.resolved.get_mut(at) else {
            unreachable!("the topic was resolved");
        };
        let mut part = Part::Key;
        let encoded = guarded(|| {
            if !topic.ready {
                self.key.prepare(&topic.name)?;
            }
            let has_key = encode(&record.key, self.key.as_ref(), &topic.name, &mut self.key_bytes)?;
            part = Part::Value;
            if !topic.ready {
                self.value.prepare(&topic.name)?;
                topic.ready = true;
            }
            let has_value = encode(&record.value, self.value.as_ref(), &topic.name, &mut self.value_bytes)?;
            Ok((has_key, has_value))
        });
        encoded.map_err(|error| (part, error))
    }
}

#[cold]
fn negative(topic: &str, timestamp: i64) -> Error {
    Error::User(format!("a record for topic {topic} has the negative timestamp {timestamp}").into())
}

/// Encodes into `out` unless the value is null; whether it was there.
fn encode<T: Nullable>(
    value: &T,
    serde: &dyn Serde<T::Inner>,
    topic: &str,
    out: &mut Vec<u8>,
) -> Result<bool, SerdeError> {
    out.clear();
    let Some(value) = value.as_option() else {
        return Ok(false);
    };
    serde.serialize(topic, value, out)?;
    Ok(true)
}

impl<K: Nullable, V: Nullable> Node for SinkNode<K, V> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<()> {
        self.resolved.clear();
        let SinkTopic::Static(name) = &self.topic else {
            return Ok(());
        };
        let prepared = self.key.prepare(name).and_then(|()| self.value.prepare(name));
        prepared.map_err(|source| Error::User(source.into()))?;
        self.resolved.push(Resolved {
            name: name.clone(),
            id: cx.output().topic(name),
            ready: true,
        });
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<()> {
        let record = input.take::<K, V>();
        let at = self.resolve(cx, &record);
        if record.timestamp < 0 {
            return Err(negative(&self.resolved(at).name, record.timestamp));
        }
        let encoded = self.encode(at, &record);
        let Resolved { name, id, .. } = self.resolved(at);
        let (topic, name) = (*id, name);
        let (has_key, has_value) = match encoded {
            Ok(present) => present,
            Err((part, source)) => {
                let key = (part == Part::Value && record.key.as_option().is_some()).then_some(&*self.key_bytes);
                let unserialized = Unserialized {
                    topic: name,
                    part,
                    key,
                    timestamp: record.timestamp,
                    headers: &record.headers,
                };
                return cx.unserialized(&unserialized, source);
            }
        };
        let partitions = match &self.partitioner {
            None => self.default_partition(cx, topic, has_key)?,
            Some(choose) => {
                let count = cx.output().partitions(topic)?;
                choose(name, &record.key, &record.value, count)
            }
        };
        let sender = &cx.parts.slot(cx.node).name;
        let output = &mut *cx.output;
        let mut send = |partition| {
            output.send(OutputRecord {
                topic,
                partition,
                key: has_key.then_some(&self.key_bytes),
                value: has_value.then_some(&self.value_bytes),
                timestamp: Some(record.timestamp),
                headers: &record.headers,
                sender,
            })
        };
        match partitions {
            Partitions::Default => send(None)?,
            Partitions::One(partition) => send(Some(partition))?,
            Partitions::Many(partitions) if partitions.is_empty() => cx.drop_record(),
            Partitions::Many(partitions) => {
                for partition in partitions {
                    send(Some(partition))?;
                }
            }
        }
        Ok(())
    }
}
