//! Kafka's bytes to values and back. Pure: no clock, no socket, no thread.
//!
//! | file | what |
//! |---|---|
//! | [`ids`] | topic names and partitions |
//! | [`headers`] | record headers |
//! | [`error`] | what can go wrong |
//! | `primitives` | variable-length numbers, bounds-checked reading |
//! | [`code`] | the brokers' error codes |
//! | [`compression`] | the four codecs of record batches |
//! | [`batch`] | record batches: split, walk, build |
//! | [`partition`] | which partition a key belongs to |
//! | [`membership`] | subscriptions and assignments of group members |
//! | [`messages`] | requests, responses and their frames |

pub mod headers;
pub mod ids;

pub mod error;
mod primitives;

pub mod code;
pub mod compression;

pub mod batch;

pub mod partition;

pub mod membership;

pub mod messages;

pub use code::ErrorCode;
pub use error::{Error, Result};
pub use headers::{Header, Headers};
pub use ids::{TopicName, TopicPartition};
