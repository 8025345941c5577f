//! A case's nodes become calls of the DSL.

use std::collections::BTreeMap;
use std::sync::Arc;

use kstreams_dsl::{
    BuildOptions, GlobalKTable, KGroupedStream, KGroupedTable, KStream, KTable, Materialized, StreamsBuilder,
};
use kstreams_topology::Topology;

use crate::case::{CaseError, Node, Result, malformed};
use crate::notes::Notes;
use crate::value::{Key, KeySerde, KeyType, Value, ValueSerde, ValueType};

mod grouped;
mod join;
mod plain;
mod source;
mod stream;
mod table;

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
    Stream(Stream),
    Table(Table),
    Grouped(Grouped),
    GroupedTable(GroupedTable),
    Global(Global),
    Nothing,
}

#[derive(Clone)]
struct Stream {
    stream: KStream<Option<Key>, Option<Value>>,
    key: KeyType,
    value: ValueType,
}

#[derive(Clone)]
struct Table {
    table: KTable<Key, Value>,
    key: KeyType,
    value: ValueType,
}

#[derive(Clone)]
struct Global {
    table: GlobalKTable<Key, Value>,
    value: ValueType,
}

#[derive(Clone)]
struct Grouped {
    grouped: KGroupedStream<Key, Option<Value>>,
    key: KeyType,
    value: ValueType,
}

#[derive(Clone)]
struct GroupedTable {
    grouped: KGroupedTable<Key, Value>,
    value: ValueType,
}

impl Program {
    fn add(&mut self, node: &Node) -> Result<()> {
        let handle = match node.op.as_str() {
            "stream" => self.stream(node)?,
            "table" => self.table(node)?,
            "global_table" => self.global_table(node)?,
            "stream_global_join" => self.stream_global_join(node)?,
            "table_table_join" => self.table_table_join(node)?,
            "stream_stream_join" | "stream_table_join" | "fk_join" | "cogroup" | "windowed_by" | "suppress" => {
                return Err(CaseError::Unsupported(node.op.clone()));
            }
            "merge" => self.merge(node)?,
            "split" => return self.split(node),
            _ => match self.first(node)? {
                Handle::Stream(stream) => self.on_stream(node, &stream)?,
                Handle::Table(table) => table.on_table(node)?,
                Handle::Grouped(grouped) => grouped.on_grouped(node)?,
                Handle::GroupedTable(grouped) => grouped.on_grouped_table(node)?,
                Handle::Global(_) | Handle::Nothing => {
                    return malformed(format!("op {} cannot follow {:?}", node.op, node.from()));
                }
            },
        };
        self.put(&node.id, handle)
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

impl Stream {
    fn new(stream: KStream<Option<Key>, Option<Value>>, key: KeyType, value: ValueType) -> Self {
        let stream = stream.key_serde(KeySerde(key)).value_serde(ValueSerde(value));
        Self { stream, key, value }
    }
}

/// How a node wants its table kept; a case always gives serdes.
fn materialized(node: &Node, key: KeyType, value: ValueType) -> Result<Materialized<Key, Value>> {
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
    Ok(materialized)
}
