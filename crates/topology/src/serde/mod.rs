//! Serdes: values to bytes and back, in the bytes of Kafka's own serializers.

use std::sync::Arc;

use bytes::Bytes;

use crate::exception::Exception;
use crate::panic::Panic;

#[cfg(feature = "json")]
mod json;
mod list;
mod primitive;
mod uuid;
mod windowed;

#[cfg(feature = "json")]
pub use json::{Json, JsonSerde};
pub use list::ListSerde;
pub use primitive::{
    BoolSerde, BytesSerde, F32Serde, F64Serde, I16Serde, I32Serde, I64Serde, StringSerde, VecSerde, VoidSerde,
};
pub use uuid::{Uuid, UuidSerde};
pub use windowed::{SessionWindowedSerde, TimeWindowedSerde};

/// Turns values of `T` into bytes and back. Null never reaches a serde: absent in, absent out.
#[diagnostic::on_unimplemented(message = "`{Self}` is no serde of `{T}`", label = "cannot write and read `{T}`")]
pub trait Serde<T>: Send + Sync + 'static {
    /// Appends the value's bytes to `out`. `topic` is the topic that the bytes are for.
    fn serialize(&self, topic: &str, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError>;

    /// The value of these bytes.
    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<T, SerdeError>;

    /// Like [`deserialize`](Self::deserialize), for types that can keep a slice of the fetched bytes without copying.
    /// `bytes` is part of `shared`.
    fn deserialize_shared(&self, topic: &str, bytes: &[u8], shared: &Bytes) -> Result<T, SerdeError> {
        let _ = shared;
        self.deserialize(topic, bytes)
    }

    /// Called before the first value for `topic` is serialized, when a task starts. A serde that has to ask others, as
    /// for the id of a schema, asks here and may wait: no record waits then.
    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        let _ = topic;
        Ok(())
    }

    /// How many bytes every value takes, for the numbers and UUIDs that a list keeps without lengths, as Kafka's
    /// `ListSerializer` does.
    fn entry_bytes(&self) -> Option<usize> {
        None
    }

    /// Of a key's bytes, those by which a sink chooses the partition: all, but of windowed keys only the key's, so that all
    /// windows of a key are in one partition.
    fn partitioned_by<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }
}

/// A serde that is shared is a serde.
impl<T: 'static, S: Serde<T> + ?Sized> Serde<T> for Arc<S> {
    fn serialize(&self, topic: &str, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.as_ref().serialize(topic, value, out)
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<T, SerdeError> {
        self.as_ref().deserialize(topic, bytes)
    }

    fn deserialize_shared(&self, topic: &str, bytes: &[u8], shared: &Bytes) -> Result<T, SerdeError> {
        self.as_ref().deserialize_shared(topic, bytes, shared)
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.as_ref().prepare(topic)
    }

    fn entry_bytes(&self) -> Option<usize> {
        self.as_ref().entry_bytes()
    }

    fn partitioned_by<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.as_ref().partitioned_by(bytes)
    }
}

/// A type with a serde that needs no saying.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no serde of its own",
    label = "needs a serde",
    note = "give one to the method whose name ends in `_with`, or use `Json<{Self}>`"
)]
pub trait DefaultSerde: Sized {
    /// That serde.
    type Serde: Serde<Self> + Default;
}

/// Why bytes or a value could not be converted.
#[derive(Debug, thiserror::Error)]
#[error("could not convert {what}")]
pub struct SerdeError {
    /// The type, and what was wrong.
    pub what: String,
    /// The cause, if another library found it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// What Java's serde throws for the same, if there is one.
    pub exception: Option<Box<Exception>>,
}

impl From<Panic> for SerdeError {
    fn from(panic: Panic) -> Self {
        Self::caused_by("a record: the serde gave up", panic)
    }
}

impl SerdeError {
    /// An error without a deeper cause; `what` reads on after "could not convert".
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
            exception: None,
        }
    }

    /// An error that another library found.
    pub fn caused_by(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            what: what.into(),
            source: Some(source.into()),
            exception: None,
        }
    }

    /// The same error, which Java's serde would have thrown like this.
    pub fn as_java(self, exception: Exception) -> Self {
        Self {
            exception: Some(Box::new(exception)),
            ..self
        }
    }
}
