//! Programs that ran on Java run here: the same records go in, and the same come out. The names are those of the golden
//! file, whose expectations Java wrote.

#![expect(clippy::indexing_slicing, reason = "a test that misses its mark may panic")]

mod aggregate;
mod changelogs;
mod cogroup;
mod coverage;
mod foreign_key;
mod harness;
mod join;
mod process;
mod stateless;
mod suppress;
mod table;
mod table_join;
mod versioned;
mod window;
