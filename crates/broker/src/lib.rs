//! The embedded development broker: one Kafka node inside the process, in memory or in a directory.
//!
//! It is the stage of examples, tests and demonstrations, so that nobody needs a Kafka to try kstreams; Kafka's own
//! clients and tools work on it too. It is not for production: one node, no replication, no security.
//!
//! | file | what |
//! |---|---|
//! | `config`, `error` | what it is told, what can go wrong |
//! | `settings` | topic configs |
//! | `log/` | one partition: segments of client batches, index, idempotence, retention, compaction |
//! | `data` | the data directory |
//! | `topics/` | the topics and where they are listed |
//! | `coordinate/` | groups and transactions as pure state machines, committed offsets, fetch sessions |
//! | `settle` | a transaction's end is written where it belongs |
//! | `node` | everything a broker knows, in one place |
//! | `handle/` | what it answers: one file per conversation |
//! | `server/` | threads and sockets |
//! | `trouble` | what goes wrong on purpose, for tests |

mod config;
mod coordinate;
mod data;
mod error;
mod handle;
mod log;
mod node;
mod refusal;
mod server;
mod settings;
mod settle;
mod topics;
mod trouble;

pub use config::BrokerConfig;
pub use error::{Error, Result};
pub use server::Broker;
pub use trouble::Trouble;
