//! Which transactions of a partition are open, and which were aborted.

use std::collections::BTreeMap;

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Commit,
    Abort,
}

/// The marker that ends a producer's transaction in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionMarker {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) outcome: Outcome,
    pub(crate) coordinator_epoch: i32,
}

/// A transaction whose records do not count: what readers of committed records are told to leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// That of the marker.
    pub(crate) last_offset: i64,
}

/// The transactions of one partition.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// The first offset of each producer's open transaction.
    open: BTreeMap<i64, i64>,
    /// In the order of their markers.
    aborted: Vec<Aborted>,
}

impl Transactions {
    /// A producer wrote within a transaction.
    pub(super) fn note(&mut self, producer_id: i64, base_offset: i64) {
        self.open.entry(producer_id).or_insert(base_offset);
    }

    /// A marker was written.
    pub(super) fn end(&mut self, producer_id: i64, outcome: Outcome, marker_offset: i64) {
        let first_offset = self.open.remove(&producer_id);
        if let (Outcome::Abort, Some(first_offset)) = (outcome, first_offset) {
            self.aborted.push(Aborted {
                producer_id,
                first_offset,
                last_offset: marker_offset,
            });
        }
    }

    /// Where a producer's open transaction begins.
    pub(super) fn start_of(&self, producer_id: i64) -> Option<i64> {
        self.open.get(&producer_id).copied()
    }

    /// Where the oldest open transaction begins: no record from there on is stable.
    pub(super) fn first_open(&self) -> Option<i64> {
        self.open.values().min().copied()
    }

    /// The aborted transactions that a reader of these offsets may meet.
    pub(super) fn aborted_between(&self, from: i64, until: i64) -> impl Iterator<Item = Aborted> {
        let behind = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let rest = self.aborted.iter().skip(behind).copied();
        rest.filter(move |aborted| aborted.first_offset < until)
    }

    /// Forgets the aborted transactions that end before `start`: nobody can read that any more.
    pub(super) fn forget_before(&mut self, start: i64) {
        self.aborted.retain(|aborted| aborted.last_offset >= start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_not_stable_and_what_was_aborted_is_told() {
        let mut transactions = Transactions::default();
        transactions.note(7, 10);
        transactions.note(8, 12);
        transactions.note(7, 14);
        assert_eq!(transactions.first_open(), Some(10));
        transactions.end(7, Outcome::Abort, 20);
        assert_eq!(transactions.first_open(), Some(12));
        transactions.end(8, Outcome::Commit, 21);
        assert_eq!(transactions.first_open(), None);
        let aborted = Aborted {
            producer_id: 7,
            first_offset: 10,
            last_offset: 20,
        };
        let between = |from, until| transactions.aborted_between(from, until).collect::<Vec<_>>();
        assert_eq!(between(0, 11), [aborted]);
        assert_eq!(between(20, 30), [aborted]);
        assert_eq!(between(0, 10), []);
        assert_eq!(between(21, 30), []);
    }

    #[test]
    fn a_marker_without_records_leaves_no_trace() {
        let mut transactions = Transactions::default();
        transactions.end(7, Outcome::Abort, 3);
        assert_eq!(transactions.aborted_between(0, 10).count(), 0);
    }
}
