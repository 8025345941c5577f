//! What runs and how it is wired: serdes, processors, the topology and its executable graph. No clients, no clock.
//!
//! | file | what |
//! |---|---|
//! | [`record`] | records as user code sees them, and the types that may be in one |
//! | [`serde`] | values to bytes and back |
//! | [`exception`] | what Java would have thrown |
//! | [`timestamp`] | which timestamp a record gets when it enters |
//! | [`heap`] | what is due first, with ties as Java breaks them |
//! | [`panic`](mod@panic) | panics of user code, as errors |
//! | [`pattern`] | regular expressions over topic names |
//! | [`stores`] | typed handles and views of state stores |
//! | [`graph`] | the executable copy of a topology that a task owns |
//! | [`processor`] | the Processor API: user code in the topology |
//! | [`window`] | windows of time, and keys in one window |
//! | [`blueprint`] | the topology as it is built, checked, described and divided |

pub mod blueprint;
pub mod error;
pub mod exception;
pub mod graph;
pub mod heap;
pub mod panic;
pub mod pattern;
pub mod processor;
pub mod record;
pub mod serde;
pub mod stores;
pub mod task_id;
pub mod timestamp;
pub mod window;

pub use blueprint::{Consumed, Produced, Topology};
pub use error::{BoxError, Error, Result};
pub use panic::Panic;
pub use pattern::TopicPattern;
pub use record::{Change, Data, Nullable, Record};
pub use serde::{DefaultSerde, Serde, SerdeError};
pub use task_id::TaskId;
pub use timestamp::TimestampExtractor;
pub use window::{Window, Windowed};
