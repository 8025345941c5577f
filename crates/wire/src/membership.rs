//! What members of a consumer group tell each other through the coordinator: subscriptions and assignments.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{Error, Result};
use crate::ids::{TopicName, TopicPartition};
use crate::primitives::Cursor;

/// The newest version of subscription and assignment that this build writes.
pub const VERSION_MAX: i16 = 3;

/// What a member asks for when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The topics to be read.
    pub topics: Vec<TopicName>,
    /// Whatever the assignor wants to know.
    pub user_data: Option<Bytes>,
    /// The partitions that the member still has (since version 1).
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got them (since version 2).
    pub generation: Option<i32>,
    /// The rack the member runs in (since version 3).
    pub rack: Option<String>,
}

impl Subscription {
    /// The bytes of the newest version.
    pub fn encode(&self) -> Bytes {
        self.encode_version(VERSION_MAX)
    }

    /// The bytes of a certain version, without what that version has no place for.
    ///
    /// Topics and partitions are sorted, as Java sorts them: equal subscriptions give equal bytes, and so do not begin a
    /// rebalance.
    pub fn encode_version(&self, version: i16) -> Bytes {
        let version = version.clamp(0, VERSION_MAX);
        let mut out = BytesMut::new();
        out.put_i16(version);
        let mut topics: Vec<_> = self.topics.iter().collect();
        topics.sort_unstable();
        put_count(&mut out, topics.len());
        for topic in topics {
            put_string(&mut out, topic);
        }
        put_user_data(&mut out, self.user_data.as_ref());
        if version >= 1 {
            let mut owned = self.owned.clone();
            owned.sort_unstable();
            put_partitions(&mut out, &owned);
        }
        if version >= 2 {
            out.put_i32(self.generation.unwrap_or(-1));
        }
        if version >= 3 {
            match &self.rack {
                Some(rack) => put_string(&mut out, rack),
                None => out.put_i16(-1),
            }
        }
        out.freeze()
    }

    /// Reads a subscription of any version; of a newer one, what this build knows.
    pub fn decode(bytes: &Bytes) -> Result<Self> {
        let mut reader = Reader::new(bytes, "subscription");
        let version = reader.version()?;
        let mut subscription = Self {
            topics: reader.list(Reader::topic)?,
            user_data: reader.user_data()?,
            ..Self::default()
        };
        if version >= 1 {
            subscription.owned = reader.partitions()?;
        }
        if version >= 2 {
            let generation = reader.i32()?;
            subscription.generation = (generation >= 0).then_some(generation);
        }
        if version >= 3 {
            subscription.rack = reader.cursor.nullable_string(reader.what)?.map(str::to_owned);
        }
        Ok(subscription)
    }
}

/// What the leader gives a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The partitions to be read.
    pub partitions: Vec<TopicPartition>,
    /// Whatever the assignor has to say.
    pub user_data: Option<Bytes>,
}

impl Assignment {
    /// The bytes of the newest version.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(VERSION_MAX);
        put_partitions(&mut out, &self.partitions);
        put_user_data(&mut out, self.user_data.as_ref());
        out.freeze()
    }

    /// Reads an assignment of any version. No bytes at all, as the coordinator sends them to a member that the leader
    /// left out, are an empty assignment.
    pub fn decode(bytes: &Bytes) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = Reader::new(bytes, "assignment");
        reader.version()?;
        Ok(Self {
            partitions: reader.partitions()?,
            user_data: reader.user_data()?,
        })
    }
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(count as i32);
}

fn put_string(out: &mut BytesMut, text: &str) {
    // Kafka's topic names have at most 249 bytes.
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

fn put_user_data(out: &mut BytesMut, user_data: Option<&Bytes>) {
    match user_data {
        None => out.put_i32(-1),
        Some(bytes) => {
            put_count(out, bytes.len());
            out.put_slice(bytes);
        }
    }
}

/// Partitions by topic, topics in the order in which they first appear.
fn put_partitions(out: &mut BytesMut, partitions: &[TopicPartition]) {
    let mut order = Vec::new();
    let mut by_topic: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        let known = by_topic.entry(topic).or_insert_with(|| {
            order.push(topic);
            Vec::new()
        });
        known.push(*partition);
    }
    put_count(out, order.len());
    for topic in order {
        put_string(out, topic);
        let numbers = by_topic.remove(topic).unwrap_or_default();
        put_count(out, numbers.len());
        numbers.into_iter().for_each(|number| out.put_i32(number));
    }
}

struct Reader<'a> {
    all: &'a Bytes,
    cursor: Cursor<'a>,
    what: &'static str,
}

impl<'a> Reader<'a> {
    fn new(all: &'a Bytes, what: &'static str) -> Self {
        Self {
            all,
            cursor: Cursor::new(all),
            what,
        }
    }

    const fn cut(&self) -> Error {
        Error::corrupt(self.what, "ends before it is complete")
    }

    fn version(&mut self) -> Result<i16> {
        match self.cursor.i16().ok_or(self.cut())? {
            version @ 0.. => Ok(version),
            _ => Err(Error::corrupt(self.what, "has a negative version")),
        }
    }

    fn i32(&mut self) -> Result<i32> {
        self.cursor.i32().ok_or(self.cut())
    }

    /// A counted list. The count is not trusted: room is made as items come.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.i32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn topic(&mut self) -> Result<TopicName> {
        let name = self.cursor.nullable_string(self.what)?;
        name.map(TopicName::new)
            .ok_or(Error::corrupt(self.what, "has a topic without a name"))
    }

    fn partitions(&mut self) -> Result<Vec<TopicPartition>> {
        let mut partitions = Vec::new();
        self.list(|reader| {
            let topic = reader.topic()?;
            let numbers = reader.list(Self::i32)?;
            partitions.extend(
                numbers
                    .into_iter()
                    .map(|number| TopicPartition::new(topic.clone(), number)),
            );
            Ok(())
        })?;
        Ok(partitions)
    }

    fn user_data(&mut self) -> Result<Option<Bytes>> {
        let Ok(length) = usize::try_from(self.i32()?) else {
            return Ok(None);
        };
        let bytes = self.cursor.take(length).ok_or(self.cut())?;
        Ok(Some(self.all.slice_ref(bytes)))
    }
}
