//! Programs that ran on Java run here: the same records go in, and the same come out. The names are those of the golden
//! file, whose expectations Java wrote.

mod aggregate;
mod harness;
mod process;
mod stateless;
mod table;
