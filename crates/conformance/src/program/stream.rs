//! Operators on streams.

use kstreams_dsl::{KStream, Produced, Repartitioned};

use super::{Grouped, Handle, Program, Stream, Table, materialized};
use crate::case::{Node, Result, malformed};
use crate::function;
use crate::processor;
use crate::value::{Key, KeySerde, KeyType, Value, ValueSerde, ValueType};

type Records = KStream<Option<Key>, Option<Value>>;

impl Program {
    pub(super) fn on_stream(&mut self, node: &Node, input: &Stream) -> Result<Handle> {
        match node.op.as_str() {
            "to" => self.to(node, input),
            "foreach" => {
                let note = self.notes.peek(&node.id);
                let end = input
                    .stream
                    .for_each(move |key, value| note(key.as_ref(), value.as_ref()));
                if let Some(name) = &node.name {
                    end.named(name);
                }
                Ok(Handle::Nothing)
            }
            "to_table" => {
                let table = input
                    .stream
                    .to_table()
                    .materialized(materialized(node, input.key, input.value)?);
                let table = if let Some(name) = &node.name {
                    table.named(name)
                } else {
                    table
                };
                Ok(Handle::Table(Table {
                    table,
                    key: input.key,
                    value: input.value,
                }))
            }
            "group_by_key" | "group_by" => input.group(node),
            "process" | "process_values" => self.process(node, input),
            _ => {
                let (stream, key, value) = match self.same_types(node, input)? {
                    Some(stream) => (stream, input.key, input.value),
                    None => other_types(node, input)?,
                };
                let stream = if let Some(name) = &node.name {
                    stream.named(name)
                } else {
                    stream
                };
                Ok(Handle::Stream(Stream::new(stream, key, value)))
            }
        }
    }

    fn same_types(&self, node: &Node, input: &Stream) -> Result<Option<Records>> {
        let stream = &input.stream;
        Ok(Some(match node.op.as_str() {
            "filter" => {
                let holds = function::predicate(node.text("pred")?)?;
                stream.filter(move |key, value| holds(key.as_ref(), value.as_ref()))
            }
            "filter_not" => {
                let holds = function::predicate(node.text("pred")?)?;
                stream.filter_not(move |key, value| holds(key.as_ref(), value.as_ref()))
            }
            "peek" => {
                let note = self.notes.peek(&node.id);
                stream.peek(move |key, value| note(key.as_ref(), value.as_ref()))
            }
            "repartition" => {
                let mut options = Repartitioned::new();
                if node.has("partitions") {
                    options = options.partitions(i32::try_from(node.number("partitions")?).unwrap_or(i32::MAX));
                }
                stream.repartition(options)
            }
            _ => return Ok(None),
        }))
    }

    fn to(&mut self, node: &Node, input: &Stream) -> Result<Handle> {
        let produced = if node.has("topic_fn") {
            let (prefix, name) = (node.text("topic_prefix")?.to_owned(), node.text("topic_fn")?);
            let choose = function::key(name)?;
            let label = format!("dynamic({prefix},{name})");
            let topic = move |key: &Option<Key>, value: &Option<Value>, _: &_| {
                let end = choose(key.as_ref(), value.as_ref());
                prefix.clone() + end.as_deref().unwrap_or("null")
            };
            Produced::topic_by(topic).label(label)
        } else {
            let topic = node.text("topic")?;
            self.topics.insert(topic.to_owned(), (input.key, input.value));
            Produced::topic(topic)
        };
        let sink = input.stream.to(produced);
        if let Some(name) = &node.name {
            sink.named(name);
        }
        Ok(Handle::Nothing)
    }

    fn process(&self, node: &Node, input: &Stream) -> Result<Handle> {
        let (stream, key, value) = if node.op == "process" {
            let built = processor::processor(node, input.value)?;
            if let Some(store) = built.store {
                self.builder.add_store(store);
            }
            let new = built.new;
            (input.stream.process(move || new()), KeyType::Text, built.out)
        } else {
            let built = processor::fixed_key(node, input.value)?;
            if let Some(store) = built.store {
                self.builder.add_store(store);
            }
            let new = built.new;
            (input.stream.process_values(move || new()), input.key, built.out)
        };
        let stream = if let Some(name) = &node.name {
            stream.named(name)
        } else {
            stream
        };
        Ok(Handle::Stream(Stream::new(stream, key, value)))
    }

