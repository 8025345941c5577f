//! What stores keep, and the keys and values of their changelogs.

use std::sync::Arc;
use std::time::Duration;

use kstreams_store::layout::versioned::{Chain, Draft, join_latest, split_latest};
use kstreams_store::layout::{list, timestamped};
use kstreams_store::{Kind, SessionLayout};
use kstreams_topology::serde::{I64Serde, StringSerde};
use kstreams_topology::stores::{
    JoinRows, JoinRowsFront, SessionFront, SessionStore, SideValue, StoreKind, Stores, WindowFront, WindowOptions,
    WindowStore,
};
use kstreams_topology::{Window, Windowed};

use crate::support::{Store, Vector};

pub(crate) fn check(vector: &Vector) {
    match vector.name.as_str() {
        "value.timestamped" | "value.timestamped.negative_ts" => {
            let mut stored = Vec::new();
            timestamped::join(vector.number("timestamp"), vector.text("value").as_bytes(), &mut stored);
            vector.is(&stored);
        }
        "value.timestamped.null" => vector.is(&[]),
        "restore.convert.raw_to_timestamped" => restored(vector),
        "versioned.latest" => {
            let mut row = Vec::new();
            join_latest(vector.number("timestamp"), vector.text("value").as_bytes(), &mut row);
            vector.is(&row);
            assert_eq!(split_latest(&row), Some((1000, &b"val"[..])));
        }
        "versioned.segment.one" => segment(vector, &Draft::of(10, 20, Some(b"a"))),
        "versioned.segment.tombstone" => segment(vector, &Draft::of(10, 20, None)),
        "versioned.segment.degenerate" => segment(vector, &Draft::of(10, 10, None)),
        "versioned.segment.two_adjacent" => {
            let mut draft = Draft::of(10, 20, Some(b"a"));
            draft.push_newest(20, 30, Some(b"bcd"));
            segment(vector, &draft);
        }
        "versioned.segment.gap_filled_with_null" => {
            let mut draft = Draft::of(10, 20, Some(b"a"));
            draft.push_newest(25, 30, Some(b"bcd"));
            segment(vector, &draft);
        }
        "versioned.segment.earliest" => {
            let mut draft = Draft::of(10, 20, Some(b"a"));
            draft.push_oldest(5, Some(b"z"));
            segment(vector, &draft);
        }
        "key.window" => window_key(vector),
        "key.window.time_first" => crate::buffers::grace_key(vector),
        "key.session" => session_key(vector),
        _ if vector.name.starts_with("join.") => join(vector),
        other => panic!("no check of {other}"),
    }
}

/// A row's bytes, and that they can be read and written again.
fn segment(vector: &Vector, draft: &Draft<'_>) {
    let (mut row, mut again) = (Vec::new(), Vec::new());
    draft.write(&mut row);
    vector.is(&row);
    let chain = Chain::new(&row).expect("it is a row");
    if chain.next() > chain.min() {
        Draft::from(chain).write(&mut again);
        assert_eq!(again, row, "{}", vector.name);
    }
}

fn restored(vector: &Vector) {
    let mut store = Store::open(Kind::TimestampedKeyValue);
    let value = vector.text("record.value").as_bytes();
    let record = (b"k".as_slice(), Some(value), vector.number("record.timestamp"));
    store.state.restore([record], 0).expect("it can be restored");
    vector.is(&store.rows()[0].1);
}

/// Puts count, whatever their key: the second one has number 2.
fn window_key(vector: &Vector) {
    let retention = Duration::from_secs(3600);
    let options = WindowOptions {
        retain_duplicates: true,
        ..WindowOptions::new(retention, Duration::from_secs(1))
    };
    let definition = Stores::in_memory("store")
        .window::<String, String>(options)
        .into_definition();
    let mut store = Store::open(definition.spec.kind);
    let mut front = WindowFront::new("t", Arc::new(StringSerde), Arc::new(StringSerde), 1000);
    for value in ["first", "second"] {
        let (state, write) = store.parts();
        let mut view = WindowStore::<String, String>::view(&mut front, state, write);
        let put = view.put(
            &vector.text("key").to_owned(),
            Some(&value.to_owned()),
            vector.number("windowStart"),
        );
        put.expect("it can be put");
    }
    vector.is(&store.changelog.0[1].key);
}

fn session_key(vector: &Vector) {
    let mut store = Store::open(Kind::Session(SessionLayout::new(3_600_000)));
    let mut front = SessionFront::new("t", Arc::new(StringSerde), Arc::new(StringSerde));
    let window = Window::new(vector.number("start"), vector.number("end"));
    let session = Windowed::new(vector.text("key").to_owned(), window);
    let (state, write) = store.parts();
    let mut view = SessionStore::<String, String>::view(&mut front, state, write);
    view.put(&session, Some(&"value".to_owned())).expect("it can be put");
    vector.is(&store.changelog.0[0].key);
}

/// Rows of an outer join: their keys, their values, and the list of those.
fn join(vector: &Vector) {
    let left = |value: &str| SideValue::<String, i64>::Left(value.to_owned());
    match vector.name.as_str() {
        "join.left_value" => vector.is(&only_value(&waiting(&[left("abc")]).1)),
        "join.right_value" => vector.is(&only_value(&waiting(&[SideValue::Right(7)]).1)),
        "join.timestamped_key_side.left" => vector.is(&waiting(&[left("abc")]).0),
        "join.timestamped_key_side.right" => vector.is(&waiting(&[SideValue::Right(7)]).0),
        "join.outer_store.list_value.two" => {
            let mut values = Vec::new();
            list::push(&mut values, &[1, b'a']);
            list::push(&mut values, &[0, b'b']);
            vector.is(&values);
            let read: Result<Vec<&[u8]>, _> = list::values(&values).collect();
            assert_eq!(read, Ok(vec![&[1, b'a'][..], &[0, b'b']]));
        }
        other => panic!("no check of {other}"),
    }
}

/// The row's key and its list when these values of key k wait since 1000.
fn waiting(values: &[SideValue<String, i64>]) -> (Vec<u8>, Vec<u8>) {
    let mut store = Store::open(Kind::List);
    let mut front = JoinRowsFront::new("t", Arc::new(StringSerde), Arc::new(StringSerde), Arc::new(I64Serde));
    for value in values {
        let (state, write) = store.parts();
        let mut view = JoinRows::<String, String, i64>::view(&mut front, state, write);
        view.add(&"k".to_owned(), 1000, value).expect("it can be added");
    }
    let logged = &store.changelog.0[values.len() - 1];
    let (key, value) = (logged.key.to_vec(), logged.value.clone().expect("a list"));
    assert_eq!(store.rows(), [(key.clone(), value.to_vec())]);
    (key, value.to_vec())
}

fn only_value(values: &[u8]) -> Vec<u8> {
    let mut values = list::values(values);
    let value = values.next().expect("one").expect("whole").to_vec();
    assert!(values.next().is_none());
    value
}
