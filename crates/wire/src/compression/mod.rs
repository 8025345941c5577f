//! The four codecs of record batches, both ways.
//!
//! | file | what |
//! |---|---|
//! | `mod` | [`Compression`] names a codec, [`Codec`] adds its level; decompression within a bound |
//! | `compress` | [`Compressor`], which keeps its memory between batches |
//! | `snappy` | the framing that Kafka's Java clients put around snappy blocks |

mod compress;
mod snappy;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use bytes::Bytes;

use crate::error::{Error, Result};

pub use compress::{Codec, Compressor};

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy, in the framing of Kafka's Java client.
    Snappy,
    /// LZ4, frame format.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// The codec's number in the flags of a batch.
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec of this number.
    pub const fn from_code(code: u8) -> Result<Self> {
        Ok(match code {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            code => return Err(Error::UnknownCodec(code)),
        })
    }

    /// The name that Kafka's configuration gives the codec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A codec name that Kafka's configuration does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a compression codec, allowed are none, gzip, snappy, lz4 and zstd")]
pub struct UnknownName;

impl FromStr for Compression {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let all = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];
        all.into_iter().find(|codec| codec.name() == name).ok_or(UnknownName)
    }
}

/// What `input` decompresses to, unless that is more than `limit` bytes.
pub fn decompress(compression: Compression, input: Bytes, limit: usize) -> Result<Bytes> {
    let output = match compression {
        Compression::None => return Ok(input),
        Compression::Gzip => {
            // The last four bytes hold the plain size, if there is but one member and nobody lies.
            let size = input
                .last_chunk::<4>()
                .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
            read(
                compression,
                flate2::bufread::MultiGzDecoder::new(&*input),
                Bound::new(&input, size, limit),
            )
        }
        Compression::Snappy => snappy::decompress(&input, limit),
        Compression::Lz4 => {
            let reader = lz4_flex::frame::FrameDecoder::new(&*input);
            read(compression, reader, Bound::new(&input, 0, limit))
        }
        Compression::Zstd => {
            let size = zstd::zstd_safe::get_frame_content_size(&input)
                .ok()
                .flatten()
                .unwrap_or(0);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            match zstd::stream::read::Decoder::with_buffer(&*input) {
                Ok(reader) => read(compression, reader, Bound::new(&input, size, limit)),
                Err(error) => Err(failed(compression, error)),
            }
        }
    };
    output.map(Bytes::from)
}

/// How much to reserve at first, and how much output to accept.
struct Bound {
    reserve: usize,
    limit: usize,
}

impl Bound {
    /// `claimed` is what the input says of its plain size, which is no reason to reserve a lot: zero if it says nothing.
    fn new(input: &[u8], claimed: usize, limit: usize) -> Self {
        let credible = input.len().saturating_mul(16);
        let guess = input.len().saturating_mul(4);
        let reserve = if claimed == 0 || claimed > credible {
            guess
        } else {
            claimed
        };
        Self {
            reserve: reserve.min(limit),
            limit,
        }
    }
}

fn read(compression: Compression, reader: impl Read, bound: Bound) -> Result<Vec<u8>> {
    let mut output = Vec::with_capacity(bound.reserve);
    let one_more = (bound.limit as u64).saturating_add(1);
    let read = reader.take(one_more).read_to_end(&mut output);
    read.map_err(|error| failed(compression, error))?;
    if output.len() > bound.limit {
        return Err(too_large(bound.limit));
    }
    Ok(output)
}

fn failed(compression: Compression, error: io::Error) -> Error {
    Error::Codec {
        codec: compression.name(),
        action: "decompress",
        source: Box::new(error),
    }
}

const fn too_large(limit: usize) -> Error {
    Error::TooLarge {
        what: "decompressed record batch",
        limit,
    }
}