    pub(super) fn merge(&self, node: &Node) -> Result<Handle> {
        let mut merged: Option<Stream> = None;
        for id in node.from() {
            let Handle::Stream(next) = self.handle(id)? else {
                return malformed(format!("{id} is no stream to be merged"));
            };
            merged = Some(match merged {
                None => next,
                Some(so_far) if so_far.value == next.value && so_far.key == next.key => {
                    Stream::new(so_far.stream.merge(&next.stream), so_far.key, so_far.value)
                }
                Some(_) => return malformed("merge of different types"),
            });
        }
        match (merged, &node.name) {
            (None, _) => malformed(format!("node {} needs from", node.id)),
            (Some(merged), None) => Ok(Handle::Stream(merged)),
            (Some(merged), Some(name)) => Ok(Handle::Stream(Stream {
                stream: merged.stream.named(name),
                ..merged
            })),
        }
    }

    pub(super) fn split(&mut self, node: &Node) -> Result<()> {
        let Handle::Stream(input) = self.first(node)? else {
            return malformed(format!("no op split before {}", node.id));
        };
        let mut split = input.stream.split();
        if let Some(name) = &node.name {
            split = split.named(name);
        }
        for (at, options) in node.json("branches").as_array().into_iter().flatten().enumerate() {
            let predicate = options.get("pred").and_then(|pred| pred.as_str());
            let holds = function::predicate(predicate.unwrap_or_default())?;
            let branch = split.branch(move |key, value| holds(key.as_ref(), value.as_ref()));
            let branch = Stream::new(named(branch, options), input.key, input.value);
            self.put(&format!("{}.{at}", node.id), Handle::Stream(branch))?;
        }
        if node.has("default") {
            let rest = Stream::new(named(split.otherwise(), node.json("default")), input.key, input.value);
            self.put(&format!("{}.default", node.id), Handle::Stream(rest))?;
        }
        Ok(())
    }
}

fn named(stream: Records, options: &serde_json::Value) -> Records {
    match options.get("name").and_then(|name| name.as_str()) {
        Some(name) => stream.named(name),
        None => stream,
    }
}

fn other_types(node: &Node, input: &Stream) -> Result<(Records, KeyType, ValueType)> {
    let stream = &input.stream;
    Ok(match node.op.as_str() {
        "map_values" => {
            let map = function::value(node.text("value_fn")?, input.value)?;
            let call = map.call;
            (
                stream.map_values(move |key, value| call(key.as_ref(), value.as_ref())),
                input.key,
                map.out,
            )
        }
        "flat_map_values" => {
            let list = function::list(node.text("list_fn")?, input.value)?;
            let call = list.call;
            (
                stream.flat_map_values(move |_, value| call(value.as_ref())),
                input.key,
                list.out,
            )
        }
        "map" => {
            let select = function::key(node.text("key_fn")?)?;
            let map = function::value(node.text("value_fn")?, input.value)?;
            let call = map.call;
            let mapped = stream.map(move |key, value| {
                let (key, value) = (key.as_ref(), value.as_ref());
                (select(key, value).map(Key::Text), call(key, value))
            });
            (mapped, KeyType::Text, map.out)
        }
        "flat_map" => {
            let select = function::key(node.text("key_fn")?)?;
            let list = function::list(node.text("list_fn")?, input.value)?;
            let call = list.call;
            let mapped = stream.flat_map(move |key, value| {
                let keyed = |item: Option<Value>| (select(key.as_ref(), item.as_ref()).map(Key::Text), item);
                call(value.as_ref()).into_iter().map(keyed).collect::<Vec<_>>()
            });
            (mapped, KeyType::Text, list.out)
        }
        "select_key" => {
            let select = function::key(node.text("key_fn")?)?;
            let keyed = stream.select_key(move |key, value| select(key.as_ref(), value.as_ref()).map(Key::Text));
            (keyed, KeyType::Text, input.value)
        }
        other => return malformed(format!("no op {other} of a stream")),
    })
}

impl Stream {
    fn group(&self, node: &Node) -> Result<Handle> {
        let (grouped, key) = if node.op == "group_by_key" {
            (self.stream.group_by_key(), self.key)
        } else {
            let select = function::key(node.text("key_fn")?)?;
            let grouped = self
                .stream
                .group_by(move |key, value| select(key.as_ref(), value.as_ref()).map(Key::Text));
            (grouped, KeyType::Text)
        };
        let grouped = grouped.key_serde(KeySerde(key)).value_serde(ValueSerde(self.value));
        let grouped = if let Some(name) = &node.name {
            grouped.named(name)
        } else {
            grouped
        };
        Ok(Handle::Grouped(Grouped {
            grouped,
            key,
            value: self.value,
        }))
    }
}
