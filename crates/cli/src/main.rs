//! The kstreams command.
fn main() {}
