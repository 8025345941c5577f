//! A case's nodes become calls of the DSL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kstreams_dsl::option::ShutDown;
use kstreams_dsl::{
    Buffer, BuildOptions, GlobalKTable, KGroupedStream, KGroupedTable, KStream, KTable, Materialized, StreamsBuilder,
    Suppressed,
};
use kstreams_topology::{Topology, Windowed};

use crate::case::{CaseError, Node, Result, malformed};
use crate::key::{CaseKey, Key, KeySerde, KeyType};
use crate::notes::Notes;
use crate::value::{Value, ValueSerde, ValueType};

mod grouped;
mod join;
mod plain;
mod source;
mod stream;
mod table;
mod windowed;

/// The types of a topic's records, where the case says them.
pub(crate) type TopicTypes = BTreeMap<String, (KeyType, ValueType)>;

/// The topology that a case describes, and what its topics hold.
pub(crate) fn build(nodes: &[Node], options: BuildOptions, notes: &Arc<Notes>) -> Result<(Topology, TopicTypes)> {
    if nodes.iter().any(|node| node.op.starts_with("papi_")) {
        return plain::build(nodes);
    }
    let mut program = Program {
        builder: StreamsBuilder::new(),
        handles: BTreeMap::new(),
        topics: TopicTypes::new(),
        notes: notes.clone(),
    };
    for node in nodes {
        program.add(node)?;
    }
    Ok((program.builder.build_with(options)?, program.topics))
}

struct Program {
    builder: StreamsBuilder,
    handles: BTreeMap<String, Handle>,
    topics: TopicTypes,
    notes: Arc<Notes>,
}

/// What a node's id stands for.
#[derive(Clone)]
enum Handle {
    Stream(Stream<Key>),
    WindowedStream(Stream<Windowed<Key>>),
    Table(Table<Key>),
    WindowedTable(Table<Windowed<Key>>),
    Grouped(Grouped<Key>),
    WindowedGrouped(Grouped<Windowed<Key>>),
    Divided(windowed::Divided),
    Cogrouped(windowed::Cogrouped),
    GroupedTable(GroupedTable),
    Global(Global),
    Nothing,
}

#[derive(Clone)]
struct Stream<K: CaseKey> {
    stream: KStream<Option<K>, Option<Value>>,
    key: KeyType,
    value: ValueType,
}

#[derive(Clone)]
struct Table<K: CaseKey> {
    table: KTable<K, Value>,
    key: KeyType,
    value: ValueType,
}

#[derive(Clone)]
struct Global {
    table: GlobalKTable<Key, Value>,
    value: ValueType,
}

#[derive(Clone)]
struct Grouped<K: CaseKey> {
    grouped: KGroupedStream<K, Option<Value>>,
    key: KeyType,
    value: ValueType,
}

#[derive(Clone)]
struct GroupedTable {
    grouped: KGroupedTable<Key, Value>,
    value: ValueType,
}

/// A key type, and the handles of what has such keys.
trait Held: CaseKey {
    fn stream(stream: Stream<Self>) -> Handle;

    fn table(table: Table<Self>) -> Handle;

    fn grouped(grouped: Grouped<Self>) -> Handle;

    /// Waits for the end of windows, if keys have any.
    fn until_window_closes(buffer: Buffer<ShutDown>) -> Option<Suppressed<Self>>;

    /// The stream that a handle stands for, if its keys are such.
    fn as_stream(handle: Handle) -> Option<Stream<Self>>;

    /// The table that a handle stands for, if its keys are such.
    fn as_table(handle: Handle) -> Option<Table<Self>>;
}

macro_rules! held {
    ($key:ty, $stream:ident, $table:ident, $grouped:ident, $window_closes:expr) => {
        impl Held for $key {
            fn stream(stream: Stream<Self>) -> Handle {
                Handle::$stream(stream)
            }

            fn table(table: Table<Self>) -> Handle {
                Handle::$table(table)
            }

            fn grouped(grouped: Grouped<Self>) -> Handle {
                Handle::$grouped(grouped)
            }

            fn until_window_closes(buffer: Buffer<ShutDown>) -> Option<Suppressed<Self>> {
                let until: fn(_) -> _ = $window_closes;
                until(buffer)
            }

            fn as_stream(handle: Handle) -> Option<Stream<Self>> {
                match handle {
                    Handle::$stream(stream) => Some(stream),
                    _ => None,
                }
            }

            fn as_table(handle: Handle) -> Option<Table<Self>> {
                match handle {
                    Handle::$table(table) => Some(table),
                    _ => None,
                }
            }
        }
    };
}

held!(Key, Stream, Table, Grouped, |_| None);
held!(
    Windowed<Key>,
    WindowedStream,
    WindowedTable,
    WindowedGrouped,
    |buffer| Some(Suppressed::until_window_closes(buffer))
);

