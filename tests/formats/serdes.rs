//! Serdes of plain values and of windowed keys.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kstreams_topology::serde::{SessionWindowedSerde, StringSerde, TimeWindowedSerde, Uuid};
use kstreams_topology::{Data, Serde, Window, Windowed};

use crate::support::Vector;

pub(crate) fn check(vector: &Vector) {
    let value = &vector.input["value"];
    let text = || value.as_str().expect("text").to_owned();
    let number = || value.as_i64().or_else(|| text().parse().ok()).expect("a number");
    let kind = vector.name.split('.').nth(1).unwrap_or_default();
    match (kind, vector.name.as_str()) {
        // Null is never handed to a serde: absent in, absent out.
        _ if value.is_null() && kind != "bytebuffer" && !vector.name.starts_with("windowed") => vector.is(&[]),
        ("string", _) => own(vector, text()),
        ("long", _) => own(vector, number()),
        ("integer", _) => own(vector, number() as i32),
        ("short", _) => own(vector, number() as i16),
        ("double", "serde.double.nan") => own(vector, f64::NAN),
        ("double", _) => own(vector, value.as_f64().expect("a number")),
        ("float", _) => own(vector, value.as_f64().expect("a number") as f32),
        ("boolean", _) => own(vector, value.as_bool().expect("true or false")),
        ("bytes", _) => own(vector, Bytes::from_static(&[0x00, 0xff, 0x10])),
        ("bytearray", _) => own(vector, vec![0x00_u8, 0xff, 0x10]),
        // What is left of a buffer that was read halfway is said with a slice; Java writes the whole.
        ("bytebuffer", "serde.bytebuffer.position_ignored") => own(vector, Bytes::from_static(&[1, 2, 3, 4])),
        ("bytebuffer", "serde.bytebuffer.limit_respected") => own(vector, Bytes::from_static(&[1, 2])),
        ("uuid", _) => own(vector, uuid()),
        ("list", _) => list(vector),
        ("time" | "session", _) => windowed(vector),
        _ => panic!("no check of {}", vector.name),
    }
}

fn list(vector: &Vector) {
    match vector.name.as_str() {
        "serde.list.long.with_null" => own(vector, vec![Some(1_i64), None, Some(3)]),
        "serde.list.int" => own(vector, vec![7_i32, 8]),
        "serde.list.string.with_null" => own(vector, vec![Some("a".to_owned()), None, Some(String::new())]),
        "serde.list.string.empty" => own(vector, Vec::<String>::new()),
        "serde.list.uuid" => own(vector, vec![uuid()]),
        "serde.list.boolean" => own(vector, vec![true]),
        other => panic!("no check of {other}"),
    }
}

fn windowed(vector: &Vector) {
    let window = Window::new(vector.number("start"), vector.number("end"));
    let key = Windowed::new(vector.text("key").to_owned(), window);
    let time = TimeWindowedSerde::new(StringSerde, Duration::from_millis(1000));
    match vector.name.as_str() {
        "windowed.time" => serde(vector, &time, &key),
        "windowed.session" => serde(vector, &SessionWindowedSerde::new(StringSerde), &key),
        "windowed.time.base_key" => {
            let mut bytes = Vec::new();
            time.serialize("t", &key, &mut bytes).expect("text can be encoded");
            vector.is(time.partitioned_by(&bytes));
        }
        other => panic!("no check of {other}"),
    }
}

fn uuid() -> Uuid {
    "123e4567-e89b-12d3-a456-426614174000".parse().expect("it is one")
}

/// With the serde that the type has.
fn own<T: Data + Debug>(vector: &Vector, value: T) {
    let own: Arc<dyn Serde<T>> = T::serde().expect("the type has a serde");
    serde(vector, &own, &value);
}

fn serde<T: Debug>(vector: &Vector, serde: &impl Serde<T>, value: &T) {
    let mut bytes = Vec::new();
    serde
        .serialize("t", value, &mut bytes)
        .expect("the value can be encoded");
    vector.is(&bytes);
    let back = serde.deserialize("t", &bytes).expect("its own bytes can be decoded");
    // Not a number is not equal to itself, but it looks the same.
    assert_eq!(format!("{back:?}"), format!("{value:?}"), "{}", vector.name);
}
