//! The promises of a partition's log, in memory and in a directory.

mod torn;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::Path;

use kstreams_wire::Headers;
use kstreams_wire::batch::{BatchBuilder, ProducerStamp};
use kstreams_wire::compression::Compression;

use super::*;

const NOW: i64 = 1_000_000_000_000;

fn settings(configs: &[(&str, &str)]) -> Rc<Settings> {
    let explicit = configs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Rc::new(Settings::parse(explicit.collect(), &BTreeMap::new()).unwrap())
}

fn place(directory: Option<&Path>, epoch: i32) -> Place {
    Place {
        directory: directory.map(Path::to_owned),
        segment_bytes_max: 2000,
        epoch,
    }
}

fn log(configs: &[(&str, &str)]) -> PartitionLog {
    PartitionLog::open(place(None, 0), settings(configs), NOW).unwrap()
}

/// A batch of records with these keys and values; the timestamp is `time` for the first, and a millisecond more each.
fn batch_of(records: &[(&str, Option<&str>)], time: i64, stamp: ProducerStamp, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(compression);
    for (record, time) in records.iter().zip(time..) {
        let (key, value) = record;
        builder
            .append(time, Some(key.as_bytes()), value.map(str::as_bytes), &Headers::new())
            .unwrap();
    }
    builder.finish(stamp).unwrap()
}

fn batch(records: &[(&str, Option<&str>)], time: i64) -> Bytes {
    batch_of(records, time, ProducerStamp::NONE, Compression::None)
}

fn stamp(epoch: i16, base_sequence: i32) -> ProducerStamp {
    ProducerStamp {
        producer_id: 7,
        epoch,
        base_sequence,
        transactional: false,
    }
}

fn everything(log: &PartitionLog) -> Vec<(i64, String, Option<String>)> {
    let limit = Limit {
        bytes: usize::MAX,
        whole_batch: true,
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Vec::new();
    for batch in log
        .read(log.start(), i64::MAX, limit)
        .unwrap()
        .into_iter()
        .flat_map(batch::split)
    {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let mut records = batch.into_records().unwrap();
        while let Some(record) = records.next().unwrap() {
            found.push((record.offset, text(record.key.unwrap()), record.value.map(text)));
        }
    }
    found
}

fn code(appended: Result<Appended, Refusal>) -> ResponseError {
    appended.unwrap_err().code
}

#[test]
fn batches_get_offsets_and_keep_their_bytes() {
    let mut log = log(&[]);
    let sent = batch_of(
        &[("a", Some("1")), ("b", Some("2"))],
        NOW,
        ProducerStamp::NONE,
        Compression::Lz4,
    );
    assert_eq!(log.append(sent.clone(), NOW).unwrap().base_offset, 0);
    assert_eq!(log.append(sent.clone(), NOW).unwrap().base_offset, 2);
    let limit = Limit {
        bytes: 1,
        whole_batch: true,
    };
    let stored = log.read(3, i64::MAX, limit).unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0][17..], sent[17..], "what the checksum covers is as it came");
    assert_eq!(everything(&log).len(), 4);
    assert_eq!(log.end(), 4);
}

#[test]
fn a_retry_is_recognised_and_a_gap_refused() {
    let mut log = log(&[]);
    let records = [("a", Some("1")), ("b", Some("2"))];
    let sent = |epoch, sequence| batch_of(&records, NOW, stamp(epoch, sequence), Compression::None);
    for sequence in [0, 2, 4, 6, 8, 10] {
        log.append(sent(0, sequence), NOW).unwrap();
    }
    assert_eq!(log.append(sent(0, 2), NOW).unwrap().base_offset, 2);
    assert_eq!(log.append(sent(0, 10), NOW).unwrap().base_offset, 10);
    assert_eq!(
        code(log.append(sent(0, 0), NOW)),
        ResponseError::OutOfOrderSequenceNumber
    );
    assert_eq!(
        code(log.append(sent(0, 14), NOW)),
        ResponseError::OutOfOrderSequenceNumber
    );
    assert_eq!(
        code(log.append(sent(1, 12), NOW)),
        ResponseError::OutOfOrderSequenceNumber
    );
    log.append(sent(1, 0), NOW).unwrap();
    assert_eq!(code(log.append(sent(0, 12), NOW)), ResponseError::InvalidProducerEpoch);
    assert_eq!(log.end(), 14);
}

