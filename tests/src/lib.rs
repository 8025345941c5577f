//! What the test binaries share: a real Kafka, Java's own tools, and programs of ours as child processes.
//!
//! A test that needs Java asks [`kafka::real`] for a broker. Without `TEST_KAFKA=1` it gets none, and says loudly
//! that it was skipped; with it, a Kafka that cannot be started is a failure.

pub mod chaos;
pub mod java;
pub mod kafka;
pub mod program;
pub mod topics;

use std::path::{Path, PathBuf};

/// The repository's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .expect("the tests' package is a folder of the repository")
}
