//! The kinds of stores whose rows are not their changelog's records: each has its own operations on rows, its own records
//! and its own way back from these.
//!
//! What such a store knows beside its entries (the time it has reached, how much it holds) is kept in rows, too: so it is
//! committed, discarded and restored with them.

mod dirty;
mod grace;
mod suppression;
mod versions;

use crate::error::Result;
use crate::record::ChangelogRecord;
use crate::spec::Kind;
use crate::state::State;
use crate::state::below::Below;

pub(super) use dirty::DirtyKeys;
pub use grace::{GraceBuffer, Waiting};
pub use suppression::{Suppressed, Suppression};
pub use versions::{PutOutcome, Version, Versions};

/// How much a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferTotals {
    /// Changes or records.
    pub records: u64,
    /// Bytes, as Kafka Streams counts them.
    pub bytes: u64,
    /// The time of the first one; `i64::MAX` without one.
    pub min_time: i64,
}

impl BufferTotals {
    const NONE: Self = Self {
        records: 0,
        bytes: 0,
        min_time: i64::MAX,
    };
}

/// The key and the value of a row.
#[derive(Default)]
pub(super) struct Row {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Row {
    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.value.clear();
        self.value.extend_from_slice(value);
    }
}

/// A store of another kind than the operation is for.
const OTHER_KIND: &str = "a store's operations are those of its kind";

impl State {
    /// The operations of a versioned store.
    ///
    /// # Panics
    /// If the store is of another kind.
    pub fn versions(&mut self) -> Versions<'_> {
        Versions::new(&mut self.below, &mut self.scratch)
    }

    /// The operations of a suppression buffer.
    ///
    /// # Panics
    /// If the store is of another kind.
    pub fn suppression(&mut self) -> Suppression<'_> {
        Suppression::new(&mut self.below, &mut self.scratch)
    }

    /// The operations of a buffer of stream records.
    ///
    /// # Panics
    /// If the store is of another kind.
    pub fn grace_buffer(&mut self) -> GraceBuffer<'_> {
        GraceBuffer::new(&mut self.below, &mut self.scratch)
    }
}

/// Applies a changelog record of one of these kinds; false if the store is of another kind.
pub(super) fn restore(below: &mut Below, record: &ChangelogRecord<'_>) -> Result<bool> {
    let mut row = Row::default();
    match below.identity().kind {
        Kind::Versioned(_) => Versions::new(below, &mut row).restore(record)?,
        Kind::Suppression => Suppression::new(below, &mut row).restore(record)?,
        Kind::GraceBuffer => GraceBuffer::new(below, &mut row).restore(record)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Logs what of these kinds is logged at flushes only.
pub(super) fn flush(below: &mut Below, output: &mut dyn crate::output::Output) -> Result<()> {
    match below.identity().kind {
        Kind::Suppression => Suppression::new(below, &mut Row::default()).flush(output),
        _ => Ok(()),
    }
}
