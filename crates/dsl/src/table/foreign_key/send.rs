//! The left side of a foreign-key join: each change of a row subscribes to its foreign key, or gives a subscription up.

use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{BoxError, Change, Data, Error, Record, Serde};

use super::hash::{RowHash, row_hash};
use super::message::{Instruction, Subscription};
use crate::option::SharedSerde;

/// The foreign key of a row, if it has one.
pub(super) type ForeignKey<K, V, KO> = Arc<dyn Fn(&K, &V) -> Result<Option<KO>, BoxError> + Send + Sync>;

/// Which rows the result has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// Those with a row in the right table.
    Matched,
    /// All of the left table.
    AllLeft,
}

/// What the node is made of.
pub(super) struct Sending<K, V, KO> {
    pub(super) foreign_key: ForeignKey<K, V, KO>,
    pub(super) rows: Rows,
    /// Whether the left table is versioned.
    pub(super) versioned: bool,
    pub(super) hasher: RowHasher<V>,
    pub(super) foreign: SharedSerde<KO>,
    /// The registration topic, without the application's id.
    pub(super) topic: String,
}

/// Hashes rows of the left table.
pub(super) struct RowHasher<V> {
    serde: SharedSerde<V>,
    /// The registration topic, without the application's id.
    registration: String,
    topic: String,
    bytes: Vec<u8>,
}

impl<V: 'static> Clone for RowHasher<V> {
    fn clone(&self) -> Self {
        Self::new(self.serde.clone(), self.registration.clone())
    }
}

impl<V: 'static> RowHasher<V> {
    pub(super) fn new(serde: SharedSerde<V>, registration: String) -> Self {
        Self {
            serde,
            registration,
            topic: String::new(),
            bytes: Vec::new(),
        }
    }

    pub(super) fn init(&mut self, cx: &NodeContext<'_>) -> Result<(), Error> {
        self.topic = format!("{}-{}-vh", cx.application_id(), self.registration);
        let prepared = self.serde.prepare(&self.topic);
        prepared.map_err(|source| Error::Serialization {
            topic: self.topic.clone(),
            source,
        })
    }

    pub(super) fn hash(&mut self, value: &V) -> Result<RowHash, Error> {
        serialize(&self.serde, &self.topic, value, &mut self.bytes)?;
        Ok(row_hash(&self.bytes))
    }
}

/// Writes `value` into `out`, in place of what is there.
pub(super) fn serialize<T: 'static>(
    serde: &SharedSerde<T>,
    topic: &str,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    out.clear();
    serde
        .serialize(topic, value, out)
        .map_err(|source| Error::Serialization {
            topic: topic.to_owned(),
            source,
        })
}

/// A foreign key, and what it is told.
type Told<KO> = Option<(Option<KO>, Instruction)>;

pub(super) struct SendNode<K, V, KO> {
    sending: Arc<Sending<K, V, KO>>,
    hasher: RowHasher<V>,
    foreign_topic: String,
    old_bytes: Vec<u8>,
    new_bytes: Vec<u8>,
}

impl<K, V: 'static, KO> SendNode<K, V, KO> {
    pub(super) fn new(sending: Arc<Sending<K, V, KO>>) -> Self {
        Self {
            hasher: sending.hasher.clone(),
            sending,
            foreign_topic: String::new(),
            old_bytes: Vec::new(),
            new_bytes: Vec::new(),
        }
    }
}

impl<K: Data, V: Data, KO: Data> SendNode<K, V, KO> {
    fn foreign_key(&self, key: &K, value: Option<&V>) -> Result<Option<KO>, Error> {
        match value {
            Some(value) => (self.sending.foreign_key)(key, value).map_err(Error::User),
            None => Ok(None),
        }
    }

    /// Whether these keys have the same bytes, which is what counts.
    fn same(&mut self, old: &KO, new: &KO) -> Result<bool, Error> {
        let (serde, topic) = (&self.sending.foreign, &self.foreign_topic);
        serialize(serde, topic, old, &mut self.old_bytes)?;
        serialize(serde, topic, new, &mut self.new_bytes)?;
        Ok(self.old_bytes == self.new_bytes)
    }

    /// What is to be sent, at most twice, and to which foreign keys. Nothing, if the row never had and has none.
    fn instructions(&mut self, old: Option<KO>, new: Option<KO>) -> Result<[Told<KO>; 2], Error> {
        let same = match (&old, &new) {
            (Some(old), Some(new)) => self.same(old, new)?,
            _ => false,
        };
        let give_up = old.filter(|_| !same);
        Ok(match (self.sending.rows, give_up, new) {
            (Rows::AllLeft, old, new) => [
                old.map(|old| (Some(old), Instruction::Delete)),
                Some((new, Instruction::AnswerAlways)),
            ],
            (Rows::Matched, Some(old), Some(new)) => [
                Some((Some(old), Instruction::Delete)),
                Some((Some(new), Instruction::AnswerAlways)),
            ],
            (Rows::Matched, Some(old), None) => [Some((Some(old), Instruction::DeleteAndAnswer)), None],
            (Rows::Matched, None, Some(new)) => [Some((Some(new), Instruction::AnswerRow)), None],
            (Rows::Matched, None, None) => [None, None],
        })
    }
}

impl<K: Data, V: Data, KO: Data> Node for SendNode<K, V, KO> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.foreign_topic = format!("{}-{}-fk", cx.application_id(), self.sending.topic);
        self.hasher.init(cx)
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let Record {
            key,
            value: change,
            timestamp,
            headers,
        } = input.take::<K, Change<V>>();
        if self.sending.versioned && !change.is_latest {
            cx.drop_record();
            return Ok(());
        }
        if change.new.is_none() && change.old.is_none() {
            return Ok(());
        }
        let old = self.foreign_key(&key, change.old.as_ref())?;
        let new = self.foreign_key(&key, change.new.as_ref())?;
        let instructions = self.instructions(old, new)?;
        if instructions.iter().all(Option::is_none) {
            cx.drop_record();
            return Ok(());
        }
        let hash = change.new.as_ref().map(|value| self.hasher.hash(value)).transpose()?;
        for (foreign_key, instruction) in instructions.into_iter().flatten() {
            let value = Subscription {
                hash,
                instruction,
                primary_key: key.clone(),
                partition: Some(cx.record().partition),
            };
            cx.forward(Record {
                key: foreign_key,
                value,
                timestamp,
                headers: headers.clone(),
            })?;
        }
        Ok(())
    }
}
