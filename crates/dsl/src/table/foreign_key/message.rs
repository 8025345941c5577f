//! What the two sides of a foreign-key join tell each other, and its bytes: Java's.

use std::sync::OnceLock;

use kstreams_topology::{Data, Serde, SerdeError};

use super::hash::RowHash;
use crate::option::SharedSerde;

/// What a row of the left table wants of the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// It no longer belongs to this foreign key, and does not want to hear of it.
    Delete = 0,
    /// It no longer belongs to this foreign key, and wants to hear so.
    DeleteAndAnswer = 1,
    /// It belongs to this foreign key, and wants an answer even if there is no row.
    AnswerAlways = 2,
    /// It belongs to this foreign key, and wants an answer if there is a row.
    AnswerRow = 3,
}

/// A row of the left table tells the right one of its foreign key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subscription<K> {
    /// The hash of the row's value; `None` if it is deleted.
    pub(super) hash: Option<RowHash>,
    pub(super) instruction: Instruction,
    /// The row's key.
    pub(super) primary_key: K,
    /// The row's partition; `None` in subscriptions of Java applications before 3.4.
    pub(super) partition: Option<i32>,
}

/// The right table answers a row of the left one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer<V> {
    /// The hash of the row's value when it asked.
    pub(super) hash: Option<RowHash>,
    /// The right table's row.
    pub(super) value: Option<V>,
    /// Where the row that asked is, as far as known. It is not part of the bytes.
    pub(super) partition: Option<i32>,
}

impl<K: Data> Data for Subscription<K> {}
impl<V: Data> Data for Answer<V> {}

const VERSION: u8 = 1;
const NO_HASH: u8 = 0x80;

/// Writes subscriptions in version 1, and reads version 0, too.
pub(super) struct SubscriptionSerde<K> {
    key: SharedSerde<K>,
    /// The topic that the serde of the keys is told, whatever topic or store the subscription is for.
    topic: OnceLock<String>,
    names: SubscriptionNames,
}

/// Where subscriptions are found, without the application's id.
#[derive(Clone)]
pub(super) struct SubscriptionNames {
    pub(super) topic: String,
    pub(super) store: String,
}

impl<K: 'static> SubscriptionSerde<K> {
    pub(super) fn new(key: SharedSerde<K>, names: SubscriptionNames) -> Self {
        Self {
            key,
            topic: OnceLock::new(),
            names,
        }
    }

    fn key_topic(&self, topic: &str) -> &str {
        self.topic.get_or_init(|| {
            let changelog = format!("{}-changelog", self.names.store);
            match topic.strip_suffix(&changelog) {
                Some(application) => format!("{application}{}-pk", self.names.topic),
                None => format!("{topic}-pk"),
            }
        })
    }
}

