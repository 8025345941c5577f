//! Cases as they are written: JSON, read by need.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::value::ValueType;

/// A topology and what goes into it.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Json>,
    #[serde(default)]
    pub(crate) wall_clock_ms: i64,
    pub(crate) topology: Vec<Node>,
    #[serde(default)]
    pub(crate) inputs: Vec<Input>,
}

/// A call of the DSL, or a node of a plain topology.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) op: String,
    #[serde(default)]
    from: Json,
    pub(crate) name: Option<String>,
    #[serde(default)]
    store: Json,
    #[serde(flatten)]
    parameters: Map<String, Json>,
}

/// One step of a case.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Input {
    Advance {
        advance_wall_clock_ms: u64,
    },
    Record {
        topic: String,
        #[serde(default)]
        key: Json,
        #[serde(default)]
        value: Json,
        ts: i64,
        #[serde(default)]
        headers: Vec<(String, Option<String>)>,
    },
}

/// How a node wants its store.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StoreOptions {
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) caching: Option<bool>,
    pub(crate) logging: Option<bool>,
    pub(crate) retention_ms: Option<u64>,
    pub(crate) history_ms: Option<u64>,
    pub(crate) segment_ms: Option<u64>,
}

/// Why a case cannot be built from its text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaseError {
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Unsupported(String),
    #[error(transparent)]
    Build(#[from] kstreams_dsl::Error),
    #[error(transparent)]
    Topology(#[from] kstreams_topology::Error),
}

pub(crate) type Result<T, E = CaseError> = std::result::Result<T, E>;

pub(crate) fn malformed<T>(message: impl Into<String>) -> Result<T> {
    Err(CaseError::Malformed(message.into()))
}

impl Node {
    pub(crate) fn has(&self, field: &str) -> bool {
        self.parameters.get(field).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn json(&self, field: &str) -> &Json {
        self.parameters.get(field).unwrap_or(&Json::Null)
    }

    pub(crate) fn text(&self, field: &str) -> Result<&str> {
        match self.json(field).as_str() {
            Some(text) => Ok(text),
            None => malformed(format!("node {} needs {field}", self.id)),
        }
    }

    pub(crate) fn number(&self, field: &str) -> Result<i64> {
        match self.json(field).as_i64() {
            Some(number) => Ok(number),
            None => malformed(format!("node {} needs {field}", self.id)),
        }
    }

    pub(crate) fn millis(&self, field: &str) -> Result<Duration> {
        Ok(Duration::from_millis(self.number(field)?.unsigned_abs()))
    }

    pub(crate) fn value_type(&self) -> Result<ValueType> {
        match self.json("value").as_str() {
            None | Some("str") => Ok(ValueType::Text),
            Some("long") => Ok(ValueType::Long),
            Some(other) => malformed(format!("no value type {other}")),
        }
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        let topics = self.json("topics").as_array().into_iter().flatten();
        topics.filter_map(Json::as_str).map(str::to_owned).collect()
    }

    pub(crate) fn from(&self) -> Vec<&str> {
        match &self.from {
            Json::Array(ids) => ids.iter().filter_map(Json::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        }
    }

    /// Whether the overload without a store is meant.
    pub(crate) fn is_bare(&self) -> bool {
        self.store.as_str() == Some("none")
    }

    /// The options for the store; none if the case says nothing of one.
    pub(crate) fn store(&self) -> Result<Option<StoreOptions>> {
        if !self.store.is_object() {
            return Ok(None);
        }
        match StoreOptions::deserialize(&self.store) {
            Ok(options) => Ok(Some(options)),
            Err(error) => malformed(format!("store of node {}: {error}", self.id)),
        }
    }
}
