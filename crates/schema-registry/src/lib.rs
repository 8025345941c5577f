//! Avro and Protobuf, with their schemas in a Confluent Schema Registry.
//!
//! A value travels as one byte 0, the four bytes of its schema's id, for Protobuf where in the file its message stands, and
//! the encoded value: what Confluent's serializers write and read.
//!
//! ```no_run
//! # #[cfg(feature = "avro")] {
//! use kstreams_schema_registry::{AvroSerde, Registry};
//! use kstreams_topology::Data;
//!
//! #[derive(Clone, serde::Serialize, serde::Deserialize)]
//! struct Order {
//!     item: String,
//!     amount: i64,
//! }
//!
//! impl Data for Order {}
//!
//! let registry = Registry::builder("http://localhost:8081").basic_auth("me", "secret").build()?;
//! let orders = AvroSerde::<Order>::new(
//!     &registry,
//!     r#"{"type": "record", "name": "Order", "fields": [
//!         {"name": "item", "type": "string"}, {"name": "amount", "type": "long"}]}"#,
//! )?;
//! // builder.stream::<String, Order>("orders").value_serde(orders.clone())
//! # }
//! # Ok::<(), kstreams_schema_registry::Error>(())
//! ```
//!
//! # When the registry is asked
//!
//! Never between records. A serde registers or looks up its schema for a topic when a task with that sink starts; if that
//! fails, the task does not start. Sinks that choose topics by record ask at the first record of each topic. For what it
//! reads, a serde asks once for each schema id that it has not met: the first record of an unknown id waits for the answer,
//! no later one does. Ids that the registry does not know are remembered for a minute, so that garbage costs no request
//! each. Answers are shared by all serdes of one [`Registry`].
//!
//! | file | what |
//! |---|---|
//! | [`registry`] | the client: schemas and ids, cached |
//! | [`subject`] | under which names schemas are registered |
//! | [`error`] | what can go wrong |
//! | `http` | requests and answers |
//! | `known` | what was learnt once and is read by every record |
//! | `framing` | the bytes around an encoded value |
//! | `writer` | the ids of a serde's own schema |
//! | `avro`, `protobuf` | the serdes, each behind the feature of its name |
//!
//! Feature `tls` allows registries behind `https`.

#[cfg(feature = "avro")]
pub mod avro;
pub mod error;
#[cfg(feature = "protobuf")]
pub mod protobuf;
pub mod registry;
pub mod subject;

#[cfg(any(feature = "avro", feature = "protobuf"))]
mod framing;
mod http;
#[cfg(any(feature = "avro", feature = "protobuf"))]
mod known;
#[cfg(any(feature = "avro", feature = "protobuf"))]
mod writer;

#[cfg(feature = "avro")]
pub use avro::AvroSerde;
pub use error::{Error, Result};
#[cfg(feature = "protobuf")]
pub use protobuf::ProtobufSerde;
pub use registry::{Reference, Registry, RegistryBuilder, Schema, SchemaKind};
pub use subject::SubjectNameStrategy;
