//! Serdes: values to bytes and back, in the bytes of Kafka's own serializers.

use bytes::Bytes;

mod primitive;

pub use primitive::{
    BoolSerde, BytesSerde, F32Serde, F64Serde, I16Serde, I32Serde, I64Serde, StringSerde, Uuid, UuidSerde, VecSerde,
    VoidSerde,
};

/// Turns values of `T` into bytes and back. Null never reaches a serde: absent in, absent out.
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
}

/// A type with a serde that needs no saying.
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
}

impl SerdeError {
    /// An error without a deeper cause; `what` reads on after "could not convert".
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }

    /// An error that another library found.
    pub fn caused_by(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            what: what.into(),
            source: Some(source.into()),
        }
    }
}
