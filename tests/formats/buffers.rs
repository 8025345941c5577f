//! What waits in buffers, and the changelogs of these, whichever version wrote them.

use std::sync::Arc;

use bytes::Bytes;
use kstreams_store::layout::buffered::{Buffered, read_context, split_change, write_context};
use kstreams_store::{ChangelogRecord, Kind};
use kstreams_topology::serde::StringSerde;
use kstreams_topology::stores::{KeyValueFront, StoreKind, TimeOrderedBuffer};
use kstreams_wire::Headers;
use serde_json::Value as Json;

use crate::support::{Store, Vector, context, unhex};

pub(crate) fn check(vector: &Vector) {
    match vector.name.as_str() {
        "buffer.record_context.no_headers" => record_context(vector, Headers::new()),
        "buffer.record_context.headers" => {
            let mut headers = Headers::new();
            headers.push("h1", Some(Bytes::from_static(b"v1")));
            headers.push("n", None);
            record_context(vector, headers);
        }
        "buffer.suppress_changelog.v3" => suppressed(vector),
        "buffer.suppress_changelog.legacy.deserializeV0" => restored(vector, None),
        "buffer.suppress_changelog.legacy.deserializeV1" => restored(vector, Some(1)),
        "buffer.suppress_changelog.legacy.duckTypeV2" => restored(vector, Some(2)),
        name if name.starts_with("buffer.value.") => value(vector),
        name if name.starts_with("full_change.legacy.decode.") => {
            let part = |field: &str| vector.input[field].as_str().map(|hex| unhex(&hex[2..]));
            let bytes = vector.bytes();
            let (old, new) = split_change(&bytes).expect("it is a change");
            assert_eq!(
                (old.map(<[u8]>::to_vec), new.map(<[u8]>::to_vec)),
                (part("old"), part("new"))
            );
        }
        other => panic!("no check of {other}"),
    }
}

fn record_context(vector: &Vector, headers: Headers) {
    let context = kstreams_store::RecordContext { headers, ..context() };
    let mut bytes = Vec::new();
    write_context(&context, &mut bytes);
    vector.is(&bytes);
    assert_eq!(read_context(&bytes), Some(context));
}

fn value(vector: &Vector) {
    let part = |field: &str| vector.input[field].as_str().map(str::as_bytes);
    let mut context_bytes = Vec::new();
    write_context(&context(), &mut context_bytes);
    let buffered = Buffered {
        context: &context_bytes,
        prior: part("prior"),
        old: part("old"),
        new: part("new"),
    };
    let mut bytes = Vec::new();
    buffered.write(&mut bytes);
    vector.is(&bytes);
    assert_eq!(Buffered::split(&bytes), Some((buffered, &[][..])));
}

/// What the buffer sends to its changelog, and reads back.
fn suppressed(vector: &Vector) {
    let mut store = Store::open(Kind::Suppression);
    let context = store.context.clone();
    let mut buffer = store.state.suppression();
    let put = buffer.put(b"k", vector.number("bufferTime"), (None, Some(b"n")), &context);
    put.expect("it can be put");
    store.state.flush(&mut store.changelog).expect("it can be logged");
    let sent = &store.changelog.0[0];
    vector.is(sent.value.as_deref().expect("a value"));
    assert_eq!((&*sent.key, sent.timestamp), (&b"k"[..], None));
    let header = sent.headers.last(b"v").expect("it says its format");
    assert_eq!(header.value.as_deref(), Some(&[3][..]));
    let bytes = vector.bytes();
    let record = ChangelogRecord {
        headers: &sent.headers,
        ..(b"k".as_slice(), Some(&*bytes), 555).into()
    };
    let mut restored = Store::open(Kind::Suppression);
    restored.state.restore([record], 0).expect("it can be restored");
    assert_eq!(restored.rows(), store.rows());
}

/// A record of an old format comes to what the vector says.
fn restored(vector: &Vector, format: Option<u8>) {
    let mut headers = Headers::new();
    if let Some(format) = format {
        headers.push("v", Some(Bytes::from(vec![format])));
    }
    let bytes = vector.bytes();
    let record = ChangelogRecord {
        key: b"k",
        value: Some(&bytes),
        timestamp: 555,
        offset: 7,
        headers: &headers,
    };
    let mut store = Store::open(Kind::Suppression);
    store.state.restore([record], 7).expect("it can be restored");
    let expected = &vector.input["decodes to"];
    let part = |field: &str| expected[field].as_str().map(|hex| unhex(&hex[2..]));
    let mut buffer = store.state.suppression();
    assert_eq!(
        Some(buffer.totals().expect("memory").min_time),
        expected["time"].as_i64()
    );
    let first = buffer.pop().expect("memory").expect("a change waits");
    let owned = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
    assert_eq!(owned(first.change.prior), part("prior"), "{}", vector.name);
    assert_eq!(owned(first.change.old), part("old"), "{}", vector.name);
    assert_eq!(owned(first.change.new), part("new"), "{}", vector.name);
    let context = read_context(first.change.context).expect("a context");
    let told = Json::as_str(&expected["context"]).expect("text");
    let ours = format!(
        "ProcessorRecordContext{{topic='{}', partition={}, offset={}, timestamp={}, headers=RecordHeaders(headers = [], isReadOnly = false)}}",
        context.topic.as_deref().unwrap_or_default(),
        context.partition,
        context.offset,
        context.timestamp,
    );
    assert_eq!(ours, told);
}

/// The key of the second record in the buffer of a join with grace; and the buffer lets it go as it came.
pub(crate) fn grace_key(vector: &Vector) {
    let mut store = Store::open(Kind::GraceBuffer);
    let mut front = KeyValueFront::new("t", Arc::new(StringSerde), Arc::new(StringSerde));
    let key = vector.text("key").to_owned();
    for value in ["first", "second"] {
        let (state, write) = store.parts();
        let mut view = TimeOrderedBuffer::<String, String>::view(&mut front, state, write);
        view.put(&key, &value.to_owned()).expect("it can be put");
    }
    vector.is(&store.changelog.0[1].key);
    let (state, write) = store.parts();
    let mut view = TimeOrderedBuffer::<String, String>::view(&mut front, state, write);
    assert!(view.pop(999).expect("memory").is_none());
    let first = view.pop(1000).expect("memory").expect("it waits");
    assert_eq!((first.key, &*first.value, first.context), (key, "first", context()));
}
