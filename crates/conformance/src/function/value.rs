//! Functions that make values.

use std::sync::Arc;

use super::{Spec, Typed, ValueFn, csv_field, first_char};
use crate::case::Result;
use crate::key::Key;
use crate::value::{Value, ValueType, length};

pub(crate) fn value(spec: &str, input: ValueType) -> Result<Typed<ValueFn>> {
    let spec = Spec::parse(spec);
    let call: ValueFn = match spec.name {
        "identity" => {
            return Ok(Typed {
                out: input,
                call: Arc::new(|_, value| value.cloned()),
            });
        }
        "null" => {
            return Ok(Typed {
                out: input,
                call: Arc::new(|_, _| None),
            });
        }
        "len" => {
            let call = |value: &Value| Value::Long(i64::try_from(length(value)).unwrap_or(i64::MAX));
            return Ok(Typed {
                out: ValueType::Long,
                call: Arc::new(move |_, value| value.map(call)),
            });
        }
        "const" => {
            let text = spec.argument()?;
            Arc::new(move |_, _| Some(Value::Text(text.clone())))
        }
        "key_as_value" => Arc::new(|key, _| key.map(|key| Value::Text(key.text().to_owned()))),
        "to_str" => Arc::new(|_, value| value.map(|value| Value::Text(value.render()))),
        _ => {
            return if input == ValueType::Long {
                of_long(&spec)
            } else {
                of_text(&spec)
            };
        }
    };
    Ok(Typed {
        out: ValueType::Text,
        call,
    })
}

fn of_long(spec: &Spec<'_>) -> Result<Typed<ValueFn>> {
    let number: Box<dyn Fn(i64) -> Option<i64> + Send + Sync> = match spec.name {
        "add" => {
            let n = spec.number()?;
            Box::new(move |number| Some(number.wrapping_add(n)))
        }
        "negate" => Box::new(|number| Some(number.wrapping_neg())),
        "mod" => {
            let n = spec.number()?;
            Box::new(move |number| Some(floor_mod(number, n)))
        }
        "null_if_odd" => Box::new(|number| (floor_mod(number, 2) != 1).then_some(number)),
        _ => return spec.unknown("function of a long"),
    };
    let call: ValueFn = Arc::new(move |_, value| number(value?.long()).map(Value::Long));
    Ok(Typed {
        out: ValueType::Long,
        call,
    })
}

fn floor_mod(number: i64, n: i64) -> i64 {
    let rest = number.wrapping_rem(n);
    if rest != 0 && (rest < 0) != (n < 0) {
        rest + n
    } else {
        rest
    }
}

type TextFn = Box<dyn Fn(Option<&Key>, &str) -> Option<String> + Send + Sync>;

fn of_text(spec: &Spec<'_>) -> Result<Typed<ValueFn>> {
    if spec.name == "parse_long_or_zero" {
        let call: ValueFn = Arc::new(|_, value| value.map(|value| Value::Long(parse_long_or_zero(&value.render()))));
        return Ok(Typed {
            out: ValueType::Long,
            call,
        });
    }
    let text: TextFn = match spec.name {
        "upper" => Box::new(|_, text| Some(text.to_ascii_uppercase())),
        "lower" => Box::new(|_, text| Some(text.to_ascii_lowercase())),
        "append" => {
            let end = spec.argument()?;
            Box::new(move |_, text| Some(format!("{text}{end}")))
        }
        "prepend_key" => Box::new(|key, text| Some(format!("{}:{text}", key.map_or("null", Key::text)))),
        "csv_field" => {
            let at = spec.number()?;
            Box::new(move |_, text| csv_field(text, at))
        }
        "first_char" => Box::new(|_, text| Some(first_char(text))),
        "null_if_len_gt" => {
            let limit = spec.number()?;
            Box::new(move |_, text| (text.len() <= limit).then(|| text.to_owned()))
        }
        "null_if_empty" => Box::new(|_, text| (!text.is_empty()).then(|| text.to_owned())),
        _ => return spec.unknown("function of a string"),
    };
    let call: ValueFn = Arc::new(move |key, value| text(key, &value?.render()).map(Value::Text));
    Ok(Typed {
        out: ValueType::Text,
        call,
    })
}

/// An optional minus, then 1 to 18 ASCII digits; else 0.
fn parse_long_or_zero(text: &str) -> i64 {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().unwrap_or(0);
    }
    0
}
