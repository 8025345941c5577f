//! What runs and how it is wired: serdes, processors, the topology and its executable graph. No clients, no clock.

pub mod graph;
pub mod record;
pub mod serde;

pub use record::{Change, Data, Nullable, Record};
pub use serde::{DefaultSerde, Serde, SerdeError};
