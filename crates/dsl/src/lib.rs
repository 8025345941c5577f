//! The fluent API: streams and tables, lowered to a topology.
//!
//! ```
//! # use kstreams_dsl::StreamsBuilder;
//! let builder = StreamsBuilder::new();
//! builder
//!     .stream::<Option<String>, String>("streams-plaintext-input")
//!     .flat_map_values(|_, line| line.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>())
//!     .group_by(|_, word| word.clone())
//!     .count()
//!     .materialized("counts-store")
//!     .to_stream()
//!     .to("streams-wordcount-output");
//! let topology = builder.build()?;
//! # Ok::<(), kstreams_dsl::Error>(())
//! ```
//!
//! An operator is recorded when its method is called; options (`named`, `materialized`, serdes) are set on what the method
//! returns. [`StreamsBuilder::build`] draws the names, checks, and writes everything to a
//! [`Topology`](kstreams_topology::Topology); the program's handles are of no use afterwards. What runs are nodes of that
//! topology, with the user's closures in them: nothing of this crate but those nodes is on the path of a record.
//!
//! | file | what |
//! |---|---|
//! | [`builder`] | where programs begin, and where they become topologies |
//! | [`outcome`] | what closures may return |
//! | [`window`] | windows: which records of a key belong together in time |
//! | [`option`] | arguments of operators that have more to say |
//! | [`stream`] | streams, one file per family of operators |
//! | [`table`] | tables, likewise |
//! | `aggregate` | grouped streams become tables |
//! | `global_store` | global stores that a program fills itself |
//! | `plan` | the recorded program, its names, and how it is written to a topology |
//! | `step` | operators as nodes of the executable graph |

pub mod builder;
pub mod error;
pub mod option;
pub mod outcome;
pub mod stream;
pub mod table;
pub mod window;

mod aggregate;
mod global_store;
mod plan;
mod step;

pub use aggregate::{
    CogroupedKStream, SessionWindowedCogroupedKStream, SessionWindowedKStream, SlidingWindowedCogroupedKStream,
    SlidingWindowedKStream, TimeWindowedCogroupedKStream, TimeWindowedKStream, Windows,
};
pub use builder::{BuildOptions, Optimization, StreamsBuilder};
pub use error::{Error, Result};
pub use global_store::GlobalStore;
pub use option::{Buffer, Consumed, Materialized, Produced, Repartitioned, Suppressed};
pub use stream::{JoinWindows, Joined, KGroupedStream, KStream, Printed, Sink, Split, StreamJoin, TableJoin};
pub use table::{GlobalKTable, KGroupedTable, KTable, TableJoined, ValueTransformer};
pub use window::{EmitStrategy, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows};
