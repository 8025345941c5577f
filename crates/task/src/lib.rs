//! One task as a pure machine: records in, sends out. It asks no clock and does no I/O but in its stores; what it sends
//! goes to the [`Output`](kstreams_store::Output) that is lent to each call.
//!
//! | file | what |
//! |---|---|
//! | [`inbox`] | buffered input, smallest timestamp first |
//! | [`metadata`] | what is committed along with an offset |
//! | [`lifecycle`] | the states of a task |
//! | [`active`] | the task that processes |
//! | [`global`] | the task that fills global stores |

pub mod active;
pub mod error;
pub mod global;
pub mod inbox;
pub mod lifecycle;
pub mod metadata;

pub use active::{ActiveTask, ChangelogState, Close, Committable, Counters, Input};
pub use error::{Error, Result};
pub use global::GlobalTask;
pub use inbox::{Admission, TaskConfig};
pub use lifecycle::TaskState;
pub use metadata::OffsetMetadata;
