//! Decoding that does not trust counts from the wire.
//!
//! The generated decoders reserve room for as many items as a message claims to have. The readers here refuse a count that
//! the bytes left cannot hold, before the decoder sees it.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

use crate::error::{Error, Result};

/// Reads a message at the front of `bytes`.
///
/// `flexible` says whether counts are written as varints; otherwise they look like any other 32-bit number.
pub(super) fn decode<T: Decodable>(
    bytes: &mut Bytes,
    version: i16,
    flexible: bool,
    message: &'static str,
) -> Result<T> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Decode {
        message,
        version,
        source,
    };
    if !flexible {
        let mut rehearsal = Rehearsal { bytes: bytes.clone() };
        T::decode(&mut rehearsal, version).map_err(|error| failed(error.into()))?;
        return T::decode(bytes, version).map_err(|error| failed(error.into()));
    }
    let mut guarded = Varints {
        bytes: std::mem::take(bytes),
        value: 0,
        shift: 0,
    };
    let decoded = T::decode(&mut guarded, version).map_err(|error| failed(error.into()));
    *bytes = guarded.bytes;
    decoded
}

/// Numbers of tagged fields are varints too, but count nothing.
const TAG_MAX: u32 = 4096;

/// Refuses varints larger than what is left. Lengths and counts are that in every honest message.
struct Varints {
    bytes: Bytes,
    value: u32,
    shift: u32,
}

impl Buf for Varints {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    // Varints are read byte by byte through here; so are booleans, which are below 0x80.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        if self.shift < 32 {
            self.value |= u32::from(byte & 0x7f) << self.shift;
        }
        self.shift += 7;
        if byte < 0x80 || self.shift >= 35 {
            let value = std::mem::take(&mut self.value);
            self.shift = 0;
            let available = self.bytes.remaining();
            // Lengths are written plus one, to make room for null.
            if value > TAG_MAX && value as usize > available.saturating_add(1) {
                return Err(TryGetError {
                    requested: value as usize,
                    available,
                });
            }
        }
        Ok(byte)
    }

    fn try_get_i8(&mut self) -> Result<i8, TryGetError> {
        self.bytes.try_get_i8()
    }
}

impl ByteBuf for Varints {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.bytes.split_to(size)
    }
}

/// Reads a message with all 32-bit numbers cut down to one more than the bytes left.
///
/// A count that was cut down cannot be satisfied, so the reading fails where the real one would run wild; other numbers do
/// not matter, for the values read are thrown away.
struct Rehearsal {
    bytes: Bytes,
}

impl Buf for Rehearsal {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        let value = self.bytes.try_get_i32()?;
        let most = i32::try_from(self.bytes.remaining())
            .unwrap_or(i32::MAX)
            .saturating_add(1);
        Ok(value.min(most))
    }
}

impl ByteBuf for Rehearsal {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.bytes.split_to(size)
    }
}
