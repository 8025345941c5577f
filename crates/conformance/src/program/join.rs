//! Joins.

use kstreams_dsl::JoinWindows;

use super::{Global, Handle, Held, Program, Stream, Table, materialized};
use crate::case::{Node, Result, malformed};
use crate::function;
use crate::key::{Key, KeySerde, KeyType, seen};
use crate::value::{Value, ValueSerde};

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

    pub(super) fn join(&self, node: &Node) -> Result<Handle> {
        let from = node.from();
        let [left, right] = from.as_slice() else {
            return malformed(format!("node {} needs two sides", node.id));
        };
        let (left, right) = (self.handle(left)?, self.handle(right)?);
        match (node.op.as_str(), left, right) {
            ("stream_global_join", Handle::Stream(left), Handle::Global(right)) => global_join(node, &left, &right),
            ("stream_global_join", Handle::WindowedStream(left), Handle::Global(right)) => {
                global_join(node, &left, &right)
            }
            ("stream_table_join", Handle::Stream(left), right) => table_join(node, &left, right),
            ("stream_table_join", Handle::WindowedStream(left), right) => table_join(node, &left, right),
            ("table_table_join", Handle::Table(left), right) => tables(node, &left, right),
            ("table_table_join", Handle::WindowedTable(left), right) => tables(node, &left, right),
            ("stream_stream_join", Handle::Stream(left), right) => stream_join(node, &left, right),
            ("stream_stream_join", Handle::WindowedStream(left), right) => stream_join(node, &left, right),
            ("fk_join", Handle::Table(left), Handle::Table(right)) => foreign_key(node, &left, &right),
            ("fk_join", Handle::WindowedTable(left), Handle::Table(right)) => foreign_key(node, &left, &right),
            _ => malformed(format!("wrong sides of {}", node.id)),
        }
    }
}

fn no_kind<T>(node: &Node) -> Result<T> {
    malformed(format!("no join kind {} in {}", node.json("kind"), node.op))
}

fn stream_join<K: Held>(node: &Node, left: &Stream<K>, right: Handle) -> Result<Handle> {
    let Some(right) = K::as_stream(right).filter(|right| right.key == left.key) else {
        return malformed(format!("wrong sides of {}", node.id));
    };
    let function::Typed { out, call } = function::joiner(node.text("joiner")?, left.value, right.value)?;
    let join = move |key: &Option<K>, left: Option<&Value>, right: Option<&Value>| {
        call(seen(key.as_ref()).as_ref(), left, right)
    };
    let windows = JoinWindows::of_time_difference(node.millis("before_ms")?)
        .grace(node.millis("grace_ms")?)
        .before(node.millis("before_ms")?)
        .after(node.millis("after_ms")?);
    let (a, b) = (&left.stream, &right.stream);
    let joined = match node.text("kind")? {
        "inner" => a.join(b, windows, move |key, left, right| join(key, Some(left), Some(right))),
        "left" => a.left_join(b, windows, move |key, left, right| join(key, Some(left), right)),
        "outer" => a.outer_join(b, windows, join),
        _ => return no_kind(node),
    };
    let mut joined = joined
        .key_serde(KeySerde(left.key))
        .left_value_serde(ValueSerde(left.value))
        .right_value_serde(ValueSerde(right.value));
    if let Some(name) = &node.name {
        joined = joined.named(name);
    }
    let store = node.store()?.unwrap_or_default();
    if let Some(name) = store.name {
        joined = joined.store_name(name);
    }
    joined = match store.kind.as_deref() {
        Some("in_memory") => joined.in_memory(),
        Some("persistent") => joined.persistent(),
        _ => joined,
    };
    if store.logging == Some(false) {
        joined = joined.unlogged();
    }
    Ok(K::stream(Stream::new((*joined).clone(), left.key, out)))
}

