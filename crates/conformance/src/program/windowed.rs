//! Aggregations in windows, and of several streams together.

use std::time::Duration;

use kstreams_dsl::{
    CogroupedKStream, EmitStrategy, KTable, SessionWindowedCogroupedKStream, SessionWindowedKStream, SessionWindows,
    SlidingWindowedCogroupedKStream, SlidingWindowedKStream, SlidingWindows, TimeWindowedCogroupedKStream,
    TimeWindowedKStream, TimeWindows,
};
use kstreams_topology::Windowed;
use serde_json::Value as Json;

use super::{Grouped, Handle, Program, Table, materialized};
use crate::case::{Node, Result, malformed};
use crate::function;
use crate::key::{CaseKey, Key, KeyType};
use crate::value::{Value, ValueType};

/// A grouped stream in windows.
#[derive(Clone)]
pub(super) struct Divided {
    stream: DividedStream,
    key: KeyType,
    value: ValueType,
}

#[derive(Clone)]
enum DividedStream {
    Time(TimeWindowedKStream<Key, Option<Value>>),
    Sliding(SlidingWindowedKStream<Key, Option<Value>>),
    Session(SessionWindowedKStream<Key, Option<Value>>),
}

/// Several grouped streams, perhaps in windows.
#[derive(Clone)]
pub(super) struct Cogrouped {
    streams: CogroupedStreams,
    key: KeyType,
    init: Value,
    merge: function::Merge,
    value: ValueType,
}

#[derive(Clone)]
enum CogroupedStreams {
    Plain(CogroupedKStream<Key, Option<Value>>),
    Time(TimeWindowedCogroupedKStream<Key, Option<Value>>),
    Sliding(SlidingWindowedCogroupedKStream<Key, Option<Value>>),
    Session(SessionWindowedCogroupedKStream<Key, Option<Value>>),
}

/// The windows that a case names.
enum AnyWindows {
    Time(TimeWindows),
    Sliding(SlidingWindows),
    Session(SessionWindows),
}

impl Grouped<Key> {
    pub(super) fn windowed_by(&self, node: &Node) -> Result<Handle> {
        let (windows, key) = windows(node)?;
        let emit = match node.json("emit").as_str() {
            Some("on_window_close") => EmitStrategy::OnWindowClose,
            _ => EmitStrategy::OnWindowUpdate,
        };
        let grouped = &self.grouped;
        let stream = match windows {
            AnyWindows::Time(windows) => DividedStream::Time(grouped.windowed_by(windows).emit(emit)),
            AnyWindows::Sliding(windows) => DividedStream::Sliding(grouped.windowed_by(windows).emit(emit)),
            AnyWindows::Session(windows) => DividedStream::Session(grouped.windowed_by(windows).emit(emit)),
        };
        Ok(Handle::Divided(Divided {
            stream,
            key,
            value: self.value,
        }))
    }
}

impl Divided {
    pub(super) fn on_divided(&self, node: &Node) -> Result<Handle> {
        let (table, value) = match node.op.as_str() {
            "count" => (self.count(), ValueType::Long),
            "reduce" => (self.reduce(node)?, self.value),
            "aggregate" => self.aggregate(node)?,
            other => return malformed(format!("no op {other} of a windowed stream")),
        };
        windowed_table(node, table, self.key, value)
    }

    fn count(&self) -> KTable<Windowed<Key>, Value> {
        match &self.stream {
            DividedStream::Time(stream) => stream.count_as(),
            DividedStream::Sliding(stream) => stream.count_as(),
            DividedStream::Session(stream) => stream.count_as(),
        }
    }

    fn reduce(&self, node: &Node) -> Result<KTable<Windowed<Key>, Value>> {
        let combine = function::reducer(node.text("fn")?, self.value)?;
        let nullable = {
            let combine = combine.clone();
            move |so_far: Value, value: Option<Value>| match value {
                Some(value) => combine(so_far, value),
                None => Some(so_far),
            }
        };
        Ok(match &self.stream {
            DividedStream::Time(stream) => stream.reduce(nullable),
            DividedStream::Sliding(stream) => stream.reduce(move |so_far, value| combine(so_far, value)),
            DividedStream::Session(stream) => stream.reduce(nullable),
        })
    }

    fn aggregate(&self, node: &Node) -> Result<(KTable<Windowed<Key>, Value>, ValueType)> {
        let function::Aggregator {
            out, init, add, merge, ..
        } = function::aggregator(node.text("fn")?, self.value)?;
        let init = move || init.clone().some();
        let add =
            move |key: &Key, value, so_far: Option<Value>| add(&key.seen(), value, so_far.unwrap_or(Value::Nothing));
        let table = match &self.stream {
            DividedStream::Time(stream) => stream.aggregate(init, add),
            DividedStream::Sliding(stream) => {
                stream.aggregate(init, move |key, value, so_far| add(key, Some(value), so_far))
            }
            DividedStream::Session(stream) => stream.aggregate(init, add, move |key, one: Option<Value>, other| {
                merge(&key.seen(), one.unwrap_or(Value::Nothing), other)
            }),
        };
        Ok((table, out))
    }
}

