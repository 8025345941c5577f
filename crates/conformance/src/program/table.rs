//! Operators on tables.

use std::time::Duration;

use kstreams_dsl::{Buffer, Suppressed};
use serde_json::Value as Json;

use super::{GroupedTable, Handle, Held, Stream, Table, materialized};
use crate::case::{Node, Result, malformed};
use crate::function;
use crate::key::{Key, KeySerde, KeyType, seen};
use crate::value::{Value, ValueSerde};

impl<K: Held> Table<K> {
    pub(super) fn on_table(&self, node: &Node) -> Result<Handle> {
        let (table, value) = match node.op.as_str() {
            "to_stream" => return self.to_stream(node),
            "group_by" => return self.group_by(node),
            "suppress" => return self.suppress(node),
            "filter" => {
                let holds = function::predicate(node.text("pred")?)?;
                let holds =
                    move |key: &K, value: &Value| *value != Value::Nothing && holds(Some(&key.seen()), Some(value));
                (self.table.filter(holds), self.value)
            }
            "filter_not" => {
                let holds = function::predicate(node.text("pred")?)?;
                let holds =
                    move |key: &K, value: &Value| *value == Value::Nothing || holds(Some(&key.seen()), Some(value));
                (self.table.filter_not(holds), self.value)
            }
            "map_values" => {
                let map = function::value(node.text("value_fn")?, self.value)?;
                let call = map.call;
                let mapped = self
                    .table
                    .map_values(move |key, value: Value| call(Some(&key.seen()), Some(&value.some()?)));
                (mapped, map.out)
            }
            other => return malformed(format!("no op {other} of a table")),
        };
        let mapped = Self {
            table,
            key: self.key,
            value,
        };
        Ok(K::table(mapped.settled(node)?))
    }

    /// The same table, stored and named as its node says.
    pub(super) fn settled(mut self, node: &Node) -> Result<Self> {
        self.table = if node.is_bare() {
            self.table.value_serde(ValueSerde(self.value))
        } else {
            self.table.materialized(materialized(node, self.key, self.value)?)
        };
        Ok(self.named(node.name.as_ref()))
    }

    fn suppress(&self, node: &Node) -> Result<Handle> {
        let options = node.json("buffer");
        let limit = |name: &str| options.get(name).and_then(Json::as_u64);
        let early = match (limit("max_records"), limit("max_bytes")) {
            (None, None) => None,
            (records, bytes) => {
                let records = Buffer::max_records(records.unwrap_or(u64::MAX));
                Some(bytes.map_or_else(|| records.clone(), |bytes| records.clone().max_bytes(bytes)))
            }
        };
        let shuts_down = options.get("full").and_then(Json::as_str) == Some("shut_down");
        let unlogged = options.get("logging").and_then(Json::as_bool) == Some(false);
        let strict = match &early {
            None => Some(Buffer::unbounded()),
            Some(buffer) => shuts_down.then(|| buffer.clone().shut_down_when_full()),
        };
        let strict = strict.map(|buffer| if unlogged { buffer.unlogged() } else { buffer });
        let wait = node.json("until").get("time_ms").and_then(Json::as_u64);
        let suppressed = match (wait.map(Duration::from_millis), strict, early) {
            (Some(wait), Some(buffer), _) => Suppressed::until_time_limit(wait, buffer),
            (Some(wait), None, Some(buffer)) => {
                Suppressed::until_time_limit(wait, if unlogged { buffer.unlogged() } else { buffer })
            }
            (None, Some(buffer), _) => match K::until_window_closes(buffer) {
                Some(suppressed) => suppressed,
                None => return malformed(format!("node {} has no windows to wait for", node.id)),
            },
            _ => {
                return malformed(format!(
                    "node {} needs a buffer that is unbounded or shuts down",
                    node.id
                ));
            }
        };
        let table = Self {
            table: self.table.suppress(suppressed),
            ..*self
        };
        Ok(K::table(table.named(node.name.as_ref())))
    }

    fn group_by(&self, node: &Node) -> Result<Handle> {
        let select = function::key(node.text("key_fn")?)?;
        let map = function::value(node.json("value_fn").as_str().unwrap_or("identity"), self.value)?;
        let call = map.call;
        let grouped = self.table.group_by(move |key, value: Value| {
            let value = value.some();
            let key = key.seen();
            (
                select(Some(&key), value.as_ref()).map(Key::Text),
                call(Some(&key), value.as_ref()),
            )
        });
        let grouped = grouped
            .key_serde(KeySerde(KeyType::Text))
            .value_serde(ValueSerde(map.out));
        let grouped = if let Some(name) = &node.name {
            grouped.named(name)
        } else {
            grouped
        };
        Ok(Handle::GroupedTable(GroupedTable {
            grouped,
            value: map.out,
        }))
    }

    fn to_stream(&self, node: &Node) -> Result<Handle> {
        let stream = self.table.to_stream_as::<Option<K>, Option<Value>>();
        let stream = Stream::new(stream, self.key, self.value).named(node.name.as_ref());
        if !node.has("key_fn") {
            return Ok(K::stream(stream));
        }
        let select = function::key(node.text("key_fn")?)?;
        let keyed = stream
            .stream
            .select_key(move |key, value| select(seen(key.as_ref()).as_ref(), value.as_ref()).map(Key::Text));
        Ok(Handle::Stream(Stream::new(keyed, KeyType::Text, self.value)))
    }
}
