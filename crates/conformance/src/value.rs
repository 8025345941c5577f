//! Values whose types a case chooses, with their serde.

use kstreams_topology::{Data, Serde, SerdeError};
use serde_json::{Value as Json, json};

/// A value: a string or a 64-bit integer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Long(i64),
    /// The aggregate before the first record, where its function starts with null. It is never stored.
    Nothing,
}

/// The type of a stream's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    Text,
    Long,
}

impl Data for Value {}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Long(number)
    }
}

impl From<Value> for i64 {
    fn from(value: Value) -> Self {
        value.long()
    }
}

impl Value {
    pub(crate) fn render(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Long(number) => number.to_string(),
            Self::Nothing => "null".to_owned(),
        }
    }

    /// The value, unless it is none.
    pub(crate) fn some(self) -> Option<Self> {
        (self != Self::Nothing).then_some(self)
    }

    pub(crate) fn long(&self) -> i64 {
        match self {
            Self::Long(number) => *number,
            _ => 0,
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => json!(text),
            Self::Long(number) => json!(number),
            Self::Nothing => Json::Null,
        }
    }
}

/// `null` for nothing, else the value as text.
pub(crate) fn render(value: Option<&Value>) -> String {
    value.map_or_else(|| "null".to_owned(), Value::render)
}

/// A value's length in bytes, as text.
pub(crate) fn length(value: &Value) -> usize {
    value.render().len()
}

/// Reads and writes values of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueSerde(pub(crate) ValueType);

impl Serde<Value> for ValueSerde {
    fn serialize(&self, topic: &str, value: &Value, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match value {
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Long(number) => out.extend_from_slice(&number.to_be_bytes()),
            Value::Nothing => return Err(SerdeError::new(format!("nothing to bytes for {topic}"))),
        }
        Ok(())
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<Value, SerdeError> {
        match self.0 {
            ValueType::Text => Ok(Value::Text(String::from_utf8_lossy(bytes).into_owned())),
            ValueType::Long => {
                let bytes = bytes.try_into();
                let bytes = bytes.map_err(|_| SerdeError::new("bytes to a long: 8 expected"))?;
                Ok(Value::Long(i64::from_be_bytes(bytes)))
            }
        }
    }
}
