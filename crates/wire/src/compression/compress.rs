//! Compressing, with memory kept from batch to batch.

use std::fmt;
use std::io::Write;

use super::{Compression, snappy};
use crate::error::{Error, Result};

/// A codec and how hard it tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codec {
    compression: Compression,
    level: i32,
}

impl Codec {
    /// A codec at its usual level.
    pub const fn new(compression: Compression) -> Self {
        let level = match compression {
            Compression::Gzip => 6,
            Compression::Zstd => 3,
            Compression::None | Compression::Snappy | Compression::Lz4 => 0,
        };
        Self { compression, level }
    }

    /// A codec at a level of its own scale: gzip 1 to 9, zstd -131072 to 22. The others have one level, 0.
    pub const fn with_level(compression: Compression, level: i32) -> Result<Self> {
        let (min, max) = match compression {
            Compression::Gzip => (1, 9),
            Compression::Zstd => (-131_072, 22),
            Compression::None | Compression::Snappy | Compression::Lz4 => (0, 0),
        };
        if level < min || level > max {
            return Err(Error::CompressionLevel {
                codec: compression.name(),
                level,
                min,
                max,
            });
        }
        Ok(Self { compression, level })
    }

    /// Which codec.
    pub const fn compression(self) -> Compression {
        self.compression
    }

    /// How hard it tries.
    pub const fn level(self) -> i32 {
        self.level
    }
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Self {
        Self::new(compression)
    }
}

/// Compresses one batch after the other with the same codec.
pub struct Compressor {
    codec: Codec,
    /// Set up with the first batch: it takes most of a megabyte.
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    /// A compressor for this codec.
    pub const fn new(codec: Codec) -> Self {
        Self { codec, zstd: None }
    }

    /// Which codec.
    pub const fn compression(&self) -> Compression {
        self.codec.compression
    }

    /// Appends the compressed form of `plain` to `output`.
    pub fn compress(&mut self, plain: &[u8], output: &mut Vec<u8>) -> Result<()> {
        let done = match self.codec.compression {
            Compression::None => {
                output.extend_from_slice(plain);
                Ok(())
            }
            Compression::Gzip => self.gzip(plain, output),
            Compression::Snappy => snappy::compress(plain, output).map_err(Into::into),
            Compression::Lz4 => lz4(plain, output),
            Compression::Zstd => self.zstd(plain, output),
        };
        done.map_err(|source| Error::Codec {
            codec: self.codec.compression.name(),
            action: "compress",
            source,
        })
    }

    fn gzip(&self, plain: &[u8], output: &mut Vec<u8>) -> Result<(), Cause> {
        let level = flate2::Compression::new(self.codec.level.unsigned_abs());
        let mut writer = flate2::write::GzEncoder::new(output, level);
        writer.write_all(plain)?;
        writer.finish()?;
        Ok(())
    }

    fn zstd(&mut self, plain: &[u8], output: &mut Vec<u8>) -> Result<(), Cause> {
        let compressor = match &mut self.zstd {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(self.codec.level)?),
        };
        let start = output.len();
        output.resize(start + zstd::zstd_safe::compress_bound(plain.len()), 0);
        let room = output.get_mut(start..).unwrap_or_default();
        let written = compressor.compress_to_buffer(plain, room)?;
        output.truncate(start + written);
        Ok(())
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn lz4(plain: &[u8], output: &mut Vec<u8>) -> Result<(), Cause> {
    // Kafka's Java client reads nothing but independent blocks.
    let frame = lz4_flex::frame::FrameInfo::new()
        .block_mode(lz4_flex::frame::BlockMode::Independent)
        .block_size(lz4_flex::frame::BlockSize::Max64KB);
    let mut writer = lz4_flex::frame::FrameEncoder::with_frame_info(frame, output);
    writer.write_all(plain)?;
    writer.finish()?;
    Ok(())
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}
