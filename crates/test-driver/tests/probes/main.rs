//! Stores answer what Java's stores answered. The names are those of the golden file, whose expectations Java wrote.

#![expect(clippy::indexing_slicing, reason = "a test that misses its mark may panic")]

mod harness;
mod key_values;
mod sessions;
mod versions;
mod windows;
