//! Readers of committed records against a model: whatever producers interleave, and however little a fetch brings.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kstreams_broker::{Broker, BrokerConfig};
use kstreams_client::{Client, Producer, ProducerRecord, Start};
use kstreams_wire::Headers;
use kstreams_wire::TopicName;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Got, PATIENCE, client, consumer, partition, producer};

/// Who writes without transactions; those before do.
const PLAIN: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Write { who: usize, key: u8, records: i64 },
    End { who: usize, commit: bool },
    Read { committed: bool, from: u16, bytes: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..=PLAIN, 0..4_u8, 1..4_i64).prop_map(|(who, key, records)| Step::Write { who, key, records }),
        3 => (0..PLAIN, any::<bool>()).prop_map(|(who, commit)| Step::End { who, commit }),
        1 => (any::<bool>(), any::<u16>(), 1..600_u16)
            .prop_map(|(committed, from, bytes)| Step::Read { committed, from, bytes }),
    ]
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Committed,
    Aborted,
    Open(usize),
}

#[derive(Clone, Copy, Debug)]
struct Written {
    key: u8,
    fate: Fate,
}

/// The log as it should be, by offset. Markers take offsets, too.
#[derive(Debug, Default)]
struct Model {
    written: BTreeMap<i64, Written>,
    end: i64,
}

impl Model {
    fn write(&mut self, who: usize, key: u8, records: i64) {
        let fate = if who == PLAIN { Fate::Committed } else { Fate::Open(who) };
        for _ in 0..records {
            self.written.insert(self.end, Written { key, fate });
            self.end += 1;
        }
    }

    fn end(&mut self, who: usize, commit: bool) {
        let outcome = if commit { Fate::Committed } else { Fate::Aborted };
        let mine = self
            .written
            .values_mut()
            .filter(|written| written.fate == Fate::Open(who));
        let ended = mine.map(|written| written.fate = outcome).count();
        self.end += i64::from(ended > 0);
    }

    /// Behind the last record that a reader may see.
    fn limit(&self, committed: bool) -> i64 {
        let open = self
            .written
            .iter()
            .find(|(_, written)| matches!(written.fate, Fate::Open(_)));
        open.filter(|_| committed).map_or(self.end, |(offset, _)| *offset)
    }

    /// What a reader finds from this offset on.
    fn visible(&self, committed: bool, from: i64) -> impl Iterator<Item = (i64, u8)> {
        let seen = move |written: &Written| !committed || written.fate == Fate::Committed;
        let range = self.written.range(from..self.limit(committed).max(from));
        range
            .filter(move |(_, written)| seen(written))
            .map(|(offset, written)| (*offset, written.key))
    }
}

struct World {
    _broker: Broker,
    client: Client,
    producers: Vec<Producer>,
    model: Model,
    compacts: bool,
}

impl World {
    fn new(transaction_version: i16, compacts: bool) -> Self {
        let config = BrokerConfig {
            transaction_version,
            segment_bytes_max: 300,
            compaction_interval: Duration::from_millis(1),
            ..BrokerConfig::default()
        };
        let broker = Broker::start(config).unwrap();
        let configs = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0")];
        broker
            .create_topic("t", 1, if compacts { &configs } else { &[] })
            .unwrap();
        let client = client(&broker.addr().to_string());
        let producers = (0..=PLAIN).map(|who| {
            if who == PLAIN {
                return producer(&client, &[]);
            }
            let mut producer = producer(&client, &[("transactional.id", &who.to_string())]);
            producer.init_transactions().unwrap();
            producer
        });
        Self {
            producers: producers.collect(),
            _broker: broker,
            client,
            model: Model::default(),
            compacts,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write { who, key, records } => {
                write(&mut self.producers[who], key, self.model.end, records);
                self.model.write(who, key, records);
            }
            Step::End { who, commit } => {
                match commit {
                    true => self.producers[who].commit_transaction().unwrap(),
                    false => self.producers[who].abort_transaction().unwrap(),
                }
                self.model.end(who, commit);
            }
            Step::Read { committed, from, bytes } => {
                self.read(committed, i64::from(from) % (self.model.end + 1), bytes)
            }
        }
    }

    /// Reads from an offset on, a few bytes at a time, and compares with the model.
    fn read(&self, committed: bool, from: i64, bytes: u16) {
        let limit = self.model.limit(committed);
        let isolation = if committed {
            "read_committed"
        } else {
            "read_uncommitted"
        };
        let bytes = bytes.to_string();
        let mut consumer = consumer(
            &self.client,
            &[("isolation.level", isolation), ("max.partition.fetch.bytes", &bytes)],
        );
        let place = partition("t", 0);
        consumer.assign(&[(place.clone(), Start::Offset(from))]);
        let mut got = Got::default();
        // Compaction may have taken away what a later committed record of the key replaces, and what was aborted. Then
        // there may be nothing between the reader and the first open transaction.
        let latest: BTreeMap<u8, i64> = self
            .model
            .visible(true, from)
            .map(|(offset, key)| (key, offset))
            .collect();
        let has = |got: &Got, offset| got.values.values().flatten().any(|(found, _)| *found == offset);
        let has_latest = |got: &Got| self.compacts && latest.values().all(|offset| has(got, *offset));
        let start = Instant::now();
        while from < limit && consumer.position(&place).is_none_or(|position| position < limit) && !has_latest(&got) {
            assert!(start.elapsed() < PATIENCE, "{:?} of {limit}", consumer.position(&place));
            got.poll(&mut consumer, Duration::from_millis(50));
        }
        assert!(got.others.is_empty(), "{:?}", got.others);
        let is_complete = has_latest(&got);
        let got: BTreeMap<i64, String> = got.values.remove(&place).unwrap_or_default().into_iter().collect();
        let all: BTreeMap<i64, String> = self
            .model
            .visible(committed, from)
            .map(|(offset, _)| (offset, offset.to_string()))
            .collect();
        if self.compacts {
            assert!(is_complete, "{latest:?} of {got:?}");
            assert!(
                got.iter().all(|(offset, value)| all.get(offset) == Some(value)),
                "{got:?} of {all:?}"
            );
        } else {
            assert_eq!(got, all, "{isolation} from {from}, {bytes} bytes at a time");
        }
    }
}

/// Writes records that know their offsets.
fn write(producer: &mut Producer, key: u8, offset: i64, records: i64) {
    let topic = producer.topic(&TopicName::new("t"));
    for offset in offset..offset + records {
        let value = offset.to_string();
        let record = ProducerRecord {
            key: Some(&[key]),
            value: Some(value.as_bytes()),
            timestamp: 1,
            headers: &Headers::new(),
        };
        producer.append(topic, Some(0), record).unwrap();
    }
    producer.flush().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn readers_of_committed_records_see_what_the_model_says(
        version in 1..=2_i16,
        compacts in any::<bool>(),
        steps in vec(step(), 1..60),
    ) {
        let mut world = World::new(version, compacts);
        for step in steps {
            world.take(step);
        }
        for committed in [true, false] {
            for bytes in [1, 200, 10_000] {
                world.read(committed, 0, bytes);
            }
        }
    }
}
