//! Streams and tables that are read from topics.

use kstreams_dsl::Consumed;
use kstreams_topology::TimestampExtractor;

use super::{Handle, Program, Stream, Table, materialized};
use crate::case::{Node, Result};
use crate::key::{Key, KeySerde, KeyType};
use crate::value::{Value, ValueSerde};

impl Program {
    pub(super) fn stream(&mut self, node: &Node) -> Result<Handle> {
        let value = node.value_type()?;
        let consumed = match node.json("pattern").as_str() {
            Some(pattern) => Consumed::pattern(pattern),
            None => {
                let topics = node.topics();
                self.topics
                    .extend(topics.iter().map(|topic| (topic.clone(), (KeyType::Text, value))));
                Consumed::topics(topics)
            }
        };
        let mut stream = self.builder.stream(timed(node, consumed));
        if let Some(name) = &node.name {
            stream = stream.named(name);
        }
        Ok(Handle::Stream(Stream::new(stream, KeyType::Text, value)))
    }

    pub(super) fn table(&mut self, node: &Node) -> Result<Handle> {
        let (key, value) = (KeyType::Text, node.value_type()?);
        let topic = node.text("topic")?;
        self.topics.insert(topic.to_owned(), (key, value));
        let mut table = self.builder.table::<Key, Value>(timed(node, Consumed::topic(topic)));
        table = table.key_serde(KeySerde(key)).value_serde(ValueSerde(value));
        if let Some(name) = &node.name {
            table = table.named(name);
        }
        if node.store()?.is_some() {
            table = table.materialized(materialized(node, key, value)?);
        }
        Ok(Handle::Table(Table { table, key, value }))
    }
}

type ConsumedRecords = Consumed<Option<Key>, Option<Value>>;

/// The value is the time, where the case says so and the value can be one.
fn timed(node: &Node, consumed: ConsumedRecords) -> ConsumedRecords {
    if node.json("timestamp").as_str() != Some("value") {
        return consumed;
    }
    consumed.timestamps(TimestampExtractor::custom(|record, _| match &record.value {
        Some(Value::Long(time)) if *time >= 0 => *time,
        _ => record.timestamp,
    }))
}
