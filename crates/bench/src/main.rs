//! Measures kstreams; the counterpart of the JVM's Bench.
fn main() {}
