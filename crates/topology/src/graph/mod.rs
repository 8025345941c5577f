//! The executable copy of a subtopology that a task owns.
//!
//! Nodes stand in one list and know their children by number. A record is handed down by value, depth first: the parent
//! takes the child out of its place, calls it with a context over all the others, and puts it back. Between two nodes the
//! record's type is erased without an allocation: the parent's stack holds the record, the child takes it from there.

use std::any::Any;

use crate::record::Record;

/// A record on the caller's stack, its type erased. The node that it is handed to takes it out.
pub struct Input<'a>(&'a mut dyn Any);

impl<'a> Input<'a> {
    /// Wraps the slot that holds the record.
    pub fn new<K: 'static, V: 'static>(slot: &'a mut Option<Record<K, V>>) -> Self {
        Self(slot)
    }

    /// The record. Panics if the parent forwarded another type: typed builders make that impossible, hand-wired
    /// topologies are told which types meet.
    pub fn take<K: 'static, V: 'static>(self) -> Record<K, V> {
        self.0
            .downcast_mut::<Option<Record<K, V>>>()
            .and_then(Option::take)
            .unwrap_or_else(|| {
                panic!(
                    "a record of other types was forwarded to a node that takes {}",
                    std::any::type_name::<Record<K, V>>()
                )
            })
    }
}
