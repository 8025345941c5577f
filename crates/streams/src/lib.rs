//! Kafka Streams in Rust: the crate users add.
