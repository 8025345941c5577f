//! Functions that combine two values. Null is neutral: they never see it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Reducer, Spec, compare};
use crate::case::{Result, malformed};
use crate::value::{Value, ValueType};

pub(crate) fn reducer(spec: &str, input: ValueType) -> Result<Reducer> {
    let spec = Spec::parse(spec);
    let wanted = match spec.name {
        "sum" | "sub" => Some(ValueType::Long),
        "concat_with" | "concat_cap" => Some(ValueType::Text),
        _ => None,
    };
    if wanted.is_some_and(|wanted| wanted != input) {
        return malformed(format!("function {} does not take these values", spec.text));
    }
    Ok(match spec.name {
        "first" => Arc::new(|a, _| Some(a)),
        "last" => Arc::new(|_, b| Some(b)),
        "max" => Arc::new(|a, b| Some(if compare(&a, &b) == Ordering::Less { b } else { a })),
        "min" => Arc::new(|a, b| Some(if compare(&a, &b) == Ordering::Greater { b } else { a })),
        "null_if_equal" => Arc::new(|a, b| (a != b).then_some(b)),
        "sum" => Arc::new(|a, b| Some(Value::Long(a.long().wrapping_add(b.long())))),
        "sub" => Arc::new(|a, b| Some(Value::Long(a.long().wrapping_sub(b.long())))),
        "concat_with" => {
            let between = spec.argument()?;
            Arc::new(move |a, b| Some(Value::Text(format!("{}{between}{}", a.render(), b.render()))))
        }
        "concat_cap" => {
            let limit: usize = spec.number()?;
            Arc::new(move |a, b| {
                let text = a.render() + &b.render();
                (text.len() <= limit).then_some(Value::Text(text))
            })
        }
        _ => return spec.unknown("reducer"),
    })
}
