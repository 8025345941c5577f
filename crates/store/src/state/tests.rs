//! What the cache forwards, logs and evicts, and when.

use kstreams_wire::{TopicName, TopicPartition};

use crate::context::RecordContext;
use crate::error::Error;
use crate::output::{Output, OutputError, OutputRecord, TopicId};
use crate::spec::{Changelog, EngineKind, Kind, Logging, StoreSpec};
use crate::state::{CacheBudget, Flushed, Forward, State, Write};
use crate::storage::Storage;

/// A changelog record: key, value, timestamp.
type Logged = (String, Option<String>, i64);

/// An output that keeps what it is sent, or refuses it.
#[derive(Default)]
struct Log {
    records: Vec<Logged>,
    refuses: bool,
}

impl Output for Log {
    fn topic(&mut self, name: &TopicName) -> TopicId {
        assert_eq!(name.as_str(), "changelog");
        TopicId(7)
    }

    fn partitions(&mut self, _topic: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        if self.refuses {
            return Err(OutputError {
                topic: TopicName::new("changelog"),
                source: "refused".into(),
            });
        }
        assert_eq!((record.topic, record.partition), (TopicId(7), Some(0)));
        assert!(record.headers.is_empty());
        let key = text(record.key.unwrap());
        self.records
            .push((key, record.value.map(text), record.timestamp.unwrap()));
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A change as it is handed out: key, new, old, timestamp.
type Forwarded = (String, Option<String>, Option<String>, i64);

fn forwarded(change: Flushed<'_>) -> Forwarded {
    (
        text(change.key),
        change.new.map(text),
        change.old.map(text),
        change.context.timestamp,
    )
}

fn change(key: &str, new: Option<&str>, old: Option<&str>, timestamp: i64) -> Forwarded {
    (key.into(), new.map(Into::into), old.map(Into::into), timestamp)
}

fn logged(key: &str, value: Option<&str>, timestamp: i64) -> Logged {
    (key.into(), value.map(Into::into), timestamp)
}

/// A store in memory, with its changelog.
struct Bench {
    state: State,
    log: Log,
}

impl Bench {
    fn new(kind: Kind, cache: Option<&CacheBudget>) -> Self {
        let spec = StoreSpec {
            name: "store".into(),
            kind,
            engine: EngineKind::Memory,
            caching: cache.is_some(),
            logging: Logging::enabled(),
        };
        let changelog = Changelog::Own(TopicPartition::new("changelog", 0));
        let nothing = CacheBudget::new(0);
        let state = Storage::in_memory().state(&spec, "0_0", Some(changelog), cache.unwrap_or(&nothing));
        Self {
            state: state.unwrap(),
            log: Log::default(),
        }
    }

    fn cached(bytes: usize, forward: Forward) -> Self {
        let mut bench = Self::new(Kind::KeyValue, Some(&CacheBudget::new(bytes)));
        bench.state.forward(forward);
        bench
    }

    fn put(&mut self, key: &str, value: Option<&str>, timestamp: i64) {
        self.try_put(key, value.map(str::as_bytes), timestamp).unwrap();
    }

    fn try_put(&mut self, key: &str, value: Option<&[u8]>, timestamp: i64) -> crate::Result<()> {
        let mut write = Write {
            output: &mut self.log,
            context: &RecordContext::none(timestamp),
        };
        self.state.put(&mut write, key.as_bytes(), value)
    }

    fn get(&mut self, key: &str) -> Option<String> {
        let mut write = Write {
            output: &mut self.log,
            context: &RecordContext::none(0),
        };
        self.state.get(&mut write, key.as_bytes()).unwrap().map(text)
    }

    fn evicted(&mut self) -> Vec<Forwarded> {
        let mut changes = Vec::new();
        while let Some(change) = self.state.next_flushed() {
            changes.push(forwarded(change));
        }
        assert!(!self.state.has_flushed());
        changes
    }

    fn flushed(&mut self) -> Vec<Forwarded> {
        let mut changes = Vec::new();
        while let Some(change) = self.state.flush_next(&mut self.log).unwrap() {
            changes.push(forwarded(change));
        }
        changes
    }
}

/// What one entry with a key and a value of one byte each weighs.
const ENTRY: usize = 1 + 1 + 45;

#[test]
fn uncached_write_is_logged_at_once() {
    let mut bench = Bench::new(Kind::KeyValue, None);
    bench.put("a", Some("1"), 5);
    bench.put("a", None, 6);
    assert_eq!(bench.log.records, [logged("a", Some("1"), 5), logged("a", None, 6)]);
    assert_eq!(bench.get("a"), None);
    assert!(bench.flushed().is_empty());
}

#[test]
fn timestamped_store_logs_the_plain_value_with_its_own_timestamp() {
    let mut bench = Bench::new(Kind::TimestampedKeyValue, None);
    let mut stored = 42_i64.to_be_bytes().to_vec();
    stored.push(b'v');
    bench.try_put("a", Some(&stored), 5).unwrap();
    bench.put("a", None, 6);
    assert_eq!(bench.log.records, [logged("a", Some("v"), 42), logged("a", None, 6)]);

    let unknown_time = (-1_i64).to_be_bytes();
    let refused = bench.try_put("a", Some(&unknown_time), 7);
    assert!(matches!(refused, Err(Error::NegativeTimestamp { timestamp: -1, .. })));
}

#[test]
fn cache_keeps_the_latest_value_until_flush() {
    let mut bench = Bench::cached(1000, Forward::NewAndOld);
    bench.put("a", Some("1"), 1);
    bench.put("b", Some("1"), 2);
    bench.put("a", Some("2"), 3);
    assert!(bench.log.records.is_empty());
    assert_eq!(bench.get("a").as_deref(), Some("2"));
    // In the order of each key's last write.
    assert_eq!(
        bench.flushed(),
        [change("b", Some("1"), None, 2), change("a", Some("2"), None, 3)]
    );
    assert_eq!(
        bench.log.records,
        [logged("b", Some("1"), 2), logged("a", Some("2"), 3)]
    );
    bench.put("a", Some("3"), 4);
    assert_eq!(bench.flushed(), [change("a", Some("3"), Some("2"), 4)]);
    assert!(bench.flushed().is_empty());
}

#[test]
fn old_value_is_handed_out_only_if_asked_for() {
    let mut bench = Bench::cached(1000, Forward::New);
    bench.put("a", Some("1"), 1);
    bench.flushed();
    bench.put("a", Some("2"), 2);
    assert_eq!(bench.flushed(), [change("a", Some("2"), None, 2)]);
    bench.put("a", None, 3);
    assert_eq!(bench.flushed(), [change("a", None, None, 3)]);
}

#[test]
fn deleting_what_was_never_there_is_neither_logged_nor_forwarded() {
    let mut bench = Bench::cached(1000, Forward::New);
    bench.put("a", None, 1);
    assert!(bench.flushed().is_empty());
    assert!(bench.log.records.is_empty());
    // Without a listener nobody asks what was there.
    let mut bench = Bench::cached(1000, Forward::Nothing);
    bench.put("a", None, 1);
    bench.flushed();
    assert_eq!(bench.log.records, [logged("a", None, 1)]);
}

#[test]
fn deletion_leaves_the_cache_when_it_is_flushed() {
    let budget = CacheBudget::new(1000);
    let mut bench = Bench::new(Kind::KeyValue, Some(&budget));
    bench.put("a", Some("1"), 1);
    bench.put("b", None, 1);
    assert_eq!(budget.used(), 2 * ENTRY - 1);
    bench.flushed();
    assert_eq!(budget.used(), ENTRY);
    assert_eq!(bench.get("b"), None);
    assert_eq!(bench.get("a").as_deref(), Some("1"));
}

#[test]
fn when_the_budget_shrinks_to_nothing_every_change_passes_at_once() {
    let budget = CacheBudget::new(1000);
    let mut bench = Bench::new(Kind::KeyValue, Some(&budget));
    bench.state.forward(Forward::NewAndOld);
    budget.resize(0);
    bench.put("a", Some("1"), 1);
    bench.put("a", Some("2"), 2);
    assert_eq!(bench.get("a").as_deref(), Some("2"));
    assert_eq!(
        bench.evicted(),
        [change("a", Some("1"), None, 1), change("a", Some("2"), Some("1"), 2)]
    );
}

#[test]
fn a_store_opened_without_a_budget_is_not_cached() {
    let mut bench = Bench::cached(0, Forward::NewAndOld);
    assert!(!bench.state.is_cached());
    bench.put("a", None, 1);
    assert!(bench.evicted().is_empty());
    assert_eq!(bench.log.records, [logged("a", None, 1)]);
}

#[test]
fn evicting_a_dirty_entry_flushes_all_of_them_evicted_first() {
    let mut bench = Bench::cached(3 * ENTRY, Forward::New);
    for (timestamp, key) in ["a", "b", "c"].into_iter().enumerate() {
        bench.put(key, Some("1"), timestamp as i64);
    }
    // The latest use counts: "b" becomes the eldest.
    assert!(bench.get("a").is_some());
    assert!(bench.evicted().is_empty());
    bench.put("d", Some("1"), 9);
    let keys: Vec<String> = bench.evicted().into_iter().map(|change| change.0).collect();
    assert_eq!(keys, ["b", "a", "c", "d"]);
    // The rest is clean now and leaves without a word.
    bench.put("e", Some("1"), 10);
    assert!(bench.evicted().is_empty());
    assert_eq!(bench.flushed(), [change("e", Some("1"), None, 10)]);
}

#[test]
fn both_orders_survive_many_uses() {
    let mut bench = Bench::cached(10 * ENTRY, Forward::New);
    let (mut used, mut written) = (Vec::new(), Vec::new());
    let to_back = |order: &mut Vec<String>, key: &String| {
        order.retain(|other| other != key);
        order.push(key.clone());
    };
    let mut random = 1_u32;
    for round in 0..2000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let key = if round < 10 { round } else { random >> 24 & 7 }.to_string();
        to_back(&mut used, &key);
        if round < 10 || random >> 20 & 3 == 0 {
            bench.put(&key, Some("1"), 1);
            to_back(&mut written, &key);
        } else {
            assert!(bench.get(&key).is_some());
        }
    }
    bench.put("x", Some("1"), 1);
    written.push("x".to_owned());
    let eldest = used.remove(0);
    written.retain(|key| *key != eldest);
    let flushed: Vec<String> = bench.evicted().into_iter().map(|change| change.0).collect();
    assert_eq!((&flushed[0], &flushed[1..]), (&eldest, &written[..]));
}

#[test]
fn a_missed_read_fills_the_cache_and_may_evict() {
    let mut bench = Bench::cached(2 * ENTRY, Forward::New);
    for key in ["a", "b", "c"] {
        bench.put(key, Some("1"), 1);
        bench.flushed();
    }
    bench.put("c", Some("2"), 2);
    bench.put("b", Some("2"), 3);
    // "a" was evicted. Reading it pushes "c" out, which takes "b" along.
    assert_eq!(bench.get("a").as_deref(), Some("1"));
    assert_eq!(
        bench.evicted(),
        [change("c", Some("2"), None, 2), change("b", Some("2"), None, 3)]
    );
}

#[test]
fn an_entry_larger_than_the_budget_passes() {
    let mut bench = Bench::cached(10, Forward::NewAndOld);
    bench.put("a", Some("1"), 1);
    assert_eq!(bench.evicted(), [change("a", Some("1"), None, 1)]);
    assert_eq!(bench.get("a").as_deref(), Some("1"));
}

#[test]
fn stores_of_a_thread_share_the_budget() {
    let budget = CacheBudget::new(2 * ENTRY);
    let mut one = Bench::new(Kind::KeyValue, Some(&budget));
    let mut two = Bench::new(Kind::KeyValue, Some(&budget));
    one.state.forward(Forward::New);
    two.state.forward(Forward::New);
    one.put("a", Some("1"), 1);
    one.put("b", Some("1"), 2);
    // Only the store that is written to is evicted from.
    two.put("c", Some("1"), 3);
    assert_eq!(two.evicted(), [change("c", Some("1"), None, 3)]);
    assert!(one.evicted().is_empty());
    drop(one);
    assert_eq!(budget.used(), 0);
    two.put("c", Some("2"), 4);
    assert!(two.evicted().is_empty());
    budget.resize(0);
    two.put("d", Some("1"), 5);
    let keys: Vec<String> = two.evicted().into_iter().map(|change| change.0).collect();
    assert_eq!(keys, ["c", "d"]);
}

#[test]
fn an_evicted_entry_counts_until_its_change_was_forwarded() {
    let budget = CacheBudget::new(2 * ENTRY);
    let mut bench = Bench::new(Kind::KeyValue, Some(&budget));
    bench.state.forward(Forward::New);
    for (key, timestamp) in [("a", 1), ("b", 2), ("c", 3)] {
        bench.put(key, Some("1"), timestamp);
    }
    let forwarded = std::iter::from_fn(|| bench.state.next_flushed().map(forwarded));
    assert_eq!(forwarded.take(3).count(), 3);
    // A node below looks up what was evicted, while the last change is on its way.
    assert_eq!(bench.get("a").as_deref(), Some("1"));
    assert_eq!(budget.used(), 2 * ENTRY);
    assert_eq!(bench.evicted(), []);
    assert_eq!(budget.used(), ENTRY);
}

#[test]
fn discard_forgets_cache_and_buffer() {
    let mut bench = Bench::cached(1000, Forward::New);
    bench.put("a", Some("1"), 1);
    bench.flushed();
    bench.state.commit(Some(10)).unwrap();
    bench.put("a", Some("2"), 2);
    bench.flushed();
    bench.put("b", Some("1"), 3);
    bench.state.discard();
    assert_eq!(bench.get("a").as_deref(), Some("1"));
    assert_eq!(bench.get("b"), None);
    assert_eq!(bench.state.offset(), Some(10));
    assert_eq!(bench.state.buffered_bytes(), 0);
}

#[test]
fn restored_records_are_forgotten_if_they_were_not_committed() {
    let mut bench = Bench::new(Kind::TimestampedKeyValue, None);
    let records = [
        (&b"a"[..], Some(&b"1"[..]), 0),
        (&b"b"[..], Some(&b"2"[..]), 0),
        (&b"a"[..], None, 0),
    ];
    bench.state.restore(records, 12).unwrap();
    assert_eq!(bench.state.offset(), Some(12));
    assert_eq!(bench.get("b").as_deref(), Some("\0\0\0\0\0\0\0\x002"));
    assert_eq!(bench.get("a"), None);
    bench.state.discard();
    assert_eq!((bench.state.offset(), bench.get("b")), (None, None));
    assert!(bench.log.records.is_empty());
}

#[test]
fn a_store_that_could_not_log_refuses_to_commit() {
    let mut bench = Bench::new(Kind::KeyValue, None);
    bench.log.refuses = true;
    assert!(matches!(
        bench.try_put("a", Some(b"1"), 1),
        Err(Error::Changelog { .. })
    ));
    bench.log.refuses = false;
    assert!(matches!(bench.try_put("a", Some(b"1"), 1), Err(Error::Failed { .. })));
    assert!(matches!(bench.state.commit(Some(1)), Err(Error::Failed { .. })));
    bench.state.discard();
    bench.put("a", Some("1"), 1);
    bench.state.commit(Some(1)).unwrap();
}
