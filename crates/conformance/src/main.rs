//! Runs the oracle's cases on kstreams.
fn main() {}
