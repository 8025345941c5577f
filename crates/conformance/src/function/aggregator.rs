//! Functions that fold values into an aggregate.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Spec, compare};
use crate::case::{Result, malformed};
use crate::value::{Key, Value, ValueType, length};

type Fold = Arc<dyn Fn(&Key, Option<Value>, Value) -> Option<Value> + Send + Sync>;

/// An aggregate's type, its beginning, and how a value is added.
pub(crate) struct Aggregator {
    pub(crate) out: ValueType,
    pub(crate) init: Value,
    pub(crate) add: Fold,
}

pub(crate) fn aggregator(spec: &str, input: ValueType) -> Result<Aggregator> {
    let spec = Spec::parse(spec);
    if spec.name == "sum" && input != ValueType::Long {
        return malformed("function sum does not take strings");
    }
    Ok(match spec.name {
        "count" => number(|_, so_far| so_far.wrapping_add(1)),
        "sum" => number(|value, so_far| so_far.wrapping_add(value.map_or(0, |value| value.long()))),
        "sum_len" => number(|value, so_far| {
            let length = value.map_or("null".len(), |value| length(&value));
            so_far.wrapping_add(i64::try_from(length).unwrap_or(i64::MAX))
        }),
        "concat" => text(None, |_, value| format!("+{value};")),
        "concat_kv" => text(None, |key, value| format!("+{}={value};", key.text())),
        "concat_cap" => text(Some(spec.number()?), |_, value| format!("+{value};")),
        "last" => Aggregator {
            out: input,
            init: Value::Nothing,
            add: Arc::new(|_, value, _| value),
        },
        "max" => Aggregator {
            out: input,
            init: Value::Nothing,
            add: Arc::new(|_, value, so_far| greater(so_far, value)),
        },
        _ => return spec.unknown("aggregator"),
    })
}

fn number(add: impl Fn(Option<Value>, i64) -> i64 + Send + Sync + 'static) -> Aggregator {
    Aggregator {
        out: ValueType::Long,
        init: Value::Long(0),
        add: Arc::new(move |_, value, so_far| Some(Value::Long(add(value, so_far.long())))),
    }
}

fn text(limit: Option<usize>, add: impl Fn(&Key, &str) -> String + Send + Sync + 'static) -> Aggregator {
    Aggregator {
        out: ValueType::Text,
        init: Value::Text(String::new()),
        add: Arc::new(move |key, value, so_far| {
            let so_far = so_far.some().map(|so_far| so_far.render()).unwrap_or_default();
            let text = so_far + &add(key, &crate::value::render(value.as_ref()));
            limit
                .is_none_or(|limit| text.len() <= limit)
                .then_some(Value::Text(text))
        }),
    }
}

fn greater(so_far: Value, value: Option<Value>) -> Option<Value> {
    match (so_far.some(), value) {
        (Some(a), Some(b)) => Some(if compare(&a, &b) == Ordering::Less { b } else { a }),
        (a, b) => a.or(b),
    }
}