impl<K: Data> Serde<Subscription<K>> for SubscriptionSerde<K> {
    fn serialize(&self, topic: &str, value: &Subscription<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let version = if value.partition.is_some() { VERSION } else { 0 };
        put_head(version, &[value.instruction as u8], value.hash.as_ref(), out);
        self.key.serialize(self.key_topic(topic), &value.primary_key, out)?;
        out.extend(value.partition.iter().flat_map(|partition| partition.to_be_bytes()));
        Ok(())
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<Subscription<K>, SerdeError> {
        let invalid = || SerdeError::new(format!("{} bytes to a foreign key's subscription", bytes.len()));
        let (first, rest) = bytes.split_first().ok_or_else(invalid)?;
        let (instruction, rest) = rest.split_first().ok_or_else(invalid)?;
        let instruction = match instruction {
            0 => Instruction::Delete,
            1 => Instruction::DeleteAndAnswer,
            2 => Instruction::AnswerAlways,
            3 => Instruction::AnswerRow,
            _ => return Err(invalid()),
        };
        let (hash, rest) = take_hash(*first, rest).ok_or_else(invalid)?;
        let (key, partition) = match first & !NO_HASH {
            0 => (rest, None),
            VERSION => rest
                .split_last_chunk()
                .map(|(key, last)| (key, Some(i32::from_be_bytes(*last))))
                .ok_or_else(invalid)?,
            version => {
                return Err(SerdeError::new(format!(
                    "version {version} of a foreign key's subscription"
                )));
            }
        };
        Ok(Subscription {
            hash,
            instruction,
            primary_key: self.key.deserialize(self.key_topic(topic), key)?,
            partition,
        })
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.key.prepare(self.key_topic(topic))
    }
}

/// Writes answers. A value without bytes comes back as none, as in Java.
pub(super) struct AnswerSerde<V>(pub(super) SharedSerde<V>);

impl<V: Data> Serde<Answer<V>> for AnswerSerde<V> {
    fn serialize(&self, topic: &str, answer: &Answer<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        put_head(0, &[], answer.hash.as_ref(), out);
        match &answer.value {
            Some(value) => self.0.serialize(topic, value, out),
            None => Ok(()),
        }
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<Answer<V>, SerdeError> {
        let invalid = || SerdeError::new(format!("{} bytes to a foreign table's answer", bytes.len()));
        let (first, rest) = bytes.split_first().ok_or_else(invalid)?;
        if first & !NO_HASH != 0 {
            return Err(invalid());
        }
        let (hash, value) = take_hash(*first, rest).ok_or_else(invalid)?;
        let value = match value {
            [] => None,
            value => Some(self.0.deserialize(topic, value)?),
        };
        Ok(Answer {
            hash,
            value,
            partition: None,
        })
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.0.prepare(topic)
    }
}

fn put_head(version: u8, instruction: &[u8], hash: Option<&RowHash>, out: &mut Vec<u8>) {
    out.push(if hash.is_some() { version } else { version | NO_HASH });
    out.extend_from_slice(instruction);
    out.extend(hash.into_iter().flatten());
}

fn take_hash(first: u8, rest: &[u8]) -> Option<(Option<RowHash>, &[u8])> {
    if first & NO_HASH != 0 {
        return Some((None, rest));
    }
    let (hash, rest) = rest.split_first_chunk()?;
    Some((Some(*hash), rest))
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::Arc;

    use kstreams_topology::serde::StringSerde;

    use super::*;

    fn check<T: PartialEq + Debug>(serde: &impl Serde<T>, value: &T, expected: &[u8]) {
        let mut bytes = Vec::new();
        serde
            .serialize("app-reg-topic", value, &mut bytes)
            .expect("strings can be written");
        assert_eq!(bytes, expected);
        let read = serde.deserialize("app-reg-topic", &bytes);
        assert_eq!(read.expect("its own bytes can be read"), *value);
    }

    fn hash() -> Option<RowHash> {
        Some((1_u128 << 64 | u128::from(-2_i64 as u64)).to_be_bytes())
    }

    #[test]
    fn bytes_of_subscriptions_are_javas() {
        let names = SubscriptionNames {
            topic: "reg-topic".to_owned(),
            store: "st".to_owned(),
        };
        let serde = SubscriptionSerde::new(Arc::new(StringSerde), names);
        let subscription = |hash, instruction, partition| Subscription {
            hash,
            instruction,
            primary_key: "pk".to_owned(),
            partition,
        };
        let whole = b"\x01\x03\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xfepk\0\0\0\x05";
        check(&serde, &subscription(hash(), Instruction::AnswerRow, Some(5)), whole);
        let deleted = subscription(None, Instruction::DeleteAndAnswer, Some(0));
        check(&serde, &deleted, b"\x81\x01pk\0\0\0\0");
        check(&serde, &subscription(None, Instruction::Delete, None), b"\x80\x00pk");
        for bad in [
            &b""[..],
            b"\x81",
            b"\x81\x04pk\0\0\0\0",
            b"\x82\x00pk",
            b"\x01\x00short",
        ] {
            assert!(serde.deserialize("app-reg-topic", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn bytes_of_answers_are_javas() {
        let serde = AnswerSerde(Arc::new(StringSerde));
        let answer = |hash, value: Option<&str>| Answer {
            hash,
            value: value.map(str::to_owned),
            partition: None,
        };
        let whole = b"\0\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xfeval";
        check(&serde, &answer(hash(), Some("val")), whole);
        check(&serde, &answer(None, Some("val")), b"\x80val");
        check(&serde, &answer(None, None), b"\x80");
        assert!(serde.deserialize("t", b"\x01").is_err());
    }

    #[test]
    fn the_keys_serde_hears_of_one_topic() {
        let names = SubscriptionNames {
            topic: "reg-topic".to_owned(),
            store: "st".to_owned(),
        };
        for topic in ["app-reg-topic", "app-st-changelog"] {
            let serde = SubscriptionSerde::<String>::new(Arc::new(StringSerde), names.clone());
            assert_eq!(serde.key_topic(topic), "app-reg-topic-pk");
        }
    }
}
