//! A versioned store: each key has a map from times to values.

use std::collections::BTreeMap;

use kstreams_store::state::kind::Version;
use kstreams_store::{Kind, PutOutcome, State, VersionedLayout};
use proptest::prelude::*;

use crate::{Log, Model};

const HISTORY: i64 = 60;

type Told = Option<(Vec<u8>, i64, Option<i64>)>;

#[derive(Default)]
pub(crate) struct Versions {
    keys: BTreeMap<u8, BTreeMap<i64, Option<u8>>>,
    observed: Option<i64>,
}

/// A key, a value, a time.
#[derive(Clone, Debug)]
pub(crate) struct Put(u8, Option<u8>, i64);

impl Model for Versions {
    type Op = Put;

    fn kind() -> Kind {
        Kind::Versioned(VersionedLayout {
            history_ms: HISTORY,
            segment_ms: 20,
            java_quirks: false,
        })
    }

    fn op() -> BoxedStrategy<Put> {
        let value = proptest::option::weighted(0.75, any::<u8>());
        // Time moves on most of the time.
        let time = prop_oneof![8 => 0..150_i64, 1 => 0..400_i64];
        (0..3_u8, value, time)
            .prop_map(|(key, value, time)| Put(key, value, time))
            .boxed()
    }

    fn play(&mut self, Put(key, value, time): Put, state: &mut State, changelog: &mut Log) {
        let logged = changelog.0.len();
        let bytes = value.map(|value| [value]);
        let outcome = state
            .versions()
            .put(changelog, &[key], bytes.as_ref().map(|value| &value[..]), time);
        assert_eq!(changelog.0.len(), logged + 1, "every put is logged");
        assert_eq!(changelog.0[logged].timestamp, time);
        let expected = if time < self.history_start() {
            PutOutcome::TooOld
        } else {
            self.observed = self.observed.max(Some(time));
            let versions = self.keys.entry(key).or_default();
            versions.insert(time, value);
            let next = versions.range(time + 1..).next();
            next.map_or(PutOutcome::Latest, |(next, _)| PutOutcome::ValidTo(*next))
        };
        assert_eq!(outcome.expect("it can be put"), expected);
    }

    fn compare(&mut self, state: &mut State) {
        let mut store = state.versions();
        assert_eq!(store.observed().expect("it can be read"), self.observed.unwrap_or(-1));
        for key in 0..3 {
            assert_eq!(
                told(store.latest(&[key]).expect("it can be read")),
                self.at(key, i64::MAX)
            );
            for time in (0..400).step_by(9) {
                assert_eq!(
                    told(store.at(&[key], time).expect("it can be read")),
                    self.seen_at(key, time),
                    "key {key} at {time}, observed {:?}",
                    self.observed
                );
            }
            let mut between = Vec::new();
            let mut keep = |version: Version<'_>| between.extend(told(Some(version)));
            store.between(&[key], (30, 120), &mut keep).expect("it can be read");
            let start = self.history_start();
            between.retain(|(_, _, to)| to.is_none_or(|to| to > start));
            assert_eq!(between, self.between(key, 30, 120));
        }
    }
}

impl Versions {
    fn history_start(&self) -> i64 {
        self.observed.unwrap_or(-1) - HISTORY
    }

    fn version(&self, key: u8, from: i64, value: Option<u8>) -> Told {
        let next = self.keys.get(&key)?.range(from.checked_add(1)?..).next();
        Some((vec![value?], from, next.map(|(next, _)| *next)))
    }

    fn at(&self, key: u8, time: i64) -> Told {
        let (from, value) = self.keys.get(&key)?.range(..=time).next_back()?;
        self.version(key, *from, *value)
    }

    /// Before the history only the latest version is known.
    fn seen_at(&self, key: u8, time: i64) -> Told {
        self.at(key, time)
            .filter(|(_, _, to)| time >= self.history_start() || to.is_none())
    }

    fn between(&self, key: u8, from: i64, to: i64) -> Vec<(Vec<u8>, i64, Option<i64>)> {
        let start = self.history_start();
        let versions = self.keys.get(&key).into_iter().flatten().rev();
        let versions = versions.filter_map(|(begin, value)| self.version(key, *begin, *value));
        let wanted = |(_, begin, end): &(Vec<u8>, i64, Option<i64>)| {
            *begin <= to && end.is_none_or(|end| end > from && end > start && to >= start)
        };
        versions.filter(wanted).collect()
    }
}

fn told(version: Option<Version<'_>>) -> Told {
    let version = version?;
    Some((version.value?.to_vec(), version.timestamp, version.valid_to))
}
