//! The named pure functions of the case format.

use std::sync::Arc;

use crate::case::{CaseError, Result};
use crate::key::Key;
use crate::value::{Value, ValueType};

mod aggregator;
mod joiner;
mod key;
mod list;
mod predicate;
mod reducer;
mod value;

pub(crate) use aggregator::{Aggregator, Merge, aggregator};
pub(crate) use joiner::joiner;
pub(crate) use key::key;
pub(crate) use list::list;
pub(crate) use predicate::predicate;
pub(crate) use reducer::reducer;
pub(crate) use value::value;

pub(crate) type KeyFn = Arc<dyn Fn(Option<&Key>, Option<&Value>) -> Option<String> + Send + Sync>;
pub(crate) type ValueFn = Arc<dyn Fn(Option<&Key>, Option<&Value>) -> Option<Value> + Send + Sync>;
pub(crate) type ListFn = Arc<dyn Fn(Option<&Value>) -> Vec<Option<Value>> + Send + Sync>;
pub(crate) type Predicate = Arc<dyn Fn(Option<&Key>, Option<&Value>) -> bool + Send + Sync>;
pub(crate) type Joiner = Arc<dyn Fn(Option<&Key>, Option<&Value>, Option<&Value>) -> Option<Value> + Send + Sync>;
pub(crate) type Reducer = Arc<dyn Fn(Value, Value) -> Option<Value> + Send + Sync>;

/// A function with the type of its results.
pub(crate) struct Typed<F> {
    pub(crate) out: ValueType,
    pub(crate) call: F,
}

/// A function's name and, behind a colon, its argument.
struct Spec<'a> {
    text: &'a str,
    name: &'a str,
    argument: Option<&'a str>,
}

impl<'a> Spec<'a> {
    fn parse(text: &'a str) -> Self {
        match text.split_once(':') {
            Some((name, argument)) => Self {
                text,
                name,
                argument: Some(argument),
            },
            None => Self {
                text,
                name: text,
                argument: None,
            },
        }
    }

    fn argument(&self) -> Result<String> {
        let missing = || CaseError::Malformed(format!("function {} needs an argument", self.text));
        self.argument.map(str::to_owned).ok_or_else(missing)
    }

    fn number<N: std::str::FromStr>(&self) -> Result<N> {
        let argument = self.argument()?;
        argument
            .parse()
            .map_err(|_| CaseError::Malformed(format!("function {}: not a number", self.text)))
    }

    fn unknown<T>(&self, what: &str) -> Result<T> {
        Err(CaseError::Malformed(format!("no {what} {}", self.text)))
    }
}

fn first_char(text: &str) -> String {
    text.chars().take(1).collect()
}

fn csv_field(text: &str, at: usize) -> Option<String> {
    text.split(',').nth(at).map(str::to_owned)
}

/// Numbers by size, strings by their bytes.
fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Long(a), Value::Long(b)) => a.cmp(b),
        _ => a.render().cmp(&b.render()),
    }
}
