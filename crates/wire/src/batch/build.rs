//! The append encoder: records go straight into the bytes of the batch.

use bytes::Bytes;

use super::header::{self, Attributes, BatchHeader, HEADER_BYTES, MAGIC};
use crate::compression::{Codec, Compression, Compressor};
use crate::error::{Error, Result};
use crate::headers::Headers;
use crate::primitives::{put_varint, put_varlong, unsigned_size, zigzag, zigzag_long};

/// Who wrote a batch, for the broker to keep order and drop repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStamp {
    /// The producer's id, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub epoch: i16,
    /// The sequence number of the batch's first record, or -1.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
}

impl ProducerStamp {
    /// A producer that is not idempotent.
    pub const NONE: Self = Self {
        producer_id: -1,
        epoch: -1,
        base_sequence: -1,
        transactional: false,
    };
}

impl Default for ProducerStamp {
    fn default() -> Self {
        Self::NONE
    }
}

/// Builds batches, one after the other, by appending records.
#[derive(Debug)]
pub struct BatchBuilder {
    /// Room for the header, then the records, not compressed. Empty, and mostly without memory, between batches.
    buffer: Vec<u8>,
    /// How long the last batch was: the next one is expected to be similar.
    last_bytes: usize,
    compressor: Compressor,
    records: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    /// Compressed size over plain size of earlier batches, for the estimate.
    ratio: f32,
}

/// A new batch is expected to compress a little worse than those before.
const RATIO_MARGIN: f32 = 1.05;

impl BatchBuilder {
    /// A builder of batches compressed in the given way.
    pub fn new(codec: impl Into<Codec>) -> Self {
        Self {
            buffer: Vec::new(),
            last_bytes: 0,
            compressor: Compressor::new(codec.into()),
            records: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            ratio: 1.0,
        }
    }

    /// Appends a record and says how many bytes it takes, before compression.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<usize> {
        if self.records == 0 {
            self.begin(timestamp);
        }
        let delta = timestamp.wrapping_sub(self.base_timestamp);
        let body = 1
            + unsigned_size(zigzag_long(delta))
            + unsigned_size(u64::from(zigzag(self.records)))
            + field_bytes(key)
            + field_bytes(value)
            + headers_bytes(headers);
        // A batch's length is a 32-bit number, and so are all lengths within.
        let total = self.buffer.len().saturating_add(body);
        if total > BATCH_BYTES_MAX || self.records == i32::MAX {
            return Err(Error::TooLarge {
                what: "record batch",
                limit: BATCH_BYTES_MAX,
            });
        }
        let start = self.buffer.len();
        let out = &mut self.buffer;
        out.reserve(body + 5);
        put_varint(out, body as i32);
        out.push(0);
        put_varlong(out, delta);
        put_varint(out, self.records);
        put_field(out, key);
        put_field(out, value);
        put_headers(out, headers);
        self.records += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(self.buffer.len() - start)
    }

    fn begin(&mut self, timestamp: i64) {
        self.base_timestamp = timestamp;
        self.max_timestamp = timestamp;
        if self.buffer.is_empty() {
            self.buffer.reserve(self.last_bytes.max(HEADER_BYTES));
            self.buffer.resize(HEADER_BYTES, 0);
        }
    }

    /// The size of the batch: exact if it is not compressed, otherwise estimated from earlier batches.
    pub fn size(&self) -> usize {
        let plain = self.buffer.len().saturating_sub(HEADER_BYTES);
        if self.compression() == Compression::None {
            return HEADER_BYTES + plain;
        }
        HEADER_BYTES + (plain as f32 * self.ratio * RATIO_MARGIN) as usize
    }

    /// An upper bound of the bytes that a record adds to a batch before compression.
    pub fn record_bytes_max(key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) -> usize {
        // Length, attributes, timestamp and offset at their longest.
        5 + 1 + 10 + 5 + field_bytes(key) + field_bytes(value) + headers_bytes(headers)
    }

    /// How many records the batch has so far.
    pub const fn records(&self) -> u32 {
        self.records as u32
    }

    /// Whether there is no record yet.
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How the batches are compressed.
    pub const fn compression(&self) -> Compression {
        self.compressor.compression()
    }

    /// The finished batch; the builder begins the next one.
    pub fn finish(&mut self, stamp: ProducerStamp) -> Result<Bytes> {
        let attributes = Attributes::new(self.compression(), stamp.transactional, false);
        self.finish_with(stamp, attributes)
    }

    pub(super) fn finish_with(&mut self, stamp: ProducerStamp, attributes: Attributes) -> Result<Bytes> {
        if self.records == 0 {
            return Err(Error::EmptyBatch);
        }
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0,
            leader_epoch: -1,
            magic: MAGIC,
            crc: 0,
            attributes,
            last_offset_delta: self.records - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: stamp.producer_id,
            producer_epoch: stamp.epoch,
            base_sequence: stamp.base_sequence,
            records: self.records,
        };
        self.records = 0;
        let mut batch = self.take_batch()?;
        header::seal(&mut batch, header)?;
        Ok(Bytes::from(batch))
    }

    /// The bytes of the batch with room for the header; the buffer is empty again afterwards, also after an error.
    fn take_batch(&mut self) -> Result<Vec<u8>> {
        if self.compression() == Compression::None {
            self.last_bytes = self.buffer.len();
            return Ok(std::mem::take(&mut self.buffer));
        }
        let plain = self.buffer.get(HEADER_BYTES..).unwrap_or_default();
        let mut batch = Vec::with_capacity(HEADER_BYTES + plain.len() / 2);
        batch.resize(HEADER_BYTES, 0);
        let compressed = self.compressor.compress(plain, &mut batch);
        self.ratio = (batch.len() - HEADER_BYTES) as f32 / plain.len().max(1) as f32;
        self.buffer.clear();
        compressed.map(|()| batch)
    }

    /// Gives the memory of a batch that is no longer needed to the next one, if nobody else holds it.
    pub fn recycle(&mut self, batch: Bytes) {
        if !self.is_empty() || batch.len() <= self.buffer.capacity() || !batch.is_unique() {
            return;
        }
        self.buffer = Vec::from(batch);
        self.buffer.clear();
    }
}

const BATCH_BYTES_MAX: usize = i32::MAX as usize;

#[inline]
fn field_bytes(field: Option<&[u8]>) -> usize {
    match field {
        None => 1,
        // An overlong field is refused by its length, whatever the size of the number in front of it.
        Some(bytes) => unsigned_size((bytes.len() as u64) << 1) + bytes.len(),
    }
}

#[inline]
fn put_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

#[inline]
fn headers_bytes(headers: &Headers) -> usize {
    if headers.is_empty() {
        return 1;
    }
    let fields = headers
        .iter()
        .map(|header| field_bytes(Some(&header.key)) + field_bytes(header.value.as_deref()));
    unsigned_size((headers.len() as u64) << 1) + fields.sum::<usize>()
}

#[inline]
fn put_headers(out: &mut Vec<u8>, headers: &Headers) {
    put_varint(out, headers.len() as i32);
    for header in headers {
        put_field(out, Some(&header.key));
        put_field(out, header.value.as_deref());
    }
}
