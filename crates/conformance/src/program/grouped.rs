//! Aggregations of grouped streams and tables.

use super::{Grouped, GroupedTable, Handle, Held, Table, materialized};
use crate::case::{Node, Result, malformed};
use crate::function;
use crate::key::KeyType;
use crate::value::{Value, ValueType};

impl<K: Held> Grouped<K> {
    pub(super) fn on_grouped(&self, node: &Node) -> Result<Handle> {
        let (table, value) = match node.op.as_str() {
            "count" => (self.grouped.count_as(), ValueType::Long),
            "reduce" => {
                let combine = function::reducer(node.text("fn")?, self.value)?;
                (
                    self.grouped.reduce(move |so_far, value| combine(so_far, value)),
                    self.value,
                )
            }
            "aggregate" => {
                let function::Aggregator { out, init, add, .. } = function::aggregator(node.text("fn")?, self.value)?;
                let folded = self.grouped.aggregate(
                    move || init.clone().some(),
                    move |key, value, so_far: Option<Value>| {
                        add(&key.seen(), Some(value), so_far.unwrap_or(Value::Nothing))
                    },
                );
                (folded, out)
            }
            other => return malformed(format!("no op {other} of a grouped stream")),
        };
        let table = Table {
            table: table.materialized(materialized(node, self.key, value)?),
            key: self.key,
            value,
        };
        Ok(K::table(table.named(node.name.as_ref())))
    }
}

impl GroupedTable {
    pub(super) fn on_grouped_table(&self, node: &Node) -> Result<Handle> {
        let (table, value) = match node.op.as_str() {
            "count" => (self.grouped.count_as(), ValueType::Long),
            "reduce" => {
                let add = function::reducer(node.text("fn")?, self.value)?;
                let subtract = function::reducer(node.text("sub_fn")?, self.value)?;
                let reduced = self.grouped.reduce(
                    move |so_far, value| add(so_far, value),
                    move |so_far, value| subtract(so_far, value),
                );
                (reduced, self.value)
            }
            "aggregate" => {
                let function::Aggregator {
                    out,
                    init,
                    add,
                    subtract,
                    ..
                } = function::aggregator(node.text("fn")?, self.value)?;
                let folded = self.grouped.aggregate(
                    move || init.clone(),
                    move |key, value, so_far| add(key, Some(value), so_far),
                    move |key, value, so_far| subtract(key, Some(value), so_far),
                );
                (folded, out)
            }
            other => return malformed(format!("no op {other} of a grouped table")),
        };
        let table = Table {
            table: table.materialized(materialized(node, KeyType::Text, value)?),
            key: KeyType::Text,
            value,
        };
        Ok(Handle::Table(table.named(node.name.as_ref())))
    }
}
