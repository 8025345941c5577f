//! Functions that make many values of one.

use std::sync::Arc;

use super::{ListFn, Spec, Typed};
use crate::case::Result;
use crate::value::{Value, ValueType};

pub(crate) fn list(spec: &str, input: ValueType) -> Result<Typed<ListFn>> {
    let spec = Spec::parse(spec);
    let strings = |call: ListFn| Typed {
        out: ValueType::Text,
        call,
    };
    Ok(match spec.name {
        "none" => Typed {
            out: input,
            call: Arc::new(|_| Vec::new()),
        },
        "repeat" => {
            let times = spec.number()?;
            Typed {
                out: input,
                call: Arc::new(move |value| vec![value.cloned(); times]),
            }
        }
        "split_words" => strings(Arc::new(|value| parts(value, ' '))),
        "split_csv" => strings(Arc::new(|value| parts(value, ','))),
        "chars" => strings(Arc::new(|value| {
            let text = value.map(Value::render).unwrap_or_default();
            text.chars().map(|char| Some(Value::Text(char.to_string()))).collect()
        })),
        _ => return spec.unknown("list function"),
    })
}

fn parts(value: Option<&Value>, separator: char) -> Vec<Option<Value>> {
    let text = value.map(Value::render).unwrap_or_default();
    let parts = text.split(separator).filter(|part| !part.is_empty());
    parts.map(|part| Some(Value::Text(part.to_owned()))).collect()
}
