//! The right side of a foreign-key join: it keeps the subscriptions, and answers them with its rows.

use std::marker::PhantomData;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::stores::{StoreHandle, TimestampedKeyValueStore};
use kstreams_topology::{Change, Data, Error, Record};

use super::message::{Answer, Instruction, Subscription};
use super::send::serialize;
use crate::option::SharedSerde;
use crate::table::RowGetter;

/// Subscriptions by foreign and primary key.
pub(super) type SubscriptionStore<K> = TimestampedKeyValueStore<Vec<u8>, Subscription<K>>;

/// Makes the keys of the store: the length of the foreign key's bytes, those bytes, and the primary key's.
pub(super) struct StoreKeys<K, KO> {
    foreign: SharedSerde<KO>,
    primary: SharedSerde<K>,
    /// The registration topic, without the application's id.
    registration: String,
    foreign_topic: String,
    primary_topic: String,
    part: Vec<u8>,
    bytes: Vec<u8>,
}

impl<K: 'static, KO: 'static> Clone for StoreKeys<K, KO> {
    fn clone(&self) -> Self {
        Self::new(self.foreign.clone(), self.primary.clone(), self.registration.clone())
    }
}

impl<K: 'static, KO: 'static> StoreKeys<K, KO> {
    pub(super) fn new(foreign: SharedSerde<KO>, primary: SharedSerde<K>, registration: String) -> Self {
        Self {
            foreign,
            primary,
            registration,
            foreign_topic: String::new(),
            primary_topic: String::new(),
            part: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn init(&mut self, cx: &NodeContext<'_>) {
        self.foreign_topic = format!("{}-{}-fk", cx.application_id(), self.registration);
        self.primary_topic = format!("{}-{}-pk", cx.application_id(), self.registration);
    }

    /// What all keys of a foreign key begin with.
    pub(super) fn prefix(&mut self, foreign: &KO) -> Result<&[u8], Error> {
        serialize(&self.foreign, &self.foreign_topic, foreign, &mut self.part)?;
        self.bytes.clear();
        self.bytes.extend((self.part.len() as u32).to_be_bytes());
        self.bytes.append(&mut self.part);
        Ok(&self.bytes)
    }

    pub(super) fn key(&mut self, foreign: &KO, primary: &K) -> Result<&Vec<u8>, Error> {
        self.prefix(foreign)?;
        serialize(&self.primary, &self.primary_topic, primary, &mut self.part)?;
        self.bytes.append(&mut self.part);
        Ok(&self.bytes)
    }
}

/// Keeps subscriptions, and hands them on.
pub(super) struct ReceiveNode<K, KO> {
    pub(super) store: StoreHandle<SubscriptionStore<K>>,
    pub(super) keys: StoreKeys<K, KO>,
}

impl<K: Data, KO: Data> Node for ReceiveNode<K, KO> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.keys.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let record = input.take::<Option<KO>, Subscription<K>>();
        let subscription = &record.value;
        match (&record.key, subscription.instruction) {
            (Some(foreign), instruction) => {
                let kept = match instruction {
                    Instruction::Delete | Instruction::DeleteAndAnswer => None,
                    Instruction::AnswerAlways | Instruction::AnswerRow => Some(subscription),
                };
                let key = self.keys.key(foreign, &subscription.primary_key)?;
                cx.store(self.store).set(key, kept, record.timestamp)?;
            }
            // A row without a foreign key: it has no match, which is all there is to be told.
            (None, Instruction::AnswerAlways) => {}
            (None, _) => {
                cx.drop_record();
                return Ok(());
            }
        }
        cx.forward(record)
    }
}

/// Answers a subscription with the row that there is now.
pub(super) struct AnswerNode<K, KO, VO> {
    pub(super) rows: RowGetter<KO, VO>,
    pub(super) primary: PhantomData<fn() -> K>,
}

impl<K: Data, KO: Data, VO: Data> Node for AnswerNode<K, KO, VO> {
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let Record {
            key,
            value: subscription,
            timestamp,
            headers,
        } = input.take::<Option<KO>, Subscription<K>>();
        let row = match &key {
            Some(foreign) => self.rows.get(cx, foreign)?,
            None => None,
        };
        let timestamp = row.as_ref().map_or(timestamp, |row| row.timestamp.max(timestamp));
        let value = match (subscription.instruction, row) {
            (Instruction::Delete, _) | (Instruction::AnswerRow, None) => return Ok(()),
            (Instruction::DeleteAndAnswer, _) => None,
            (Instruction::AnswerAlways | Instruction::AnswerRow, row) => row.map(|row| row.value),
        };
        let answer = Answer {
            hash: subscription.hash,
            value,
            partition: subscription.partition,
        };
        cx.forward(Record {
            key: subscription.primary_key,
            value: answer,
            timestamp,
            headers,
        })
    }
}

/// Tells all subscribers of a row of its change.
pub(super) struct NotifyNode<K, KO, VO> {
    pub(super) store: StoreHandle<SubscriptionStore<K>>,
    pub(super) keys: StoreKeys<K, KO>,
    /// Whether the right table is versioned.
    pub(super) versioned: bool,
    pub(super) values: PhantomData<fn() -> VO>,
}

impl<K: Data, KO: Data, VO: Data> Node for NotifyNode<K, KO, VO> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.keys.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let Record {
            key,
            value: change,
            timestamp,
            headers,
        } = input.take::<KO, Change<VO>>();
        if self.versioned && !change.is_latest {
            cx.drop_record();
            return Ok(());
        }
        let prefix = self.keys.prefix(&key)?;
        let subscriptions = cx.store(self.store).prefix_scan(prefix)?.collect_owned()?;
        for (_, kept) in subscriptions {
            let subscription = kept.value;
            let value = Answer {
                hash: subscription.hash,
                value: change.new.clone(),
                partition: subscription.partition,
            };
            cx.forward(Record {
                key: subscription.primary_key,
                value,
                timestamp,
                headers: headers.clone(),
            })?;
        }
        Ok(())
    }
}
