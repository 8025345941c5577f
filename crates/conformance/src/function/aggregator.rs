//! Functions that fold values into an aggregate.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Spec, compare};
use crate::case::{Result, malformed};
use crate::key::Key;
use crate::value::{Value, ValueType, length};

/// What a value adds to a text.
type Part = Arc<dyn Fn(&Key, &str) -> String + Send + Sync>;

pub(crate) type Fold = Arc<dyn Fn(&Key, Option<Value>, Value) -> Option<Value> + Send + Sync>;

/// Two aggregates of a key as one.
pub(crate) type Merge = Arc<dyn Fn(&Key, Value, Value) -> Option<Value> + Send + Sync>;

/// An aggregate's type, its beginning, and how a value is added.
pub(crate) struct Aggregator {
    pub(crate) out: ValueType,
    pub(crate) init: Value,
    pub(crate) add: Fold,
    pub(crate) subtract: Fold,
    pub(crate) merge: Merge,
}

pub(crate) fn aggregator(spec: &str, input: ValueType) -> Result<Aggregator> {
    let spec = Spec::parse(spec);
    if spec.name == "sum" && input != ValueType::Long {
        return malformed("function sum does not take strings");
    }
    Ok(match spec.name {
        "count" => number(|_| 1),
        "sum" => number(|value| value.map_or(0, |value| value.long())),
        "sum_len" => number(|value| {
            let length = value.map_or("null".len(), |value| length(&value));
            i64::try_from(length).unwrap_or(i64::MAX)
        }),
        "concat" => text(None, joined(None, false), |_, value| format!("{value};")),
        "concat_kv" => text(None, joined(None, true), |key, value| {
            format!("{}={value};", key.text())
        }),
        "concat_cap" => {
            let limit = Some(spec.number()?);
            text(limit, joined(limit, false), |_, value| format!("{value};"))
        }
        "last" => ended_by(input, |_, value| value, |_, value| value.some()),
        "max" => ended_by(input, greater, |a, b| greater(a, b.some())),
        _ => return spec.unknown("aggregator"),
    })
}

fn number(amount: impl Fn(Option<Value>) -> i64 + Send + Sync + 'static) -> Aggregator {
    let (amount, taken) = (Arc::new(amount), |so_far: i64, amount: i64| so_far.wrapping_sub(amount));
    let added = amount.clone();
    Aggregator {
        out: ValueType::Long,
        init: Value::Long(0),
        add: Arc::new(move |_, value, so_far| Some(Value::Long(so_far.long().wrapping_add(added(value))))),
        subtract: Arc::new(move |_, value, so_far| Some(Value::Long(taken(so_far.long(), amount(value))))),
        merge: Arc::new(|_, a, b| Some(Value::Long(a.long().wrapping_add(b.long())))),
    }
}

fn text(limit: Option<usize>, merge: Merge, part: impl Fn(&Key, &str) -> String + Send + Sync + 'static) -> Aggregator {
    let part = Arc::new(part);
    let append = |sign: char, part: Part| -> Fold {
        Arc::new(move |key, value, so_far| {
            let so_far = so_far.some().map(|so_far| so_far.render()).unwrap_or_default();
            let text = format!("{so_far}{sign}{}", part(key, &crate::value::render(value.as_ref())));
            within(limit, text)
        })
    };
    Aggregator {
        out: ValueType::Text,
        init: Value::Text(String::new()),
        add: append('+', part.clone()),
        subtract: append('-', part),
        merge,
    }
}

fn within(limit: Option<usize>, text: String) -> Option<Value> {
    limit
        .is_none_or(|limit| text.len() <= limit)
        .then_some(Value::Text(text))
}

/// Both texts with a bar between them, with the key before it if so wanted.
fn joined(limit: Option<usize>, keyed: bool) -> Merge {
    Arc::new(move |key, a, b| {
        let text = |value: Value| value.some().map(|value| value.render()).unwrap_or_default();
        let start = if keyed {
            format!("{}:", key.text())
        } else {
            String::new()
        };
        within(limit, format!("{start}{}|{}", text(a), text(b)))
    })
}

/// Begins with null, and keeps what it has when a value goes.
fn ended_by(
    input: ValueType,
    add: impl Fn(Value, Option<Value>) -> Option<Value> + Send + Sync + 'static,
    merge: impl Fn(Value, Value) -> Option<Value> + Send + Sync + 'static,
) -> Aggregator {
    Aggregator {
        out: input,
        init: Value::Nothing,
        add: Arc::new(move |_, value, so_far| add(so_far, value)),
        subtract: Arc::new(|_, _, so_far| so_far.some()),
        merge: Arc::new(move |_, a, b| merge(a, b)),
    }
}

fn greater(so_far: Value, value: Option<Value>) -> Option<Value> {
    match (so_far.some(), value) {
        (Some(a), Some(b)) => Some(if compare(&a, &b) == Ordering::Less { b } else { a }),
        (a, b) => a.or(b),
    }
}
