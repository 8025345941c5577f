//! Runs the oracle's cases on kstreams, and compares the results with those of Kafka Streams.
//!
//! A case is a topology and its inputs, as JSON; a result is all that can be seen of a run. `oracle/README.md` describes
//! both. Here a case is built through the public DSL, runs on the test driver, and every result says what the oracle's says.

mod case;
mod check;
mod compare;
mod dump;
mod engine;
mod function;
mod key;
mod limit;
mod notes;
mod outputs;
mod processor;
mod program;
mod run;
mod value;

pub use check::{Tally, check, read_lines};
pub use compare::difference;
pub use engine::Engine;
pub use run::run;
