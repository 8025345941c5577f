//! Operators on streams.

use kstreams_dsl::{KGroupedStream, KStream, Produced, Repartitioned};

use super::{Grouped, Handle, Held, Program, Stream, Table, materialized};
use crate::case::{Node, Result, malformed};
use crate::function;
use crate::key::{Key, KeySerde, KeyType, seen};
use crate::processor;
use crate::value::{Value, ValueSerde, ValueType};

type Records<K> = KStream<Option<K>, Option<Value>>;

impl Program {
    pub(super) fn on_stream<K: Held>(&mut self, node: &Node, input: &Stream<K>) -> Result<Handle> {
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
                let materialized = materialized(node, input.key, input.value)?;
                let table = Table {
                    table: input.stream.to_table().materialized(materialized),
                    key: input.key,
                    value: input.value,
                };
                Ok(K::table(table.named(node.name.as_ref())))
            }
            "group_by_key" | "group_by" => input.group(node),
            "process" | "process_values" => self.process(node, input),
            _ => {
                if let Some(stream) = self.same_types(node, input)? {
                    return Ok(K::stream(
                        Stream::new(stream, input.key, input.value).named(node.name.as_ref()),
                    ));
                }
                other_types(node, input)
            }
        }
    }

    fn same_types<K: Held>(&self, node: &Node, input: &Stream<K>) -> Result<Option<Records<K>>> {
        let stream = &input.stream;
        Ok(Some(match node.op.as_str() {
            "filter" => {
                let holds = function::predicate(node.text("pred")?)?;
                stream.filter(move |key, value| holds(seen(key.as_ref()).as_ref(), value.as_ref()))
            }
            "filter_not" => {
                let holds = function::predicate(node.text("pred")?)?;
                stream.filter_not(move |key, value| holds(seen(key.as_ref()).as_ref(), value.as_ref()))
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

    fn to<K: Held>(&mut self, node: &Node, input: &Stream<K>) -> Result<Handle> {
        let produced = if node.has("topic_fn") {
            let (prefix, name) = (node.text("topic_prefix")?.to_owned(), node.text("topic_fn")?);
            let choose = function::key(name)?;
            let label = format!("dynamic({prefix},{name})");
            let topic = move |key: &Option<K>, value: &Option<Value>, _: &_| {
                let end = choose(seen(key.as_ref()).as_ref(), value.as_ref());
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

    fn process<K: Held>(&self, node: &Node, input: &Stream<K>) -> Result<Handle> {
        if node.op == "process" {
            let built = processor::processor::<K>(node, input.value)?;
            if let Some(store) = built.store {
                store.add_to_builder(&self.builder);
            }
            let new = built.new;
            let stream = Stream::new(input.stream.process(move || new()), KeyType::Text, built.out);
            return Ok(Handle::Stream(stream.named(node.name.as_ref())));
        }
        let built = processor::fixed_key::<K>(node, input.value)?;
        if let Some(store) = built.store {
            store.add_to_builder(&self.builder);
        }
        let new = built.new;
        let stream = Stream::new(input.stream.process_values(move || new()), input.key, built.out);
        Ok(K::stream(stream.named(node.name.as_ref())))
    }

    pub(super) fn merge<K: Held>(&self, node: &Node, first: Stream<K>) -> Result<Handle> {
        let mut merged = first;
        for id in node.from().into_iter().skip(1) {
            let Some(next) = K::as_stream(self.handle(id)?) else {
                return malformed(format!("{id} is no stream to be merged"));
            };
            if merged.value != next.value || merged.key != next.key {
                return malformed("merge of different types");
            }
            merged = Stream::new(merged.stream.merge(&next.stream), merged.key, merged.value);
        }
        Ok(K::stream(merged.named(node.name.as_ref())))
    }

    pub(super) fn split<K: Held>(&mut self, node: &Node, input: &Stream<K>) -> Result<()> {
        let mut split = input.stream.split();
        if let Some(name) = &node.name {
            split = split.named(name);
        }
        for (at, options) in node.json("branches").as_array().into_iter().flatten().enumerate() {
            let predicate = options.get("pred").and_then(|pred| pred.as_str());
            let holds = function::predicate(predicate.unwrap_or_default())?;
            let branch = split.branch(move |key, value| holds(seen(key.as_ref()).as_ref(), value.as_ref()));
            let branch = Stream::new(named(branch, options), input.key, input.value);
            self.put(&format!("{}.{at}", node.id), K::stream(branch))?;
        }
        if node.has("default") {
            let rest = Stream::new(named(split.otherwise(), node.json("default")), input.key, input.value);
            self.put(&format!("{}.default", node.id), K::stream(rest))?;
        }
        Ok(())
    }
}

fn named<K: Held>(stream: Records<K>, options: &serde_json::Value) -> Records<K> {
    match options.get("name").and_then(|name| name.as_str()) {
        Some(name) => stream.named(name),
        None => stream,
    }
}

fn other_types<K: Held>(node: &Node, input: &Stream<K>) -> Result<Handle> {
    let stream = &input.stream;
    let name = node.name.as_ref();
    match node.op.as_str() {
        "map_values" => {
            let map = function::value(node.text("value_fn")?, input.value)?;
            let call = map.call;
            let mapped = stream.map_values(move |key, value| call(seen(key.as_ref()).as_ref(), value.as_ref()));
            Ok(K::stream(Stream::new(mapped, input.key, map.out).named(name)))
        }
        "flat_map_values" => {
            let list = function::list(node.text("list_fn")?, input.value)?;
            let call = list.call;
            let mapped = stream.flat_map_values(move |_, value| call(value.as_ref()));
            Ok(K::stream(Stream::new(mapped, input.key, list.out).named(name)))
        }
        _ => {
            let (stream, value) = other_keys(node, input)?;
            Ok(Handle::Stream(Stream::new(stream, KeyType::Text, value).named(name)))
        }
    }
}

fn other_keys<K: Held>(node: &Node, input: &Stream<K>) -> Result<(Records<Key>, ValueType)> {
    let select = function::key(node.text("key_fn")?)?;
    let select = move |key: Option<&K>, value: Option<&Value>| select(seen(key).as_ref(), value).map(Key::Text);
    let stream = &input.stream;
    Ok(match node.op.as_str() {
        "map" => {
            let map = function::value(node.text("value_fn")?, input.value)?;
            let call = map.call;
            let mapped = stream.map(move |key, value| {
                let (key, value) = (key.as_ref(), value.as_ref());
                (select(key, value), call(seen(key).as_ref(), value))
            });
            (mapped, map.out)
        }
        "flat_map" => {
            let list = function::list(node.text("list_fn")?, input.value)?;
            let call = list.call;
            let mapped = stream.flat_map(move |key, value| {
                let keyed = |item: Option<Value>| (select(key.as_ref(), item.as_ref()), item);
                call(value.as_ref()).into_iter().map(keyed).collect::<Vec<_>>()
            });
            (mapped, list.out)
        }
        "select_key" => {
            let keyed = stream.select_key(move |key, value| select(key.as_ref(), value.as_ref()));
            (keyed, input.value)
        }
        other => return malformed(format!("no op {other} of a stream")),
    })
}

impl<K: Held> Stream<K> {
    fn group(&self, node: &Node) -> Result<Handle> {
        if node.op == "group_by_key" {
            let grouped = self.stream.group_by_key();
            return Ok(K::grouped(Grouped::new(grouped, (self.key, self.value), node)));
        }
        let select = function::key(node.text("key_fn")?)?;
        let grouped = self
            .stream
            .group_by(move |key, value| select(seen(key.as_ref()).as_ref(), value.as_ref()).map(Key::Text));
        Ok(Key::grouped(Grouped::new(grouped, (KeyType::Text, self.value), node)))
    }
}

impl<K: Held> Grouped<K> {
    fn new(grouped: KGroupedStream<K, Option<Value>>, (key, value): (KeyType, ValueType), node: &Node) -> Self {
        let grouped = grouped.key_serde(KeySerde(key)).value_serde(ValueSerde(value));
        let grouped = if let Some(name) = &node.name {
            grouped.named(name)
        } else {
            grouped
        };
        Self { grouped, key, value }
    }
}
