//! Kafka Streams in Rust: the crate users add.
//!
//! A program that links this library becomes a stream processor on Apache Kafka: fault-tolerant, elastic, stateful, with
//! nothing else to operate. Concepts, names, configuration keys and bytes are those of Kafka Streams 4.1.
//!
//! ```no_run
//! use kstreams::prelude::*;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let builder = StreamsBuilder::new();
//!     builder
//!         .stream::<Option<String>, String>("streams-plaintext-input")
//!         .flat_map_values(|_, line| line.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>())
//!         .group_by(|_, word| word.clone())
//!         .count()
//!         .materialized("counts-store")
//!         .to_stream()
//!         .to("streams-wordcount-output");
//!
//!     let config = StreamsConfig::new("streams-wordcount", "localhost:9092");
//!     let mut streams = KafkaStreams::new(builder.build()?, config)?;
//!     streams.start()?;
//!     streams.wait_for_ctrl_c()?;
//!     Ok(())
//! }
//! ```
//!
//! # A map
//!
//! * [`StreamsBuilder`] records a program of streams and tables and builds a [`Topology`]; the [`processor`] API adds
//!   what the operators lack.
//! * [`KafkaStreams`] runs a topology. Instances with the same `application.id` share the work, and take over from each
//!   other.
//! * [`StreamsConfig`] holds the settings, under Kafka Streams' own keys.
//! * Strings, numbers, bytes and lists have [`serde`]s of Java's bytes. Feature `json` adds JSON for every type that the crate
//!   `serde` knows; features `avro` and `protobuf` add `schema_registry`.
//! * To test a topology without a broker there is the crate `kstreams-test-driver`; to try one, the crate
//!   `kstreams-broker` runs a broker inside the program.

mod options;

pub use kstreams_dsl::{
    Buffer, BuildOptions, CogroupedKStream, Consumed, EmitStrategy, GlobalKTable, GlobalStore, JoinWindows, Joined,
    KGroupedStream, KGroupedTable, KStream, KTable, Materialized, Optimization, Printed, Produced, Repartitioned,
    SessionWindowedCogroupedKStream, SessionWindowedKStream, SessionWindows, Sink, SlidingWindowedCogroupedKStream,
    SlidingWindowedKStream, SlidingWindows, Split, StreamJoin, StreamsBuilder, Suppressed, TableJoin, TableJoined,
    TimeWindowedCogroupedKStream, TimeWindowedKStream, TimeWindows, UnlimitedWindows, ValueTransformer, Windows,
};
pub use kstreams_runtime::{
    ConfigError, Error, IsolationLevel, KafkaStreams, Metric, ReadOnlyStore, Result, State, StateChange,
    StreamThreadExceptionResponse, StreamsConfig, with_causes,
};
pub use kstreams_store::{EngineKind, Logging, RecordContext, RocksDbOptions};
pub use kstreams_topology::blueprint::ResetPolicy;
pub use kstreams_topology::graph::{Clock, Partitions, TimerId};
pub use kstreams_topology::{
    BoxError, Change, Data, DefaultSerde, Nullable, Record, Serde, SerdeError, TaskId, TimestampExtractor, Topology,
    Window, Windowed, processor, serde, stores,
};
pub use kstreams_wire::{Header, Headers, TopicName, TopicPartition};

/// What becomes of records that cannot be read, processed or sent: handlers, and the dead letters that they write.
pub mod errors {
    pub use kstreams_runtime::{Consequence, Unsent};
    pub use kstreams_topology::Panic;
    pub use kstreams_topology::exception::{Exception, java_exception};
    pub use kstreams_topology::graph::{
        DeadLetter, Decision, ErrorHandlers, Failure, FailureHandler, Outcome, Part, ProductionFailure,
        ProductionHandler, ProductionOutcome, ProductionResponse, Response, Stage,
    };
}

/// What the errors of building a program say.
pub use kstreams_dsl::Error as BuildError;

/// How sources are read and sinks written where a [`Topology`] is wired by hand, without the [`StreamsBuilder`].
pub use kstreams_topology::blueprint;

/// Avro and Protobuf, with their schemas in a Confluent Schema Registry (features `avro`, `protobuf`).
#[cfg(any(feature = "avro", feature = "protobuf"))]
pub use kstreams_schema_registry as schema_registry;

pub use options::build_options;

/// Configuration keys.
pub use kstreams_runtime::config::keys;

/// What a program needs, in one line.
pub mod prelude {
    pub use kstreams_dsl::{
        Buffer, Consumed, EmitStrategy, GlobalKTable, JoinWindows, KGroupedStream, KGroupedTable, KStream, KTable,
        Materialized, Produced, Repartitioned, SessionWindows, SlidingWindows, StreamsBuilder, Suppressed, TimeWindows,
        UnlimitedWindows,
    };
    pub use kstreams_runtime::{KafkaStreams, State, StreamsConfig};
    pub use kstreams_topology::{Data, DefaultSerde, Record, Serde, Topology, Window, Windowed};
}

/// The program of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
