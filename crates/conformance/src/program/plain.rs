//! Topologies without the DSL: sources, processors and sinks by name.

use std::collections::BTreeMap;

use kstreams_topology::{Consumed, Produced, Topology};

use super::TopicTypes;
use crate::case::{Node, Result, malformed};
use crate::key::{Key, KeySerde, KeyType};
use crate::processor;
use crate::value::{Value, ValueSerde, ValueType};

pub(super) fn build(nodes: &[Node]) -> Result<(Topology, TopicTypes)> {
    let mut plain = Plain {
        topology: Topology::new(),
        types: BTreeMap::new(),
        topics: TopicTypes::new(),
    };
    for node in nodes {
        match node.op.as_str() {
            "papi_source" => plain.source(node)?,
            "papi_processor" => plain.processor(node)?,
            "papi_sink" => plain.sink(node)?,
            other => return malformed(format!("no op {other} of a plain topology")),
        }
    }
    Ok((plain.topology, plain.topics))
}

struct Plain<'a> {
    topology: Topology,
    /// What each node forwards.
    types: BTreeMap<&'a str, ValueType>,
    topics: TopicTypes,
}

impl<'a> Plain<'a> {
    fn source(&mut self, node: &'a Node) -> Result<()> {
        let value = node.value_type()?;
        let topics = node.topics();
        self.topics
            .extend(topics.iter().map(|topic| (topic.clone(), (KeyType::Text, value))));
        let consumed = Consumed::<Option<Key>, Option<Value>>::with(KeySerde(KeyType::Text), ValueSerde(value));
        self.topology.add_source(&node.id, topics, consumed)?;
        self.types.insert(&node.id, value);
        Ok(())
    }

    fn processor(&mut self, node: &'a Node) -> Result<()> {
        let built = processor::processor::<Key>(node, self.input(node)?)?;
        if let Some(store) = built.store {
            store.add_to_topology(&mut self.topology)?;
        }
        let new = built.new;
        self.topology.add_processor(&node.id, move || new(), &node.from())?;
        self.types.insert(&node.id, built.out);
        Ok(())
    }

    fn sink(&mut self, node: &'a Node) -> Result<()> {
        let value = self.input(node)?;
        let topic = node.text("topic")?;
        let produced = Produced::<Option<Key>, Option<Value>>::with(KeySerde(KeyType::Text), ValueSerde(value));
        self.topology.add_sink(&node.id, topic, produced, &node.from())?;
        self.topics.insert(topic.to_owned(), (KeyType::Text, value));
        Ok(())
    }

    fn input(&self, node: &Node) -> Result<ValueType> {
        let types: Vec<_> = node
            .from()
            .iter()
            .map(|parent| self.types.get(parent).copied())
            .collect();
        match types.as_slice() {
            [Some(first), others @ ..] if others.iter().all(|other| *other == Some(*first)) => Ok(*first),
            _ => malformed(format!("parents of {} differ", node.id)),
        }
    }
}
