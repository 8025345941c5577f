//! Where reading began, until a commit in a transaction has shown that this was where the group had come to.
//!
//! A group's coordinator that is being loaded anew may answer offsets of long ago (ADR 9). Once it has taken offsets itself, it
//! is past that: so what it answered is asked for again during the first commit, and compared.

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams_client::Consumer;
use kstreams_client::group::{Committed, Stability};
use kstreams_wire::TopicPartition;

use crate::error::{Error, Result};

/// The offsets that were committed when reading began, as far as they are not confirmed; `None` where there was none.
#[derive(Debug, Default)]
pub(crate) struct Starts(BTreeMap<TopicPartition, Option<i64>>);

impl Starts {
    /// A partition is read from where it was said to be committed.
    pub(crate) fn begun(&mut self, partition: TopicPartition, committed: Option<i64>) {
        self.0.insert(partition, committed);
    }

    /// Nothing is read of these partitions any more.
    pub(crate) fn forget(&mut self, partitions: &[TopicPartition]) {
        self.0.retain(|partition, _| !partitions.contains(partition));
    }

    /// Makes sure that the partitions of a transaction's offsets, which the coordinator has taken, were begun where they are
    /// committed until now.
    pub(crate) fn confirm(
        &mut self,
        offsets: &BTreeMap<TopicPartition, Committed>,
        consumer: &mut Consumer,
        limit: Duration,
    ) -> Result<()> {
        let open = offsets.keys().filter(|partition| self.0.contains_key(*partition));
        let open: Vec<TopicPartition> = open.cloned().collect();
        if open.is_empty() {
            return Ok(());
        }
        // What this very transaction is about to commit must not be waited for.
        let committed = consumer.committed(&open, Stability::Any, limit);
        let committed = committed.map_err(|source| Error::Transaction { source: source.into() })?;
        self.compare(open, &committed)
    }

    fn compare(
        &mut self,
        partitions: Vec<TopicPartition>,
        committed: &BTreeMap<TopicPartition, Committed>,
    ) -> Result<()> {
        for partition in partitions {
            let committed = committed.get(&partition).map(|committed| committed.offset);
            if let Some(begun) = self.0.remove(&partition)
                && begun != committed
            {
                return Err(Error::Start {
                    partition,
                    begun,
                    committed,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64) -> BTreeMap<TopicPartition, Committed> {
        BTreeMap::from([(at(0), Committed::at(offset))])
    }

    fn at(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    /// Whether partition 0 of `t` may be committed when it was begun there and that is committed.
    fn is_confirmed(begun: Option<i64>, committed: &BTreeMap<TopicPartition, Committed>) -> bool {
        let mut starts = Starts::default();
        starts.begun(at(0), begun);
        starts.compare(vec![at(0)], committed).is_ok()
    }

    #[test]
    fn reading_has_to_have_begun_where_the_group_had_come_to() {
        assert!(is_confirmed(Some(7), &committed(7)));
        assert!(is_confirmed(None, &BTreeMap::new()));
        assert!(
            !is_confirmed(Some(7), &committed(9)),
            "a coordinator answered an old offset"
        );
        assert!(!is_confirmed(None, &committed(9)), "it did not know of any yet");
        assert!(!is_confirmed(Some(7), &BTreeMap::new()));
    }

    #[test]
    fn what_is_confirmed_once_is_not_asked_again() {
        let mut starts = Starts::default();
        starts.begun(at(0), Some(7));
        starts.begun(at(1), Some(1));
        assert!(starts.compare(vec![at(0)], &committed(7)).is_ok());
        starts.forget(&[at(1)]);
        assert!(starts.0.is_empty());
    }
}