impl Program {
    /// Several grouped streams, an aggregator for each.
    pub(super) fn cogroup(&self, node: &Node) -> Result<Handle> {
        let functions = node.json("fns").as_array().cloned().unwrap_or_default();
        let mut together: Option<Cogrouped> = None;
        for (from, function) in node.from().into_iter().zip(&functions) {
            let Handle::Grouped(grouped) = self.handle(from)? else {
                return malformed(format!("{from} is no grouped stream"));
            };
            let name = function.as_str().unwrap_or_default();
            let function::Aggregator {
                out, init, add, merge, ..
            } = function::aggregator(name, grouped.value)?;
            let add = move |key: &Key, value: Option<Value>, so_far: Option<Value>| {
                add(&key.seen(), value, so_far.unwrap_or(Value::Nothing))
            };
            together = Some(match together {
                None => Cogrouped {
                    streams: CogroupedStreams::Plain(grouped.grouped.cogroup(add)),
                    key: KeyType::Text,
                    init,
                    merge,
                    value: out,
                },
                Some(Cogrouped {
                    streams: CogroupedStreams::Plain(streams),
                    key,
                    init,
                    merge,
                    value,
                }) => Cogrouped {
                    streams: CogroupedStreams::Plain(streams.cogroup(&grouped.grouped, add)),
                    key,
                    init,
                    merge,
                    value,
                },
                Some(_) => return malformed("a cogroup in windows grows no more"),
            });
        }
        match together {
            Some(together) => Ok(Handle::Cogrouped(together)),
            None => malformed(format!("node {} groups nothing", node.id)),
        }
    }
}

impl Cogrouped {
    pub(super) fn on_cogrouped(&self, node: &Node) -> Result<Handle> {
        match node.op.as_str() {
            "windowed_by" => self.windowed_by(node),
            "aggregate" => self.aggregate(node),
            other => malformed(format!("no op {other} of a cogroup")),
        }
    }

    fn windowed_by(&self, node: &Node) -> Result<Handle> {
        let CogroupedStreams::Plain(streams) = &self.streams else {
            return malformed(format!("node {} is in windows already", node.id));
        };
        let (windows, key) = windows(node)?;
        let streams = match windows {
            AnyWindows::Time(windows) => CogroupedStreams::Time(streams.windowed_by(windows)),
            AnyWindows::Sliding(windows) => CogroupedStreams::Sliding(streams.windowed_by(windows)),
            AnyWindows::Session(windows) => CogroupedStreams::Session(streams.windowed_by(windows)),
        };
        Ok(Handle::Cogrouped(Self {
            streams,
            key,
            ..self.clone()
        }))
    }

    fn aggregate(&self, node: &Node) -> Result<Handle> {
        let (start, merge) = (self.init.clone(), self.merge.clone());
        let init = move || start.clone().some();
        let table = match &self.streams {
            CogroupedStreams::Plain(streams) => {
                let table = streams
                    .aggregate(init)
                    .materialized(materialized(node, self.key, self.value)?);
                let table = Table {
                    table,
                    key: self.key,
                    value: self.value,
                };
                return Ok(Handle::Table(table.named(node.name.as_ref())));
            }
            CogroupedStreams::Time(streams) => streams.aggregate(init),
            CogroupedStreams::Sliding(streams) => streams.aggregate(init),
            CogroupedStreams::Session(streams) => streams.aggregate(init, move |key, one: Option<Value>, other| {
                merge(&key.seen(), one.unwrap_or(Value::Nothing), other)
            }),
        };
        windowed_table(node, table, self.key, self.value)
    }
}

fn windowed_table(node: &Node, table: KTable<Windowed<Key>, Value>, key: KeyType, value: ValueType) -> Result<Handle> {
    let table = Table {
        table: table.materialized(materialized(node, key, value)?),
        key,
        value,
    };
    Ok(Handle::WindowedTable(table.named(node.name.as_ref())))
}

/// The windows of a node, and the type of the keys in them.
fn windows(node: &Node) -> Result<(AnyWindows, KeyType)> {
    let window = node.json("window");
    let ms = |field: &str| window.get(field).and_then(Json::as_u64).unwrap_or(0);
    let span = |field: &str| Duration::from_millis(ms(field));
    let size = |field: &str| KeyType::Time(i64::try_from(ms(field)).unwrap_or(i64::MAX));
    let fixed = || TimeWindows::of_size(span("size_ms")).grace(span("grace_ms"));
    Ok(match window.get("type").and_then(Json::as_str) {
        Some("tumbling") => (AnyWindows::Time(fixed()), size("size_ms")),
        Some("hopping") => (
            AnyWindows::Time(fixed().advance_by(span("advance_ms"))),
            size("size_ms"),
        ),
        Some("sliding") => {
            let windows = SlidingWindows::of_time_difference(span("diff_ms")).grace(span("grace_ms"));
            (AnyWindows::Sliding(windows), size("diff_ms"))
        }
        Some("session") => {
            let windows = SessionWindows::of_inactivity_gap(span("gap_ms")).grace(span("grace_ms"));
            (AnyWindows::Session(windows), KeyType::Session)
        }
        other => return malformed(format!("no windows {other:?}")),
    })
}