impl Program {
    fn add(&mut self, node: &Node) -> Result<()> {
        let handle = match node.op.as_str() {
            "stream" => self.stream(node)?,
            "table" => self.table(node)?,
            "global_table" => self.global_table(node)?,
            "stream_stream_join" | "stream_table_join" | "stream_global_join" | "table_table_join" | "fk_join" => {
                self.join(node)?
            }
            "cogroup" => self.cogroup(node)?,
            "merge" => match self.first(node)? {
                Handle::WindowedStream(first) => self.merge(node, first)?,
                Handle::Stream(first) => self.merge(node, first)?,
                _ => return malformed(format!("node {} merges no streams", node.id)),
            },
            "split" => match self.first(node)? {
                Handle::WindowedStream(input) => return self.split(node, &input),
                Handle::Stream(input) => return self.split(node, &input),
                _ => return malformed(format!("no op split before {}", node.id)),
            },
            _ => self.on(node)?,
        };
        self.put(&node.id, handle)
    }

    /// An op of one input.
    fn on(&mut self, node: &Node) -> Result<Handle> {
        match self.first(node)? {
            Handle::Stream(stream) => self.on_stream(node, &stream),
            Handle::WindowedStream(stream) => self.on_stream(node, &stream),
            Handle::Table(table) => table.on_table(node),
            Handle::WindowedTable(table) => table.on_table(node),
            Handle::Grouped(grouped) if node.op == "windowed_by" => grouped.windowed_by(node),
            Handle::Grouped(grouped) => grouped.on_grouped(node),
            Handle::Divided(divided) => divided.on_divided(node),
            Handle::Cogrouped(cogrouped) => cogrouped.on_cogrouped(node),
            Handle::WindowedGrouped(grouped) => grouped.on_grouped(node),
            Handle::GroupedTable(grouped) => grouped.on_grouped_table(node),
            Handle::Global(_) | Handle::Nothing => malformed(format!("op {} cannot follow {:?}", node.op, node.from())),
        }
    }

    fn put(&mut self, id: &str, handle: Handle) -> Result<()> {
        match self.handles.insert(id.to_owned(), handle) {
            None => Ok(()),
            Some(_) => malformed(format!("two nodes {id}")),
        }
    }

    fn handle(&self, id: &str) -> Result<Handle> {
        let unknown = || CaseError::Malformed(format!("no node {id}"));
        self.handles.get(id).cloned().ok_or_else(unknown)
    }

    fn first(&self, node: &Node) -> Result<Handle> {
        match node.from().first() {
            Some(id) => self.handle(id),
            None => malformed(format!("node {} needs from", node.id)),
        }
    }
}

impl<K: CaseKey> Stream<K> {
    fn new(stream: KStream<Option<K>, Option<Value>>, key: KeyType, value: ValueType) -> Self {
        let stream = stream.key_serde(KeySerde(key)).value_serde(ValueSerde(value));
        Self { stream, key, value }
    }

    fn named(self, name: Option<&String>) -> Self {
        match name {
            Some(name) => Self {
                stream: self.stream.named(name),
                ..self
            },
            None => self,
        }
    }
}

impl<K: CaseKey> Table<K> {
    fn named(self, name: Option<&String>) -> Self {
        match name {
            Some(name) => Self {
                table: self.table.named(name),
                ..self
            },
            None => self,
        }
    }
}

/// How a node wants its table kept; a case always gives serdes.
fn materialized<K: CaseKey>(node: &Node, key: KeyType, value: ValueType) -> Result<Materialized<K, Value>> {
    let options = node.store()?.unwrap_or_default();
    let mut materialized = match options.name {
        Some(name) => Materialized::named(name),
        None => Materialized::new(),
    };
    materialized = materialized.key_serde(KeySerde(key)).value_serde(ValueSerde(value));
    materialized = match options.kind.as_deref() {
        None => materialized,
        Some("persistent") => materialized.persistent(),
        Some("in_memory") => materialized.in_memory(),
        Some("versioned") => {
            let history = options.history_ms.unwrap_or_default();
            let versioned = materialized.versioned(Duration::from_millis(history));
            match options.segment_ms {
                Some(segment) => versioned.segment(Duration::from_millis(segment)),
                None => versioned,
            }
        }
        Some(other) => return malformed(format!("no store kind {other}")),
    };
    materialized = match options.caching {
        None => materialized,
        Some(true) => materialized.cached(),
        Some(false) => materialized.uncached(),
    };
    if options.logging == Some(false) {
        materialized = materialized.unlogged();
    }
    if let Some(retention_ms) = options.retention_ms {
        materialized = materialized.retention(Duration::from_millis(retention_ms));
    }
    Ok(materialized)
}
