//! Where a case is given up: joins of joins can make more of one input than memory holds.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the panic carries that ends such a case.
#[derive(Debug)]
pub(crate) struct GivenUp;

/// What one joiner has made in a case. The oracle gives up at 4000 records or 2 MB of output; ten times that leaves room for
/// results that come to no output.
#[derive(Debug, Default)]
pub(crate) struct Made {
    results: AtomicUsize,
    bytes: AtomicUsize,
}

impl Made {
    const RESULTS_MAX: usize = 40_000;
    const BYTES_MAX: usize = 20 << 20;

    /// Counts a result of this size. Ends the case if it is one too many: functions of a case cannot fail otherwise.
    pub(crate) fn count(&self, bytes: usize) {
        let results = self.results.fetch_add(1, Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if results >= Self::RESULTS_MAX || bytes > Self::BYTES_MAX {
            resume_unwind(Box::new(GivenUp));
        }
    }
}
