//! Wire formats against bytes that Kafka's Java client wrote, against arbitrary values, and against arbitrary bytes.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod batches;
mod compressed;
mod hostile;
mod membership;
mod messages;
mod partition;
mod stamp;

use bytes::Bytes;
use kstreams_wire::batch::Records;

/// A record as plain values, to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn read_all(mut records: Records) -> kstreams_wire::Result<Vec<Plain>> {
    let mut all = Vec::new();
    while let Some(record) = records.next()? {
        let headers = record.headers.iter();
        all.push(Plain {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        });
    }
    Ok(all)
}

/// A batch written by the Java client, by name.
fn java(name: &str) -> Bytes {
    let line = include_str!("java_batches.txt").lines().find_map(|line| {
        let (found, hex) = line.split_once(' ')?;
        (found == name).then_some(hex)
    });
    unhex(line.unwrap())
}

fn unhex(hex: &str) -> Bytes {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
