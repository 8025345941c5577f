//! The 61 bytes before the records of a batch.

use crate::compression::Compression;
use crate::error::{Error, Result};
use crate::primitives::Cursor;

/// The length of a batch's header.
pub const HEADER_BYTES: usize = 61;
/// Base offset and length, which the length does not count.
const PREFIX_BYTES: usize = 12;
/// From here on the checksum covers.
const CHECKED_FROM: usize = 21;
pub(crate) const MAGIC: i8 = 2;

/// Whether timestamps are those of the writers or of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// Each record has the time its writer gave it.
    CreateTime,
    /// All records have the time at which the broker appended the batch.
    LogAppendTime,
}

/// The flags of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    /// Flags for the given properties, timestamps being the writers'.
    pub const fn new(compression: Compression, transactional: bool, control: bool) -> Self {
        let mut bits = compression.code();
        if transactional {
            bits |= Self::TRANSACTIONAL;
        }
        if control {
            bits |= Self::CONTROL;
        }
        Self(bits)
    }

    /// How the records are compressed.
    pub fn compression(self) -> Result<Compression> {
        Compression::from_code((self.0 & Self::CODEC) as u8)
    }

    /// Whose clock the timestamps are from.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch carries a marker instead of records of users.
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    pub(super) const fn with_log_append_time(self) -> Self {
        Self(self.0 | Self::LOG_APPEND_TIME)
    }

    pub(super) const fn with_transactional(self, transactional: bool) -> Self {
        if transactional {
            Self(self.0 | Self::TRANSACTIONAL)
        } else {
            Self(self.0 & !Self::TRANSACTIONAL)
        }
    }
}

/// The header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the batch; that of a record is this plus the record's delta.
    pub base_offset: i64,
    /// How many bytes follow the length field.
    pub batch_length: i32,
    /// The epoch of the leader that appended the batch; -1 if unknown.
    pub leader_epoch: i32,
    /// The format version, always 2.
    pub magic: i8,
    /// The checksum (CRC-32C) of everything behind it.
    pub crc: u32,
    /// The flags.
    pub attributes: Attributes,
    /// The last offset of the batch less its base offset; may lie behind the last record if the log was compacted.
    pub last_offset_delta: i32,
    /// The timestamp that those of the records are relative to.
    pub base_timestamp: i64,
    /// The largest timestamp, or with log-append time the timestamp of all records.
    pub max_timestamp: i64,
    /// The idempotent producer that wrote the batch, or -1.
    pub producer_id: i64,
    /// The epoch of that producer, or -1.
    pub producer_epoch: i16,
    /// The sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// How many records there are.
    pub records: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let header = Self::read(bytes).ok_or(Error::corrupt("record batch", "ends within its header"))?;
        if header.magic != MAGIC {
            return Err(Error::UnsupportedMagic {
                base_offset: header.base_offset,
                magic: header.magic,
            });
        }
        if header.batch_length < (HEADER_BYTES - PREFIX_BYTES) as i32 {
            return Err(TOO_SHORT);
        }
        if header.records < 0 || header.last_offset_delta < 0 {
            return Err(Error::corrupt("record batch", "has a negative count"));
        }
        Ok(header)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        // One check for all fields.
        let mut cursor = Cursor::new(bytes.first_chunk::<HEADER_BYTES>()?);
        Some(Self {
            base_offset: cursor.i64()?,
            batch_length: cursor.i32()?,
            leader_epoch: cursor.i32()?,
            magic: cursor.i8()?,
            crc: cursor.u32()?,
            attributes: Attributes(cursor.i16()?),
            last_offset_delta: cursor.i32()?,
            base_timestamp: cursor.i64()?,
            max_timestamp: cursor.i64()?,
            producer_id: cursor.i64()?,
            producer_epoch: cursor.i16()?,
            base_sequence: cursor.i32()?,
            records: cursor.i32()?,
        })
    }

    /// The offset of the last record, present or compacted away.
    pub const fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(self.last_offset_delta as i64)
    }

    /// The offset behind the batch: where to read on.
    pub const fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// The sequence number of the last record, or -1 if the producer is not idempotent.
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        add_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// The length of the batch, prefix included.
    pub const fn total_bytes(&self) -> usize {
        PREFIX_BYTES + self.batch_length as usize
    }

    /// The header as bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let mut rest: &mut [u8] = &mut out;
        let mut put = |field: &[u8]| {
            if let Some((head, tail)) = std::mem::take(&mut rest).split_at_mut_checked(field.len()) {
                head.copy_from_slice(field);
                rest = tail;
            }
        };
        put(&self.base_offset.to_be_bytes());
        put(&self.batch_length.to_be_bytes());
        put(&self.leader_epoch.to_be_bytes());
        put(&self.magic.to_be_bytes());
        put(&self.crc.to_be_bytes());
        put(&self.attributes.0.to_be_bytes());
        put(&self.last_offset_delta.to_be_bytes());
        put(&self.base_timestamp.to_be_bytes());
        put(&self.max_timestamp.to_be_bytes());
        put(&self.producer_id.to_be_bytes());
        put(&self.producer_epoch.to_be_bytes());
        put(&self.base_sequence.to_be_bytes());
        put(&self.records.to_be_bytes());
        out
    }
}

const TOO_SHORT: Error = Error::corrupt("record batch", "is shorter than its header");

/// Sequence numbers count on from zero behind the largest.
pub(crate) const fn add_sequence(sequence: i32, records: i32) -> i32 {
    (sequence as u32).wrapping_add(records as u32) as i32 & i32::MAX
}

/// The length of the batch at the front; `None` if the bytes end before it is known.
pub(super) fn batch_bytes(bytes: &[u8]) -> Result<Option<usize>> {
    let mut cursor = Cursor::new(bytes);
    let (Some(base_offset), Some(length)) = (cursor.i64(), cursor.i32()) else {
        return Ok(None);
    };
    let (Some(_leader_epoch), Some(magic)) = (cursor.i32(), cursor.i8()) else {
        return Ok(None);
    };
    if magic != MAGIC {
        return Err(Error::UnsupportedMagic { base_offset, magic });
    }
    match usize::try_from(length) {
        Ok(length) if length >= HEADER_BYTES - PREFIX_BYTES => Ok(Some(PREFIX_BYTES + length)),
        _ => Err(TOO_SHORT),
    }
}

/// The checksum of a batch's bytes.
pub(super) fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(CHECKED_FROM..).unwrap_or_default())
}

/// Sets length, format version, checksum and the given fields at the front of a complete batch.
pub(super) fn seal(batch: &mut [u8], mut header: BatchHeader) -> Result<()> {
    header.batch_length = i32::try_from(batch.len().saturating_sub(PREFIX_BYTES)).map_err(|_| Error::TooLarge {
        what: "record batch",
        limit: i32::MAX as usize,
    })?;
    header.magic = MAGIC;
    put_header(batch, &header)?;
    header.crc = checksum(batch);
    put_header(batch, &header)
}

/// Overwrites the header, leaving the checksum as given.
pub(super) fn put_header(batch: &mut [u8], header: &BatchHeader) -> Result<()> {
    let front = batch.first_chunk_mut::<HEADER_BYTES>().ok_or(TOO_SHORT)?;
    *front = header.to_bytes();
    Ok(())
}
