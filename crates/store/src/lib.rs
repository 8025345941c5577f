//! State stores: engines, layouts, the record cache, changelogging. Knows no socket and no thread.
//!
//! [`Storage`] is a process's state directory. [`State`] is one store of one task, seen as bytes: a write goes through the
//! record cache, the changelog and a write buffer, and reaches the engine at [`State::commit`], together with the changelog
//! offset and in one atomic batch. Typed views of it are made above this crate.
//!
//! Map, in reading order: `context` and `output` (what a task lends to its stores), `spec` (what a store is), `range`
//! (which keys a read wants), `record` (what changelogs hold), `layout` (how values become bytes), `table` (the map inside
//! everything), `engine` (where entries rest), `state` (the write path, the cache, the merge of reads; in `state::kind`
//! versions and buffers, whose rows are not their changelog's records), `storage` (the directory), `fault` (where tests let the process die).

pub mod context;
pub mod error;
pub mod fault;
pub mod layout;
pub mod output;
pub mod range;
pub mod record;
pub mod spec;
pub mod state;
pub mod storage;

mod engine;
mod identity;
mod small;
mod table;

pub use context::RecordContext;
pub use error::{Error, Result};
pub use output::{Origin, Output, OutputError, OutputRecord, TopicId};
pub use range::{KeyRange, Order};
pub use record::ChangelogRecord;
pub use spec::{
    Changelog, ChangelogId, EngineKind, Kind, Logging, SessionLayout, StoreSpec, TimeOrder, VersionedLayout,
    WindowLayout, segment_ms,
};
pub use state::kind::PutOutcome;
pub use state::{CacheBudget, Closed, Flushed, Forward, Keys, Range, Scan, Scanned, State, TimedRow, Write};
pub use storage::{GLOBAL, PersistentEngine, RocksDbOptions, Storage, StorageConfig, StoreReader};
