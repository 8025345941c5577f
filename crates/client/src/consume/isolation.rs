//! Which batches of a fetched range belong to aborted transactions.

use std::collections::HashSet;

use kstreams_wire::batch::Batch;

/// Walks a range of batches in order, along the list of aborted transactions that the broker gave with it.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// First offset and producer id of each, the first one last.
    ahead: Vec<(i64, i64)>,
    open: HashSet<i64>,
}

impl Aborted {
    /// From pairs of first offset and producer id.
    pub(super) fn new(transactions: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut ahead: Vec<_> = transactions.into_iter().collect();
        ahead.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            ahead,
            open: HashSet::new(),
        }
    }

    /// True if the batch, the next in order, is not to be seen.
    pub(super) fn hides(&mut self, batch: &Batch) -> bool {
        let header = batch.header();
        while let Some((_, producer)) = self.ahead.pop_if(|(first, _)| *first <= header.last_offset()) {
            self.open.insert(producer);
        }
        if header.attributes.is_control() {
            // Of no use to tell an abort from a commit here: either ends the transaction.
            self.open.remove(&header.producer_id);
            return true;
        }
        header.attributes.is_transactional() && self.open.contains(&header.producer_id)
    }
}
