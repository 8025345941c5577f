//! Record batches, format version 2: split fetched bytes, walk records without copying, build batches by appending.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the header of a batch; [`split`] cuts fetched bytes into batches |
//! | `records` | [`Records`], a cursor over the records of one batch |
//! | `build` | [`BatchBuilder`], the append encoder |
//! | [`stamp`] | what is changed in a batch that is already built: offsets, producer, append time |
//! | [`control`] | markers that end transactions |

mod build;
pub mod control;
mod header;
mod records;
pub mod stamp;

use bytes::Bytes;

use crate::compression;
use crate::error::{Error, Result};

pub use build::{BatchBuilder, ProducerStamp};
pub use header::{Attributes, BatchHeader, HEADER_BYTES, TimestampType};
pub use records::{RawHeader, RawHeaders, RawRecord, Records};

/// What one batch may grow to when decompressed, unless the caller says otherwise.
pub const DECOMPRESSED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Cuts the record bytes of a fetch response (or of a log) into batches, copying nothing.
///
/// Brokers may cut the last batch short; such a tail ends the iteration without an error.
pub fn split(bytes: Bytes) -> Batches {
    Batches { bytes }
}

/// Iterator over the batches of some bytes; see [`split`].
#[derive(Debug, Clone)]
pub struct Batches {
    bytes: Bytes,
}

impl Batches {
    /// The bytes not yet handed out; after the end, the incomplete tail.
    pub const fn rest(&self) -> &Bytes {
        &self.bytes
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = match header::batch_bytes(&self.bytes) {
            Ok(Some(length)) if length <= self.bytes.len() => length,
            Ok(_) => return None,
            Err(error) => {
                // There is no way to find the next batch behind a broken length.
                self.bytes = Bytes::new();
                return Some(Err(error));
            }
        };
        Some(Batch::new(self.bytes.split_to(length)))
    }
}

/// One batch as it came: its header, read, and all its bytes.
#[derive(Debug, Clone)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Reads the header of exactly one batch.
    pub fn new(bytes: Bytes) -> Result<Self> {
        let header = BatchHeader::parse(&bytes)?;
        if header.total_bytes() != bytes.len() {
            return Err(Error::corrupt("record batch", "its length is not that of its bytes"));
        }
        Ok(Self { header, bytes })
    }

    /// The header.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header included.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Checks the batch's checksum.
    pub fn verify_crc(&self) -> Result<()> {
        let actual = header::checksum(&self.bytes);
        if actual == self.header.crc {
            return Ok(());
        }
        Err(Error::Checksum {
            base_offset: self.header.base_offset,
            expected: self.header.crc,
            actual,
        })
    }

    /// A cursor over the records, which are decompressed first if they have to be. The checksum is not looked at.
    pub fn into_records(self) -> Result<Records> {
        self.into_records_within(DECOMPRESSED_BYTES_MAX)
    }

    /// As [`Batch::into_records`], refusing to decompress into more than `limit` bytes.
    pub fn into_records_within(self, limit: usize) -> Result<Records> {
        let payload = self.bytes.slice(HEADER_BYTES..);
        let payload = compression::decompress(self.header.attributes.compression()?, payload, limit)?;
        Records::new(self.header, payload)
    }
}
