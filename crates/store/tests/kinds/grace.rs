//! The buffer of a join with grace: records in the order of time, key and arrival.

use std::collections::BTreeMap;

use kstreams_store::{Kind, State};
use proptest::prelude::*;

use crate::{Log, Model, context};

#[derive(Default)]
pub(crate) struct Records {
    waiting: BTreeMap<(i64, u8, usize), Vec<u8>>,
    observed: Option<i64>,
    count: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Put(u8, Vec<u8>, i64),
    Pop(i64),
}

impl Model for Records {
    type Op = Op;

    fn kind() -> Kind {
        Kind::GraceBuffer
    }

    fn op() -> BoxedStrategy<Op> {
        let value = proptest::collection::vec(any::<u8>(), 0..3);
        prop_oneof![
            2 => (0..4_u8, value, 0..100_i64).prop_map(|(key, value, time)| Op::Put(key, value, time)),
            1 => (0..100_i64).prop_map(Op::Pop),
        ]
        .boxed()
    }

    fn play(&mut self, op: Op, state: &mut State, changelog: &mut Log) {
        let logged = changelog.0.len();
        let mut buffer = state.grace_buffer();
        match op {
            Op::Put(key, value, time) => {
                let put = buffer.put(changelog, &[key], &value, &context(time));
                put.expect("it can be put");
                self.observed = self.observed.max(Some(time));
                self.count += 1;
                self.waiting.insert((time, key, self.count), value);
                assert!(changelog.0[logged].value.is_some());
            }
            Op::Pop(time) => {
                let popped = buffer.pop(changelog, time).expect("it can be read");
                let popped = popped.map(|record| (record.context.timestamp, record.key[0], record.value.to_vec()));
                let first = self.waiting.first_entry().filter(|first| first.key().0 <= time);
                let first = first.map(|first| first.remove_entry());
                let first = first.map(|((time, key, _), value)| (time, key, value));
                let gone = usize::from(first.is_some());
                assert_eq!(popped, first);
                assert_eq!(changelog.0.len(), logged + gone, "what goes is logged at once");
            }
        }
    }

    fn compare(&mut self, state: &mut State) {
        let mut buffer = state.grace_buffer();
        assert_eq!(buffer.observed().expect("it can be read"), self.observed.unwrap_or(-1));
        let totals = buffer.totals().expect("it can be read");
        let first = self.waiting.keys().next();
        assert_eq!(totals.records, self.waiting.len() as u64);
        assert_eq!(totals.min_time, first.map_or(i64::MAX, |(time, ..)| *time));
        // The row's key, the value, and the context: two times, partition and topic.
        let weight = |value: &Vec<u8>| (1 + 8 + 1 + 4 + value.len() + 8 + 8 + 4 + "in".len()) as u64;
        assert_eq!(totals.bytes, self.waiting.values().map(weight).sum::<u64>());
    }
}
