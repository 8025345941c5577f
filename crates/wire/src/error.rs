//! What can go wrong between bytes and values.

/// An error of this crate.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bytes that break the rules of their format.
    #[error("corrupt {what}: {reason}")]
    Corrupt {
        /// What was being read.
        what: &'static str,
        /// Which rule is broken.
        reason: &'static str,
    },
    /// A batch whose checksum does not match its bytes.
    #[error("record batch at offset {base_offset} has checksum {actual:08x}, its header says {expected:08x}")]
    Checksum {
        /// The base offset of the batch.
        base_offset: i64,
        /// What the batch header says.
        expected: u32,
        /// What its bytes give.
        actual: u32,
    },
    /// A batch in one of the formats from before Kafka 0.11.
    #[error("record batch at offset {base_offset} has format version {magic}, only version 2 is supported")]
    UnsupportedMagic {
        /// The base offset of the batch.
        base_offset: i64,
        /// The format version found.
        magic: i8,
    },
    /// A codec number that no Kafka version has given a meaning to.
    #[error("unknown compression codec {0}")]
    UnknownCodec(u8),
    /// A level outside the range of its codec.
    #[error("compression level {level} is not allowed for {codec}, allowed are {min} to {max}")]
    CompressionLevel {
        /// The codec's name.
        codec: &'static str,
        /// The level asked for.
        level: i32,
        /// The lowest allowed level.
        min: i32,
        /// The highest allowed level.
        max: i32,
    },
    /// A codec failed.
    #[error("could not {action} records with {codec}")]
    Codec {
        /// The codec's name.
        codec: &'static str,
        /// `compress` or `decompress`.
        action: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something longer than it may be.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it may be.
        limit: usize,
    },
    /// A batch without records was to be finished.
    #[error("a record batch needs at least one record")]
    EmptyBatch,
    /// An API, or a version of it, that this build does not speak.
    #[error("unsupported version {version} of API {key}")]
    UnsupportedVersion {
        /// The API key.
        key: i16,
        /// The version.
        version: i16,
    },
    /// A request or response could not be read.
    #[error("could not decode {message} version {version}")]
    Decode {
        /// The message's name.
        message: &'static str,
        /// Its version.
        version: i16,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A request or response could not be written.
    #[error("could not encode {message} version {version}")]
    Encode {
        /// The message's name.
        message: &'static str,
        /// Its version.
        version: i16,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) const fn corrupt(what: &'static str, reason: &'static str) -> Self {
        Self::Corrupt { what, reason }
    }
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