#[test]
fn what_a_topic_does_not_allow_is_refused() {
    let mut log = log(&[("max.message.bytes", "100"), ("cleanup.policy", "compact")]);
    let large = "x".repeat(100);
    assert_eq!(
        code(log.append(batch(&[("a", Some(&large))], NOW), NOW)),
        ResponseError::MessageTooLarge
    );
    let mut torn = batch(&[("a", Some("1"))], NOW).to_vec();
    torn.truncate(65);
    assert_eq!(code(log.append(torn.into(), NOW)), ResponseError::InvalidRecord);
    let mut flipped = batch(&[("a", Some("1"))], NOW).to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(code(log.append(flipped.into(), NOW)), ResponseError::CorruptMessage);
    let mut keyless = BatchBuilder::new(Compression::None);
    keyless.append(NOW, None, Some(b"1"), &Headers::new()).unwrap();
    let keyless = keyless.finish(ProducerStamp::NONE).unwrap();
    assert_eq!(code(log.append(keyless, NOW)), ResponseError::InvalidRecord);
    let early = batch(&[("a", Some("1"))], NOW + 2 * 3_600_000);
    assert_eq!(code(log.append(early, NOW)), ResponseError::InvalidTimestamp);
    assert_eq!(log.end(), 0);
}

#[test]
fn the_broker_stamps_and_compresses_if_the_topic_says_so() {
    let mut log = log(&[
        ("message.timestamp.type", "LogAppendTime"),
        ("compression.type", "zstd"),
    ]);
    let appended = log.append(batch(&[("a", Some("1")), ("b", None)], 5), NOW).unwrap();
    assert_eq!(appended.append_time, Some(NOW));
    let found = log.at_time(NOW).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (0, NOW));
    let whole = Limit {
        bytes: 0,
        whole_batch: true,
    };
    let stored = Batch::new(log.read(0, i64::MAX, whole).unwrap().remove(0)).unwrap();
    stored.verify_crc().unwrap();
    assert_eq!(stored.header().attributes.compression().unwrap(), Compression::Zstd);
}

#[test]
fn offsets_are_found_by_time() {
    let mut log = log(&[]);
    for (time, key) in [(NOW, "a"), (NOW - 500, "b"), (NOW + 500, "c")] {
        log.append(batch(&[(key, Some("1")), (key, Some("2"))], time), NOW)
            .unwrap();
    }
    let at = |time| log.at_time(time).unwrap().map(|found| found.offset);
    assert_eq!(at(0), Some(0));
    assert_eq!(at(NOW + 1), Some(1));
    assert_eq!(at(NOW + 2), Some(4));
    assert_eq!(at(NOW + 502), None);
    assert_eq!(log.latest_in_time().unwrap().unwrap().offset, 5);
}

#[test]
fn old_segments_go_and_deleted_records_are_gone() {
    let mut log = log(&[("retention.ms", "1000")]);
    let value = "x".repeat(900);
    for _ in 0..5 {
        log.append(batch(&[("a", Some(&value))], NOW), NOW).unwrap();
    }
    assert_eq!(log.retain(NOW + 1000).unwrap(), 0);
    assert_eq!(log.delete_before(3).unwrap(), 3);
    assert_eq!(everything(&log).first().unwrap().0, 3);
    assert_eq!(log.delete_before(6).unwrap_err().code, ResponseError::OffsetOutOfRange);
    log.retain(NOW + 1001).unwrap();
    assert_eq!((log.start(), log.end()), (5, 5));
    assert_eq!(log.append(batch(&[("b", Some("1"))], NOW), NOW).unwrap().base_offset, 5);
}

#[test]
fn too_many_bytes_go_by_whole_segments() {
    let mut log = log(&[("retention.bytes", "2500")]);
    let value = "x".repeat(900);
    for _ in 0..8 {
        log.append(batch(&[("a", Some(&value))], NOW), NOW).unwrap();
    }
    log.retain(NOW).unwrap();
    assert_eq!(log.start(), 4);
}

