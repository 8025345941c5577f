//! Record batches: walking, building, checksum and codecs, per batch of 1000 records of 12 + 100 bytes.
//!
//! The `kafka-protocol` crate's record module stands beside ours as the peer.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kafka_protocol::records::{
    Compression as PeerCompression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use kstreams_wire::Headers;
use kstreams_wire::batch::{self, BatchBuilder, ProducerStamp, Records};
use kstreams_wire::compression::Compression;

const RECORDS: usize = 1000;

/// Keys that differ and values that compress about as well as text does.
fn pairs() -> Vec<([u8; 12], [u8; 100])> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 28) as u8
    };
    let mut pair = || (std::array::from_fn(|_| next()), std::array::from_fn(|_| next()));
    (0..RECORDS).map(|_| pair()).collect()
}

fn append_all(builder: &mut BatchBuilder, pairs: &[([u8; 12], [u8; 100])]) -> Bytes {
    let headers = Headers::new();
    for (timestamp, (key, value)) in (1_700_000_000_000..).zip(pairs) {
        builder.append(timestamp, Some(key), Some(value), &headers).unwrap();
    }
    builder.finish(ProducerStamp::NONE).unwrap()
}

fn walk(mut records: Records) -> u64 {
    let mut sum = 0;
    while let Some(record) = records.next().unwrap() {
        sum += record.timestamp as u64 + record.key.map_or(0, <[u8]>::len) as u64;
        sum += record.value.map_or(0, |value| u64::from(*value.last().unwrap()));
    }
    sum
}

fn read(criterion: &mut Criterion) {
    let bytes = append_all(&mut BatchBuilder::new(Compression::None), &pairs());
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("checksum alone", |bencher| {
        let batch = batch::split(bytes.clone()).next().unwrap().unwrap();
        bencher.iter(|| black_box(&batch).verify_crc().unwrap());
    });
    group.bench_function("walk", |bencher| {
        bencher.iter(|| {
            let batch = batch::split(black_box(&bytes).clone()).next().unwrap().unwrap();
            walk(batch.into_records().unwrap())
        });
    });
    group.bench_function("walk with checksum", |bencher| {
        bencher.iter(|| {
            let batch = batch::split(black_box(&bytes).clone()).next().unwrap().unwrap();
            batch.verify_crc().unwrap();
            walk(batch.into_records().unwrap())
        });
    });
    group.bench_function("peer: kafka-protocol", |bencher| {
        bencher.iter(|| RecordBatchDecoder::decode(&mut black_box(&bytes).clone()).unwrap());
    });
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let pairs = pairs();
    let mut group = criterion.benchmark_group("build");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("append and finish", |bencher| {
        let mut builder = BatchBuilder::new(Compression::None);
        bencher.iter(|| append_all(&mut builder, black_box(&pairs)));
    });
    let options = RecordEncodeOptions {
        version: 2,
        compression: PeerCompression::None,
    };
    group.bench_function("peer: kafka-protocol, records already built", |bencher| {
        let records = peer_records(&pairs);
        bencher.iter(|| {
            let mut out = BytesMut::new();
            RecordBatchEncoder::encode(&mut out, black_box(&records), &options).unwrap();
            out
        });
    });
    group.bench_function("peer: kafka-protocol, building the records too", |bencher| {
        bencher.iter(|| {
            let mut out = BytesMut::new();
            RecordBatchEncoder::encode(&mut out, &peer_records(black_box(&pairs)), &options).unwrap();
            out
        });
    });
    group.finish();
}

fn peer_records(pairs: &[([u8; 12], [u8; 100])]) -> Vec<Record> {
    let record = |(offset, (key, value)): (i64, &([u8; 12], [u8; 100]))| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: offset as i32,
        timestamp: 1_700_000_000_000 + offset,
        key: Some(Bytes::copy_from_slice(key)),
        value: Some(Bytes::copy_from_slice(value)),
        headers: Default::default(),
    };
    (0..).zip(pairs).map(record).collect()
}

fn codecs(criterion: &mut Criterion) {
    let pairs = pairs();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut builder = BatchBuilder::new(codec);
        let bytes = append_all(&mut builder, &pairs);
        group.bench_function(format!("{codec} compress"), |bencher| {
            bencher.iter(|| append_all(&mut builder, black_box(&pairs)));
        });
        group.bench_function(format!("{codec} decompress"), |bencher| {
            let batch = batch::split(bytes.clone()).next().unwrap().unwrap();
            bencher.iter_batched(
                || batch.clone(),
                |batch| walk(batch.into_records().unwrap()),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, read, build, codecs);
criterion_main!(benches);
