//! Joins.

use super::{Global, Handle, Program, Stream, Table, materialized};
use crate::case::{Node, Result, malformed};
use crate::function;
use crate::value::{Key, KeySerde, KeyType, Value, ValueSerde};

impl Program {
    pub(super) fn global_table(&mut self, node: &Node) -> Result<Handle> {
        let (key, value) = (KeyType::Text, node.value_type()?);
        let topic = node.text("topic")?;
        self.topics.insert(topic.to_owned(), (key, value));
        let table = self.builder.global_table::<Key, Value>(topic);
        let table = table.key_serde(KeySerde(key)).value_serde(ValueSerde(value));
        let table = if let Some(name) = &node.name {
            table.named(name)
        } else {
            table
        };
        let table = if node.store()?.is_some() {
            table.materialized(materialized(node, key, value)?)
        } else {
            table
        };
        Ok(Handle::Global(Global { table, value }))
    }

    pub(super) fn stream_global_join(&self, node: &Node) -> Result<Handle> {
        let from = node.from();
        let [left, right] = from.as_slice() else {
            return malformed(format!("node {} needs two sides", node.id));
        };
        let (Handle::Stream(left), Handle::Global(right)) = (self.handle(left)?, self.handle(right)?) else {
            return malformed(format!("node {} joins a stream and a global table", node.id));
        };
        let choose = function::key(node.text("key_fn")?)?;
        let choose =
            move |key: &Option<Key>, value: &Option<Value>| choose(key.as_ref(), value.as_ref()).map(Key::Text);
        let function::Typed { out, call } = function::joiner(node.text("joiner")?, left.value, right.value)?;
        let joined = match node.text("kind")? {
            "inner" => left
                .stream
                .join_global(&right.table, choose, move |key, left, right: Value| {
                    call(key.as_ref(), Some(&left), Some(&right))
                }),
            "left" => left
                .stream
                .left_join_global(&right.table, choose, move |key, left, right| {
                    call(key.as_ref(), Some(&left), right.as_ref())
                }),
            other => return malformed(format!("no kind {other} of node {}", node.id)),
        };
        let joined = if let Some(name) = &node.name {
            joined.named(name)
        } else {
            joined
        };
        Ok(Handle::Stream(Stream::new(joined, left.key, out)))
    }

    pub(super) fn table_table_join(&self, node: &Node) -> Result<Handle> {
        let from = node.from();
        let [left, right] = from.as_slice() else {
            return malformed(format!("node {} needs two sides", node.id));
        };
        let (Handle::Table(left), Handle::Table(right)) = (self.handle(left)?, self.handle(right)?) else {
            return malformed(format!("node {} joins two tables", node.id));
        };
        let function::Typed { out, call } = function::joiner(node.text("joiner")?, left.value, right.value)?;
        let joined = match node.text("kind")? {
            "inner" => left.table.join(&right.table, move |left: Value, right: Value| {
                call(None, left.some().as_ref(), right.some().as_ref())
            }),
            "left" => left
                .table
                .left_join(&right.table, move |left: Value, right: Option<Value>| {
                    call(None, left.some().as_ref(), right.and_then(Value::some).as_ref())
                }),
            "outer" => left
                .table
                .outer_join(&right.table, move |left: Option<Value>, right: Option<Value>| {
                    let (left, right) = (left.and_then(Value::some), right.and_then(Value::some));
                    call(None, left.as_ref(), right.as_ref())
                }),
            other => return malformed(format!("no kind {other} of node {}", node.id)),
        };
        let joined = Table {
            table: joined,
            key: left.key,
            value: out,
        };
        Ok(Handle::Table(joined.settled(node)?))
    }
}
