//! Puts a batch together again after its records were thinned out or are to be compressed in another way.

use std::io;

use bytes::{Bytes, BytesMut};
use kstreams_wire::batch::{self, Attributes, Batch, BatchHeader, HEADER_BYTES, ProducerStamp};
use kstreams_wire::compression::{Codec, Compression, Compressor};

/// Bytes of a batch that its length field does not count: the base offset and the length itself.
const UNCOUNTED_BYTES: usize = 12;
/// The bits of a batch's attributes that name its compression.
const COMPRESSION_BITS: i16 = 7;

/// A batch with this header and these encoded records.
pub(super) fn assemble(mut header: BatchHeader, plain: Vec<u8>, compression: Compression) -> io::Result<Batch> {
    let payload = match compression {
        Compression::None => plain,
        other => {
            let mut compressed = Vec::new();
            Compressor::new(Codec::new(other))
                .compress(&plain, &mut compressed)
                .map_err(io::Error::other)?;
            compressed
        }
    };
    header.attributes = Attributes((header.attributes.0 & !COMPRESSION_BITS) | compression.code());
    let length = HEADER_BYTES - UNCOUNTED_BYTES + payload.len();
    header.batch_length = i32::try_from(length).map_err(io::Error::other)?;
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(&payload);
    // Stamping with what is there already computes the checksum.
    let stamp = ProducerStamp {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.attributes.is_transactional(),
    };
    let bytes: Bytes = batch::stamp::restamp(bytes.freeze(), stamp).map_err(io::Error::other)?;
    Batch::new(bytes).map_err(io::Error::other)
}

/// The same records, compressed as `compression.type` of the topic wants them.
pub(super) fn recompress(batch: Batch, wanted: &str) -> io::Result<Batch> {
    let wanted = match wanted {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        "uncompressed" => Compression::None,
        // "producer": as it came.
        _ => return Ok(batch),
    };
    let header = *batch.header();
    if header.attributes.compression().map_err(io::Error::other)? == wanted {
        return Ok(batch);
    }
    let records = batch.into_records().map_err(io::Error::other)?;
    assemble(header, records.payload().to_vec(), wanted)
}