/// Appends six rounds of the same three keys, the last of which deletes `c`, and compacts.
fn compacted(directory: Option<&Path>) -> PartitionLog {
    let configs = settings(&[("cleanup.policy", "compact"), ("delete.retention.ms", "0")]);
    let mut log = PartitionLog::open(place(directory, 0), configs, NOW).unwrap();
    let padding = "x".repeat(300);
    for round in 0..6 {
        let value = format!("{round}{padding}");
        let last = (round < 5).then_some(value.as_str());
        let records = [("a", Some(value.as_str())), ("b", Some(value.as_str())), ("c", last)];
        let sent = batch_of(&records, NOW, stamp(0, round * 3), Compression::None);
        log.append(sent, NOW).unwrap();
    }
    log.append(batch(&[("d", Some(&"y".repeat(1900)))], NOW), NOW).unwrap();
    let cleaning = log.cleanable(NOW + 1).unwrap().unwrap();
    log.install(cleaning.run().unwrap()).unwrap();
    log
}

#[test]
fn compaction_keeps_the_latest_of_each_key_at_its_offset() {
    let directory = tempfile::tempdir().unwrap();
    for directory in [None, Some(directory.path())] {
        let mut log = compacted(directory);
        let keys = |log: &PartitionLog| {
            everything(log)
                .into_iter()
                .map(|(offset, key, value)| (offset, key, value.is_some()))
                .collect::<Vec<_>>()
        };
        let entry = |offset, key: &str, present| (offset, key.to_owned(), present);
        let with_tombstone = [
            entry(15, "a", true),
            entry(16, "b", true),
            entry(17, "c", false),
            entry(18, "d", true),
        ];
        assert_eq!(keys(&log), with_tombstone);
        assert!(log.cleanable(NOW + 2).unwrap().is_none(), "nothing has come since");
        log.append(batch(&[("d", Some(&"z".repeat(1900)))], NOW), NOW).unwrap();
        let cleaning = log.cleanable(NOW + 2).unwrap().unwrap();
        log.install(cleaning.run().unwrap()).unwrap();
        assert_eq!(
            keys(&log),
            [
                entry(15, "a", true),
                entry(16, "b", true),
                entry(18, "d", true),
                entry(19, "d", true)
            ]
        );
        let duplicate = batch_of(
            &[("a", None), ("b", None), ("c", None)],
            NOW,
            stamp(0, 15),
            Compression::None,
        );
        assert_eq!(log.append(duplicate, NOW).unwrap().base_offset, 15);
    }
}

#[test]
fn a_compacted_log_comes_back_with_its_producers() {
    let directory = tempfile::tempdir().unwrap();
    let before = everything(&compacted(Some(directory.path())));
    let configs = settings(&[("cleanup.policy", "compact")]);
    let mut log = PartitionLog::open(place(Some(directory.path()), 1), configs, NOW).unwrap();
    assert_eq!(everything(&log), before);
    let retry = batch_of(
        &[("a", None), ("b", None), ("c", None)],
        NOW,
        stamp(0, 15),
        Compression::None,
    );
    assert_eq!(log.append(retry, NOW).unwrap().base_offset, 15);
}

#[test]
fn a_torn_end_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let open = |epoch| PartitionLog::open(place(Some(directory.path()), epoch), settings(&[]), NOW).unwrap();
    let mut log = open(0);
    for key in ["a", "b", "c"] {
        log.append(batch(&[(key, Some("1"))], NOW), NOW).unwrap();
    }
    log.delete_before(1).unwrap();
    drop(log);
    let file = directory.path().join(segment::file_name(0));
    let bytes = file.metadata().unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(bytes - 3)
        .unwrap();
    let mut log = open(1);
    assert_eq!((log.start(), log.end()), (1, 2));
    assert_eq!(log.append(batch(&[("d", Some("1"))], NOW), NOW).unwrap().base_offset, 2);
    let keys: Vec<_> = everything(&log).into_iter().map(|(_, key, _)| key).collect();
    assert_eq!(keys, ["b", "d"]);
    assert_eq!(log.end_of_epoch(0), Some((0, 2)));
    assert_eq!(log.end_of_epoch(1), Some((1, 3)));
}
