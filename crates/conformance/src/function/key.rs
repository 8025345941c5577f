//! Functions that make keys.

use std::sync::Arc;

use super::{KeyFn, Spec, csv_field, first_char};
use crate::case::Result;
use crate::key::Key;
use crate::value::{Value, length, render};

pub(crate) fn key(spec: &str) -> Result<KeyFn> {
    let spec = Spec::parse(spec);
    Ok(match spec.name {
        "key" => Arc::new(|key, _| key.map(|key| key.text().to_owned())),
        "window_key" => Arc::new(|key, _| key.map(|key| key.inner().to_owned())),
        "value_as_key" => Arc::new(|_, value| value.map(Value::render)),
        "first_char_key" => Arc::new(|key, _| key.map(|key| first_char(key.text()))),
        "first_char_value" => Arc::new(|_, value| value.map(|value| first_char(&value.render()))),
        "csv_field" => {
            let at = spec.number()?;
            Arc::new(move |_, value| csv_field(&value?.render(), at))
        }
        "const" => {
            let text = spec.argument()?;
            Arc::new(move |_, _| Some(text.clone()))
        }
        "append" => {
            let end = spec.argument()?;
            Arc::new(move |key, _| key.map(|key| format!("{}{end}", key.text())))
        }
        "key_value" => Arc::new(|key, value| Some(format!("{}|{}", key.map_or("null", Key::text), render(value)))),
        "null" => Arc::new(|_, _| None),
        "len_key" => Arc::new(|_, value| value.map(|value| length(value).to_string())),
        _ => return spec.unknown("key function"),
    })
}
