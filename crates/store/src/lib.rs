//! State stores: engines, layouts, the record cache, changelogging. Knows no socket and no thread.

pub mod context;
pub mod output;

pub use context::RecordContext;
pub use output::{Output, OutputError, OutputRecord, TopicId};