fn table_join<K: Held>(node: &Node, left: &Stream<K>, right: Handle) -> Result<Handle> {
    let Some(right) = K::as_table(right).filter(|right| right.key == left.key) else {
        return malformed(format!("wrong sides of {}", node.id));
    };
    let function::Typed { out, call } = function::joiner(node.text("joiner")?, left.value, right.value)?;
    let join = move |key: &Option<K>, left: &Value, right: Option<&Value>| {
        call(seen(key.as_ref()).as_ref(), Some(left), right)
    };
    let joined = match node.text("kind")? {
        "inner" => left
            .stream
            .join_table(&right.table, move |key, left, right| join(key, &left, Some(&right))),
        "left" => left
            .stream
            .left_join_table(&right.table, move |key, left, right| join(key, &left, right.as_ref())),
        _ => return no_kind(node),
    };
    let mut joined = joined
        .key_serde(KeySerde(left.key))
        .left_value_serde(ValueSerde(left.value));
    if node.has("grace_ms") {
        joined = joined.grace(node.millis("grace_ms")?);
    }
    if let Some(name) = &node.name {
        joined = joined.named(name);
    }
    Ok(K::stream(Stream::new((*joined).clone(), left.key, out)))
}

fn tables<K: Held>(node: &Node, left: &Table<K>, right: Handle) -> Result<Handle> {
    let Some(right) = K::as_table(right).filter(|right| right.key == left.key) else {
        return malformed(format!("wrong sides of {}", node.id));
    };
    let function::Typed { out, call } = function::joiner(node.text("joiner")?, left.value, right.value)?;
    let (left, key) = (&left.table, left.key);
    let table = match node.text("kind")? {
        "inner" => left.join(&right.table, move |left: Value, right: Value| {
            call(None, left.some().as_ref(), right.some().as_ref())
        }),
        "left" => left.left_join(&right.table, move |left: Value, right: Option<Value>| {
            call(None, left.some().as_ref(), right.and_then(Value::some).as_ref())
        }),
        "outer" => left.outer_join(&right.table, move |left: Option<Value>, right: Option<Value>| {
            let (left, right) = (left.and_then(Value::some), right.and_then(Value::some));
            call(None, left.as_ref(), right.as_ref())
        }),
        _ => return no_kind(node),
    };
    Ok(K::table(Table { table, key, value: out }.settled(node)?))
}

fn global_join<K: Held>(node: &Node, left: &Stream<K>, right: &Global) -> Result<Handle> {
    let choose = function::key(node.text("key_fn")?)?;
    let choose = move |key: &Option<K>, value: &Option<Value>| {
        choose(seen(key.as_ref()).as_ref(), value.as_ref()).map(Key::Text)
    };
    let function::Typed { out, call } = function::joiner(node.text("joiner")?, left.value, right.value)?;
    let joined = match node.text("kind")? {
        "inner" => left
            .stream
            .join_global(&right.table, choose, move |key, left, right: Value| {
                call(seen(key.as_ref()).as_ref(), Some(&left), Some(&right))
            }),
        "left" => left
            .stream
            .left_join_global(&right.table, choose, move |key, left, right| {
                call(seen(key.as_ref()).as_ref(), Some(&left), right.as_ref())
            }),
        _ => return no_kind(node),
    };
    Ok(K::stream(Stream::new(joined, left.key, out).named(node.name.as_ref())))
}

fn foreign_key<K: Held>(node: &Node, left: &Table<K>, right: &Table<Key>) -> Result<Handle> {
    let function::Typed { out, call } = function::joiner(node.text("joiner")?, left.value, right.value)?;
    let choose = function::key(node.text("fk_fn")?)?;
    let choose = move |key: &K, value: &Value| choose(seen(Some(key)).as_ref(), Some(value)).map(Key::Text);
    let (left, key) = (&left.table, left.key);
    let table = match node.text("kind")? {
        "inner" => left.join_foreign_key(&right.table, choose, move |left: Value, right: Value| {
            call(None, left.some().as_ref(), right.some().as_ref())
        }),
        "left" => left.left_join_foreign_key(&right.table, choose, move |left: Value, right: Option<Value>| {
            call(None, left.some().as_ref(), right.and_then(Value::some).as_ref())
        }),
        _ => return no_kind(node),
    };
    Ok(K::table(Table { table, key, value: out }.settled(node)?))
}
