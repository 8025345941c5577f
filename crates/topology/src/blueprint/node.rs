//! The nodes of a topology before they run: names, parents, and how to make an executable copy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kstreams_wire::TopicName;

use crate::graph::{Node, Source};

/// Makes a source for one task.
pub type NewSource = Arc<dyn Fn() -> Box<dyn Source> + Send + Sync>;

/// Makes a processor for one task.
pub type NewProcessor = Arc<dyn Fn() -> Box<dyn Node> + Send + Sync>;

/// Makes a sink for one task: with its topic's full name, or `None` for a dynamic sink.
pub type NewSink = Arc<dyn Fn(Option<&TopicName>) -> Box<dyn Node> + Send + Sync>;

/// A node to be added to a topology.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Its name, unique in the topology.
    pub name: String,
    /// The nodes that forward to it. They must be there already.
    pub parents: Vec<String>,
    /// The stores that it uses, by name. They must be there already, or be connected later.
    pub stores: Vec<String>,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Clone)]
pub enum NodeKind {
    /// Records enter here.
    Source {
        /// What it reads; internal topics by their undecorated names.
        topics: Topics,
        /// Where it starts without a committed offset; `None` leaves that to the configuration.
        reset: Option<ResetPolicy>,
        /// Makes it.
        new: NewSource,
    },
    /// Records pass through here.
    Processor {
        /// Makes it.
        new: NewProcessor,
    },
    /// Records leave here.
    Sink {
        /// Where they go.
        topic: SinkTarget,
        /// Makes it.
        new: NewSink,
    },
}

impl fmt::Debug for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { topics, reset, .. } => f.debug_tuple("Source").field(topics).field(reset).finish(),
            Self::Processor { .. } => f.write_str("Processor"),
            Self::Sink { topic, .. } => f.debug_tuple("Sink").field(topic).finish(),
        }
    }
}

/// What a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    /// These topics.
    Names(Vec<String>),
    /// All topics whose whole name matches this regular expression.
    Pattern(String),
}

impl From<&str> for Topics {
    fn from(topic: &str) -> Self {
        Self::Names(vec![topic.to_owned()])
    }
}

impl From<String> for Topics {
    fn from(topic: String) -> Self {
        Self::Names(vec![topic])
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for Topics {
    fn from(topics: [S; N]) -> Self {
        Self::Names(topics.iter().map(|topic| topic.as_ref().to_owned()).collect())
    }
}

impl<S: AsRef<str>> From<&[S]> for Topics {
    fn from(topics: &[S]) -> Self {
        Self::Names(topics.iter().map(|topic| topic.as_ref().to_owned()).collect())
    }
}

impl From<Vec<String>> for Topics {
    fn from(topics: Vec<String>) -> Self {
        Self::Names(topics)
    }
}

/// Where a sink sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    /// Always to this topic; an internal one by its undecorated name.
    Topic(String),
    /// To the topic that a closure names; the label stands for the closure in descriptions.
    Dynamic(String),
}

/// Where a source starts to read a partition for which no offset is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetPolicy {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// Nowhere: the task fails.
    None,
    /// At the first record that is not older than this.
    ByDuration(Duration),
}
