//! Why a client's wish is refused.

use std::fmt::Display;

use kafka_protocol::ResponseError;
use tracing::error;

/// Kafka's code, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseError,
    pub(crate) message: String,
    /// The records of a batch that are to blame, by their place in it, and what is wrong with each.
    pub(crate) blamed: Vec<(i32, String)>,
}

impl Refusal {
    /// A refusal with a sentence.
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            blamed: Vec::new(),
        }
    }

    /// Names the records that are to blame.
    pub(crate) fn blaming(self, blamed: Vec<(i32, String)>) -> Self {
        Self { blamed, ..self }
    }

    /// Says of the records that are to blame which partition they were for.
    pub(crate) fn in_partition(mut self, topic: &str, partition: i32) -> Self {
        for (_, message) in &mut self.blamed {
            message.push_str(&format!(" in topic partition {topic}-{partition}"));
        }
        self
    }

    /// The data directory failed: the client may retry, the operator must know.
    pub(crate) fn storage(cause: impl Display) -> Self {
        error!(%cause, "could not use the data directory");
        Self::new(
            ResponseError::KafkaStorageError,
            format!("The data directory failed: {cause}"),
        )
    }
}

impl From<ResponseError> for Refusal {
    fn from(code: ResponseError) -> Self {
        Self::new(code, code.to_string())
    }
}
