//! A suppression buffer: the last change of each key, where the first one stood.

use std::collections::BTreeMap;

use kstreams_store::layout::buffered::read_context;
use kstreams_store::{Kind, State};
use proptest::prelude::*;

use crate::{Log, Model, context};

type Value = Option<Vec<u8>>;

#[derive(Clone, Debug, PartialEq)]
struct Change {
    prior: Value,
    old: Value,
    new: Value,
    timestamp: i64,
}

impl Change {
    /// Eight bytes of time, the key, each value once, and the context: two times, partition and topic.
    fn weight(&self) -> u64 {
        let length = |value: &Value| value.as_ref().map_or(0, Vec::len);
        let old = if self.old == self.prior { 0 } else { length(&self.old) };
        let values = length(&self.prior) + old + length(&self.new);
        (8 + 1 + values + 8 + 8 + 4 + "in".len()) as u64
    }
}

#[derive(Clone, Default)]
pub(crate) struct Changes {
    waiting: BTreeMap<(i64, u8), Change>,
    flushed: BTreeMap<(i64, u8), Change>,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Key, place, old and new value, timestamp.
    Put(u8, i64, (Value, Value), i64),
    Pop,
}

impl Model for Changes {
    type Op = Op;

    fn kind() -> Kind {
        Kind::Suppression
    }

    fn op() -> BoxedStrategy<Op> {
        let value = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3));
        let put = (0..5_u8, 0..50_i64, (value(), value()), 0..100_i64);
        prop_oneof![
            3 => put.prop_map(|(key, time, values, timestamp)| Op::Put(key, time, values, timestamp)),
            1 => Just(Op::Pop),
        ]
        .boxed()
    }

    fn play(&mut self, op: Op, state: &mut State, changelog: &mut Log) {
        let logged = changelog.0.len();
        match op {
            Op::Put(key, time, (old, new), timestamp) => {
                let put = state
                    .suppression()
                    .put(&[key], time, (old.as_deref(), new.as_deref()), &context(timestamp));
                put.expect("it can be put");
                let known = self.waiting.iter().find(|((_, other), _)| *other == key);
                let (place, prior) = match known {
                    Some((place, change)) => (*place, change.prior.clone()),
                    None => ((time, key), old.clone()),
                };
                let change = Change {
                    prior,
                    old,
                    new,
                    timestamp,
                };
                self.waiting.insert(place, change);
            }
            Op::Pop => {
                let mut buffer = state.suppression();
                let popped = buffer.pop().expect("it can be read");
                let popped = popped.map(|first| {
                    let value = |value: Option<&[u8]>| value.map(<[u8]>::to_vec);
                    let change = Change {
                        prior: value(first.change.prior),
                        old: value(first.change.old),
                        new: value(first.change.new),
                        timestamp: read_context(first.change.context).expect("a context").timestamp,
                    };
                    (first.key[0], change)
                });
                let expected = self.waiting.pop_first().map(|((_, key), change)| (key, change));
                assert_eq!(popped, expected);
            }
        }
        assert_eq!(changelog.0.len(), logged, "nothing is logged before the flush");
    }

    fn flushed(&mut self) {
        self.flushed.clone_from(&self.waiting);
    }

    fn crashed(&mut self) {
        self.waiting.clone_from(&self.flushed);
    }

    fn compare(&mut self, state: &mut State) {
        let mut buffer = state.suppression();
        let totals = buffer.totals().expect("it can be read");
        let first = self.waiting.keys().next();
        assert_eq!(totals.records, self.waiting.len() as u64);
        assert_eq!(totals.min_time, first.map_or(i64::MAX, |(time, _)| *time));
        assert_eq!(totals.bytes, self.waiting.values().map(Change::weight).sum::<u64>());
        for key in 0..5_u8 {
            let prior = buffer.prior(&[key]).expect("it can be read");
            let waiting = self.waiting.iter().find(|((_, other), _)| *other == key);
            assert_eq!(prior, waiting.map(|(_, change)| change.prior.clone()));
        }
    }
}
