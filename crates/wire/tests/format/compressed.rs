//! Batches that the Java client compressed.

use kstreams_wire::batch::{Batch, BatchBuilder, ProducerStamp};
use kstreams_wire::compression::Compression;
use kstreams_wire::{Error, Headers};

use crate::batches::java_records;
use crate::{Plain, java, read_all};

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

#[test]
fn java_batches_in_every_codec_are_read() {
    let mut expected = java_records();
    expected.push(Plain {
        offset: 46,
        timestamp: 1_700_000_001_000,
        key: Some(b"big".to_vec()),
        value: Some((0..70_000u32).map(|index| b'a' + (index / 1000 % 26) as u8).collect()),
        headers: Vec::new(),
    });
    for codec in CODECS {
        let batch = Batch::new(java(codec.name())).unwrap();
        batch.verify_crc().unwrap();
        assert_eq!(batch.header().attributes.compression().unwrap(), codec);
        assert_eq!(
            (batch.header().producer_id, batch.header().last_sequence()),
            (1_234_567_890_123, 21)
        );
        assert_eq!(read_all(batch.into_records().unwrap()).unwrap(), expected, "{codec}");
    }
}

#[test]
fn a_batch_that_grows_beyond_the_limit_is_refused() {
    for codec in CODECS {
        let batch = Batch::new(java(codec.name())).unwrap();
        let error = batch.into_records_within(70_000).unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { limit: 70_000, .. }),
            "{codec}: {error}"
        );
    }
}

#[test]
fn a_compressed_batch_is_smaller_and_the_estimate_learns() {
    for codec in CODECS {
        let mut builder = BatchBuilder::new(codec);
        let mut estimates = Vec::new();
        for _ in 0..2 {
            for _ in 0..100 {
                builder.append(0, None, Some(&[b'x'; 100]), &Headers::new()).unwrap();
            }
            estimates.push(builder.size());
            let bytes = builder.finish(ProducerStamp::NONE).unwrap();
            assert!(bytes.len() < 2000, "{codec}: {}", bytes.len());
        }
        assert!(estimates[0] > 10_000 && estimates[1] < 2000, "{codec}: {estimates:?}");
    }
}
