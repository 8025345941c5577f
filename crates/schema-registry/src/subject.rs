//! Under which names schemas are registered.

/// How a schema's subject is called, as Confluent's strategies of the same names have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectNameStrategy {
    /// `<topic>-key` or `<topic>-value`: one type per topic. The default.
    #[default]
    Topic,
    /// The record's full name: one schema for the type, wherever it goes.
    Record,
    /// `<topic>-<record's full name>`: several types in a topic.
    TopicRecord,
}

/// Whether a serde is for keys or for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
}

impl SubjectNameStrategy {
    #[cfg(any(feature = "avro", feature = "protobuf"))]
    pub(crate) fn subject(self, topic: &str, record: &str, part: Part) -> String {
        match (self, part) {
            (Self::Topic, Part::Key) => format!("{topic}-key"),
            (Self::Topic, Part::Value) => format!("{topic}-value"),
            (Self::Record, _) => record.to_owned(),
            (Self::TopicRecord, _) => format!("{topic}-{record}"),
        }
    }
}
