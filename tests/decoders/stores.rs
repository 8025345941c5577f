//! Stores that are restored from a changelog that nobody of ours wrote.

use kstreams_store::{
    CacheBudget, ChangelogRecord, EngineKind, KeyRange, Keys, Kind, Logging, Order, Output, OutputError, OutputRecord,
    RecordContext, Scan, SessionLayout, State, Storage, StoreSpec, TopicId, VersionedLayout, WindowLayout, Write,
};
use kstreams_wire::{Headers, TopicName};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::hostile;

/// Sends nothing anywhere.
struct Nowhere;

impl Output for Nowhere {
    fn topic(&mut self, _: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _: TopicId) -> Result<i32, OutputError> {
        Ok(1)
    }

    fn send(&mut self, _: OutputRecord<'_>) -> Result<(), OutputError> {
        Ok(())
    }
}

type Row = (Vec<u8>, Option<Vec<u8>>, i64, Option<u8>);

fn row() -> impl Strategy<Value = Row> {
    let keys = [
        b"k".to_vec(),
        b"k\0\0\0\0\0\0\x03\xe8\0\0\0\0".to_vec(),
        b"k\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x03\xe7".to_vec(),
    ];
    let context = b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\x01t\0\0\0\0\0\0\0\0";
    let change = b"\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01v\0\0\0\0\0\0\0\x05";
    let values = [
        b"v".to_vec(),
        [context.as_slice(), change].concat(),
        b"\x01\0\0\0\x01\0\0\0\x01v".to_vec(),
    ];
    let time = prop_oneof![0..2_000_i64, Just(-1), Just(i64::MIN), Just(i64::MAX)];
    let value = proptest::option::weighted(0.8, hostile::bytes(values.to_vec()));
    (
        hostile::bytes(keys.to_vec()),
        value,
        time,
        proptest::option::of(0..5_u8),
    )
}

fn open(kind: Kind) -> State {
    let spec = StoreSpec {
        name: "store".to_owned(),
        kind,
        engine: EngineKind::Memory,
        caching: false,
        logging: Logging::enabled(),
    };
    let state = Storage::in_memory().state(&spec, "0_0", None, &CacheBudget::new(0));
    state.expect("a store in memory opens")
}

/// Restores, and then looks at what there is in every way there is. Errors are fine.
fn check(kind: Kind, rows: &[Row]) {
    let mut state = open(kind);
    for (at, (key, value, timestamp, format)) in rows.iter().enumerate() {
        let mut headers = Headers::new();
        if let Some(format) = format {
            headers.push("v", Some(vec![*format].into()));
        }
        let record = ChangelogRecord {
            key,
            value: value.as_deref(),
            timestamp: *timestamp,
            offset: at as i64,
            headers: &headers,
        };
        let _ = state.restore([record], at as i64);
    }
    let _ = state.commit(None);
    match kind {
        Kind::Window(_) | Kind::Session(_) => {
            for keys in [Keys::One(b"k"), Keys::Between(None, None)] {
                for order in [Order::Forward, Order::Reverse] {
                    let scan = Scan {
                        keys,
                        from: i64::MIN,
                        to: i64::MAX,
                        start_to: i64::MAX,
                        order,
                    };
                    let Ok(mut scanned) = state.scan(scan) else { continue };
                    while let Ok(Some(_)) = scanned.next_row() {}
                }
            }
        }
        Kind::Versioned(_) => {
            for (key, _, timestamp, _) in rows {
                let mut versions = state.versions();
                let _ = versions.latest(key);
                let _ = versions.at(key, *timestamp);
                let _ = versions.between(key, (i64::MIN, i64::MAX), &mut |_| {});
                let _ = versions.put(&mut Nowhere, key, Some(b"new"), *timestamp);
            }
        }
        Kind::Suppression => {
            let _ = state.suppression().totals();
            while let Ok(Some(_)) = state.suppression().pop() {}
        }
        Kind::GraceBuffer => while let Ok(Some(_)) = state.grace_buffer().pop(&mut Nowhere, i64::MAX) {},
        _ => {
            for (key, ..) in rows {
                let mut write = Write {
                    output: &mut Nowhere,
                    context: &RecordContext::none(0),
                };
                let _ = state.get(&mut write, key);
            }
            let Ok(mut range) = state.range(&KeyRange::all(), Order::Reverse) else {
                return;
            };
            while let Ok(Some(_)) = range.next_entry() {}
        }
    }
}

proptest! {
    #[test]
    fn of_every_kind(rows in vec(row(), 0..12)) {
        for kind in [
            Kind::KeyValue,
            Kind::TimestampedKeyValue,
            Kind::Window(WindowLayout::new(1_000, 10)),
            Kind::Window(WindowLayout { duplicates: true, timestamped: true, ..WindowLayout::new(1_000, 10) }),
            Kind::Session(SessionLayout::new(1_000)),
            Kind::Versioned(VersionedLayout::new(1_000)),
            Kind::List,
            Kind::Suppression,
            Kind::GraceBuffer,
        ] {
            check(kind, &rows);
        }
    }
}
