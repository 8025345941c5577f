//! Where the record being processed came from.

use kstreams_wire::{Headers, TopicName};

/// The source and the time of the record being processed. A cached write keeps its own copy until it is flushed.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordContext {
    /// The input topic; `None` while punctuating.
    pub topic: Option<TopicName>,
    /// The input partition; −1 while punctuating.
    pub partition: i32,
    /// The offset in that partition; −1 while punctuating.
    pub offset: i64,
    /// The record's timestamp in milliseconds, as the running node sees it.
    pub timestamp: i64,
    /// The record's headers, as the running node sees them.
    pub headers: Headers,
}

impl RecordContext {
    /// The context of no record, as punctuators see it.
    pub fn none(timestamp: i64) -> Self {
        Self {
            topic: None,
            partition: -1,
            offset: -1,
            timestamp,
            headers: Headers::new(),
        }
    }
}
