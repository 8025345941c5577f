//! Kafka's bytes to values and back. Pure: no clock, no socket, no thread.
//!
//! | file | what |
//! |---|---|
//! | [`ids`] | topic names and partitions |
//! | [`headers`] | record headers |

pub mod headers;
pub mod ids;

pub use headers::{Header, Headers};
pub use ids::{TopicName, TopicPartition};
