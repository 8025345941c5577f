//! Functions that say yes or no.

use std::sync::Arc;

use super::{Predicate, Spec};
use crate::case::Result;
use crate::value::length;

pub(crate) fn predicate(spec: &str) -> Result<Predicate> {
    let spec = Spec::parse(spec);
    Ok(match spec.name {
        "true" => Arc::new(|_, _| true),
        "false" => Arc::new(|_, _| false),
        "key_not_null" => Arc::new(|key, _| key.is_some()),
        "value_not_null" => Arc::new(|_, value| value.is_some()),
        "value_is_null" => Arc::new(|_, value| value.is_none()),
        "is_even_len" => Arc::new(|_, value| value.is_some_and(|value| length(value).is_multiple_of(2))),
        "len_gt" => {
            let limit = spec.number()?;
            Arc::new(move |_, value| value.is_some_and(|value| length(value) > limit))
        }
        "key_starts_with" => {
            let start = spec.argument()?;
            Arc::new(move |key, _| key.is_some_and(|key| key.text().starts_with(&start)))
        }
        "key_eq" => {
            let text = spec.argument()?;
            Arc::new(move |key, _| key.is_some_and(|key| key.text() == text))
        }
        "value_starts_with" => {
            let start = spec.argument()?;
            Arc::new(move |_, value| value.is_some_and(|value| value.render().starts_with(&start)))
        }
        "value_contains" => {
            let part = spec.argument()?;
            Arc::new(move |_, value| value.is_some_and(|value| value.render().contains(&part)))
        }
        _ => return spec.unknown("predicate"),
    })
}
