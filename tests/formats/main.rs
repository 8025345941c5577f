//! The bytes that Kafka Streams writes, one vector after the other: ours are the same, and theirs are understood.
//!
//! `formats.jsonl` was made by Kafka Streams 4.1.1 and 4.3.1. Every vector belongs to a group, and every group has its place:
//! one of these files, a test beside a codec that is not public, or, by name, none.

#![expect(clippy::indexing_slicing, reason = "a test that misses its mark may panic")]

mod buffers;
mod dead_letters;
mod protocol;
mod serdes;
mod support;
mod values;

use support::{Vector, vectors};

/// Where the vectors of a group are checked.
enum Place {
    Here(fn(&Vector)),
    /// Beside the codec, in this file.
    Beside(&'static str),
    /// Nowhere, for this reason.
    Nowhere(&'static str),
}

/// What only 4.3.1 writes.
const LATER: [&str; 8] = [
    "headers.none(4.3)",
    "headers.two(4.3)",
    "value.timestamp_headers.none(4.3)",
    "value.timestamp_headers.two(4.3)",
    "value.aggregation_headers.none(4.3)",
    "value.aggregation_headers.two(4.3)",
    "restore.convert.raw_to_headers(4.3)",
    "restore.convert.raw_to_session_headers(4.3)",
];

/// How Java's RocksDB orders rows. It never leaves its directory, and ours has its own order.
const LOCAL: [&str; 5] = [
    "key.window.key_first_index",
    "key.window.restore_to_time_first",
    "key.window.restore_to_key_first",
    "key.session.time_first",
    "key.session.key_first_index",
];

fn place(name: &str) -> Place {
    let group = name.split('.').next().unwrap_or_default();
    match group {
        _ if LATER.contains(&name) => Place::Nowhere("a format of 4.3"),
        _ if LOCAL.contains(&name) => Place::Nowhere("a format of Java's own directory"),
        "serde" | "windowed" => Place::Here(serdes::check),
        "value" | "restore" | "versioned" | "key" | "join" => Place::Here(values::check),
        "buffer" | "full_change" => Place::Here(buffers::check),
        "offset_metadata" | "partitioner" | "consumer_protocol" => Place::Here(protocol::check),
        "changed" => Place::Beside("crates/dsl/src/table/change.rs"),
        "fk" => Place::Beside("crates/dsl/src/table/foreign_key/vectors.rs"),
        "position" => Place::Nowhere("the offset vector is an internal setting of Java, and off"),
        "subscription_info" | "assignment_info" => Place::Nowhere("our members have user data of their own"),
        "streams_group_heartbeat" => Place::Nowhere("our members speak the classic protocol"),
        _ => panic!("vector {name} has no place"),
    }
}

#[test]
fn every_vector_is_checked_or_has_a_reason() {
    let (mut here, mut beside, mut nowhere) = (0, 0, 0);
    for vector in vectors() {
        match place(&vector.name) {
            Place::Here(check) => {
                check(&vector);
                here += 1;
            }
            Place::Beside(file) => {
                let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
                let text = std::fs::read_to_string(format!("{root}{file}")).expect("the file is in the repository");
                assert!(text.contains("formats.jsonl"), "{file} does not read the vectors");
                beside += 1;
            }
            Place::Nowhere(reason) => {
                assert!(!reason.is_empty());
                nowhere += 1;
            }
        }
    }
    assert_eq!((here, beside, nowhere), (80, 38, 46));
}

#[test]
fn what_only_later_versions_write_is_known_by_name() {
    for vector in vectors() {
        let later = !vector.versions.iter().any(|version| version == "4.1.1");
        assert_eq!(later, LATER.contains(&vector.name.as_str()), "{}", vector.name);
    }
}
