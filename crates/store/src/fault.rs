//! Points at which a test lets the process die, as `kill -9` would end it. Without the feature `fault-injection`, which is
//! for tests only, there are none.
//!
//! | point | where |
//! |---|---|
//! | `commit:1` | a commit begins, nothing is flushed |
//! | `commit:1+` | the caches of one more task are flushed |
//! | `commit:2` | all caches are flushed, what they sent is not acknowledged |
//! | `commit:3` | everything sent is acknowledged, no offset is committed |
//! | `commit:4` | the offsets are part of the transaction, which is not committed (exactly-once only) |
//! | `commit:5` | the offsets are committed, no store is written |
//! | `store:1` | before the batch of one more store |
//! | `store:2` | behind the batch of one more store |
//! | `commit:6` | behind the batches of all stores |

/// Ends the process here, if the environment variable `KSTREAMS_FAULT` says so: `commit:3@7` is the seventh time that
/// the point `commit:3` is reached, by any thread. No destructor runs, nothing is flushed.
#[cfg(feature = "fault-injection")]
pub fn reach(point: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("KSTREAMS_FAULT").ok()?;
        let (point, times) = text.split_once('@')?;
        Some((point.to_owned(), times.parse().ok()?))
    });
    if let Some((name, times)) = wanted
        && name == point
        && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == *times
    {
        std::process::abort();
    }
}

/// Does nothing: the feature `fault-injection` is off.
#[cfg(not(feature = "fault-injection"))]
#[inline]
pub fn reach(_: &str) {}
