//! Functions of the two sides of a join.

use std::sync::Arc;

use super::{Joiner, Spec, Typed};
use crate::case::Result;
use crate::key::Key;
use crate::limit::Made;
use crate::value::{Value, ValueType};

/// The joiner of this name, for sides of these types.
pub(crate) fn joiner(text: &str, left: ValueType, right: ValueType) -> Result<Typed<Joiner>> {
    let spec = Spec::parse(text);
    let (out, call): (ValueType, Joiner) = match spec.name {
        "pair" => (ValueType::Text, Arc::new(|_, left, right| Some(pair(left, right)))),
        "key_pair" => (ValueType::Text, Arc::new(key_pair)),
        "left" => (left, Arc::new(|_, left, _| left.cloned())),
        "right" => (right, Arc::new(|_, _, right| right.cloned())),
        "null_if_no_right" => (
            ValueType::Text,
            Arc::new(|_, left, right| right.map(|right| pair(left, Some(right)))),
        ),
        "null_if_equal" => (
            ValueType::Text,
            Arc::new(|_, left, right| (render(left) != render(right)).then(|| pair(left, right))),
        ),
        "sum" => (
            ValueType::Long,
            Arc::new(|_, left, right| {
                let long = |side: Option<&Value>| side.map_or(0, Value::long);
                Some(Value::Long(long(left).wrapping_add(long(right))))
            }),
        ),
        _ => return spec.unknown("joiner"),
    };
    let made = Made::default();
    let counted: Joiner = Arc::new(move |key, left, right| {
        let result = call(key, left, right);
        made.count(match &result {
            Some(Value::Text(text)) => text.len(),
            _ => 0,
        });
        result
    });
    Ok(Typed { out, call: counted })
}

fn render(side: Option<&Value>) -> String {
    side.map_or_else(|| "null".to_owned(), Value::render)
}

fn pair(left: Option<&Value>, right: Option<&Value>) -> Value {
    Value::Text(format!("({},{})", render(left), render(right)))
}

fn key_pair(key: Option<&Key>, left: Option<&Value>, right: Option<&Value>) -> Option<Value> {
    let key = key.map_or("null", Key::text);
    Some(Value::Text(format!("{key}:{}", pair(left, right).render())))
}
