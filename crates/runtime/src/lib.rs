//! Threads and I/O around tasks: the application that runs a topology against brokers.
//!
//! A [`KafkaStreams`] is one instance. It runs stream threads: plain OS threads, each with a consumer, a producer and the
//! tasks it was assigned. Nothing here knows what a record means; that is the task's affair, which in turn knows nothing
//! of threads and brokers.
//!
//! | room | what |
//! |---|---|
//! | [`config`] | settings under Kafka's keys |
//! | [`state`] | the instance's states and moves |
//! | [`metrics`] | counters under Kafka's names |
//! | `housekeeping` | purging and cleaning, off the stream threads |
//! | `failure` | what failed in a turn |
//! | `output` | the producer as a task sees it |
//! | `tasks` | the table of owned tasks |
//! | `commit` | the steps of a commit, in their order |
//! | `restore` | state from changelogs |
//! | `rebalance` | what a member says, what its leader decides, which internal topics that takes |
//! | `global` | the thread that fills global stores |
//! | `thread` | the loop: poll, admit, process, punctuate, commit |
//! | [`query`] | interactive reads of stores |
//! | `signal` | Ctrl-C |
//! | `instance`, [`application`] | what threads share; the façade |

pub mod application;
mod commit;
pub mod config;
pub mod error;
mod failure;
mod global;
mod housekeeping;
mod instance;
pub mod metrics;
mod output;
pub mod query;
mod rebalance;
mod restore;
mod signal;
pub mod state;
mod tasks;
mod thread;

pub use application::KafkaStreams;
pub use config::{ConfigError, Settings, StreamsConfig};
pub use error::{Error, Result, with_causes};
pub use instance::{StateChange, StreamThreadExceptionResponse};
pub use metrics::Metric;
pub use output::{Consequence, Unsent};
pub use query::{IsolationLevel, ReadOnlyStore};
pub use state::State;
