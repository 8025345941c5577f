//! The serdes write the bytes that Java's write, and read them back: the golden vectors were made by Java.

#![expect(clippy::indexing_slicing, reason = "a test that misses its mark may panic")]

use std::fmt::Debug;

use bytes::Bytes;
use kstreams_topology::Data;
use kstreams_topology::serde::Uuid;
use serde_json::Value as Json;

/// The vector's value and bytes. Null is never handed to a serde: absent in, absent out.
fn vector(name: &str) -> (Json, Option<Vec<u8>>) {
    let vectors = include_str!("golden/serdes.jsonl").lines();
    let mut vectors = vectors.map(|line| serde_json::from_str::<Json>(line).expect("a vector a line"));
    let vector = vectors
        .find(|vector| vector["name"] == name)
        .unwrap_or_else(|| panic!("no vector {name}"));
    (vector["input"]["value"].clone(), vector["hex"].as_str().map(unhex))
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn check<T: Data + Debug>(name: &str, value: T) {
    let serde = T::serde().expect("the type has a serde");
    let mut bytes = Vec::new();
    serde
        .serialize("t", &value, &mut bytes)
        .expect("these values can be encoded");
    assert_eq!(Some(&bytes), vector(name).1.as_ref(), "{name}");
    let back = serde.deserialize("t", &bytes).expect("its own bytes can be decoded");
    // Not a number is not equal to itself, but it looks the same.
    assert_eq!(format!("{back:?}"), format!("{value:?}"), "{name}");
}

fn uuid() -> Uuid {
    "123e4567-e89b-12d3-a456-426614174000".parse().expect("it is one")
}

#[test]
fn text_and_numbers() {
    for name in ["hello", "empty", "utf8"] {
        let name = format!("serde.string.{name}");
        check(&name, vector(&name).0.as_str().expect("text").to_owned());
    }
    check("serde.long.1", 1_i64);
    check("serde.long.minus1", -1_i64);
    check("serde.long.min", i64::MIN);
    check("serde.integer.258", 258_i32);
    check("serde.integer.minus2", -2_i32);
    check("serde.short.minus3", -3_i16);
    check("serde.double.1.5", 1.5_f64);
    check("serde.double.nan", f64::NAN);
    check("serde.float.-0.25", -0.25_f32);
    check("serde.boolean.true", true);
    check("serde.boolean.false", false);
    check("serde.uuid", uuid());
}

/// As Java's `new String(bytes, UTF_8)` reads it.
#[test]
fn what_is_no_text_is_read_with_replacement_characters() {
    let serde = String::serde().expect("the type has a serde");
    let read = |bytes: &[u8]| serde.deserialize("t", bytes).expect("any bytes are read");
    assert_eq!(read(b"a\xffb"), "a\u{fffd}b");
    assert_eq!(read(b"cut off: \xe2\x82"), "cut off: \u{fffd}");
}

#[test]
fn bytes_of_three_names() {
    let bytes = [0x00, 0xff, 0x10];
    check("serde.bytes", Bytes::copy_from_slice(&bytes));
    check("serde.bytearray", bytes.to_vec());
    // What is left of a buffer that was read halfway is said with a slice; Java writes the whole.
    check("serde.bytebuffer.position_ignored", Bytes::from_static(&[1, 2, 3, 4]));
    check("serde.bytebuffer.limit_respected", Bytes::from_static(&[1, 2]));
}

#[test]
fn null_is_absent() {
    assert_eq!(vector("serde.string.null"), (Json::Null, None));
    assert_eq!(vector("serde.void"), (Json::Null, None));
    assert!(<()>::serde().expect("it has one").deserialize("t", &[]).is_err());
}

#[test]
fn lists() {
    check("serde.list.long.with_null", vec![Some(1_i64), None, Some(3)]);
    check("serde.list.int", vec![7_i32, 8]);
    check(
        "serde.list.string.with_null",
        vec![Some("a".to_owned()), None, Some(String::new())],
    );
    check("serde.list.string.empty", Vec::<String>::new());
    check("serde.list.uuid", vec![uuid()]);
    check("serde.list.boolean", vec![true]);
}

#[test]
fn wrong_lists_are_refused() {
    let long = Vec::<Option<i64>>::serde().expect("a list of numbers has one");
    let whole = vector("serde.list.long.with_null").1.expect("it has bytes");
    for end in 0..whole.len() {
        assert!(long.deserialize("t", &whole[..end]).is_err(), "{end} bytes");
    }
    let not_null = Vec::<i64>::serde().expect("a list of numbers has one");
    let error = not_null.deserialize("t", &whole).expect_err("an entry is null");
    assert_eq!(error.to_string(), "could not convert bytes to a list: entry 1 is null");
    let text = Vec::<String>::serde().expect("a list of texts has one");
    assert!(text.deserialize("t", &whole).is_err(), "texts have no fixed size");
    assert!(long.deserialize("t", &[2, 0, 0, 0, 0]).is_err(), "there is no layout 2");
    assert!(
        long.deserialize("t", &[1, 0xff, 0xff, 0xff, 0xff]).is_err(),
        "less than none"
    );
}
