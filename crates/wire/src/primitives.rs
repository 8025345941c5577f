//! Bounds-checked reading of Kafka's primitive types, and writing of its variable-length numbers.

use crate::error::{Error, Result};

/// Reads from the front of some bytes. Nothing read from the wire is trusted to be in range.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*taken)
    }

    pub(crate) fn i8(&mut self) -> Option<i8> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Unsigned, base 128, at most five bytes.
    #[inline]
    pub(crate) fn unsigned_varint(&mut self) -> Option<u32> {
        let (&first, rest) = self.bytes.split_first()?;
        if first < 0x80 {
            self.bytes = rest;
            return Some(u32::from(first));
        }
        self.long_unsigned(5).map(|value| value as u32)
    }

    /// Signed (zigzag), at most five bytes.
    #[inline]
    pub(crate) fn varint(&mut self) -> Option<i32> {
        let raw = self.unsigned_varint()?;
        Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// Signed (zigzag), at most ten bytes.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        let (&first, rest) = self.bytes.split_first()?;
        let raw = if first < 0x80 {
            self.bytes = rest;
            u64::from(first)
        } else {
            self.long_unsigned(10)?
        };
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    fn long_unsigned(&mut self, bytes_max: u32) -> Option<u64> {
        let mut value = 0;
        for (index, &byte) in (0..bytes_max).zip(self.bytes) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.bytes = self.bytes.get(index as usize + 1..)?;
                return Some(value);
            }
        }
        None
    }

    /// A length as a varint, then that many bytes; a negative length is null.
    #[inline]
    pub(crate) fn varint_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Some(None),
        }
    }

    /// A string with a 16-bit length; -1 is null.
    pub(crate) fn nullable_string(&mut self, what: &'static str) -> Result<Option<&'a str>> {
        let length = self.i16().ok_or(Error::corrupt(what, "ends within a string"))?;
        if length == -1 {
            return Ok(None);
        }
        let bytes = usize::try_from(length).ok().and_then(|length| self.take(length));
        let bytes = bytes.ok_or(Error::corrupt(what, "ends within a string"))?;
        let text = std::str::from_utf8(bytes).map_err(|_| Error::corrupt(what, "has a string that is not UTF-8"))?;
        Ok(Some(text))
    }
}

pub(crate) const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

pub(crate) const fn zigzag_long(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// How many bytes an unsigned number needs.
#[inline]
pub(crate) const fn unsigned_size(value: u64) -> usize {
    // 7 bits a byte; the factor 9/64 rounds bits/7 up exactly for 1..=64 bits.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

#[inline]
pub(crate) fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, u64::from(zigzag(value)));
}

#[inline]
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, zigzag_long(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_and_their_size_is_foreseen() {
        for value in [
            0i64,
            1,
            -1,
            63,
            64,
            -64,
            -65,
            8191,
            8192,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
            i64::MAX,
            i64::MIN,
        ] {
            let mut bytes = Vec::new();
            put_varlong(&mut bytes, value);
            assert_eq!(bytes.len(), unsigned_size(zigzag_long(value)), "{value}");
            assert_eq!(Cursor::new(&bytes).varlong(), Some(value));
            let Ok(short) = i32::try_from(value) else { continue };
            bytes.clear();
            put_varint(&mut bytes, short);
            assert_eq!(bytes.len(), unsigned_size(u64::from(zigzag(short))));
            assert_eq!(Cursor::new(&bytes).varint(), Some(short));
        }
        for bits in 0..64 {
            let mut bytes = Vec::new();
            put_unsigned(&mut bytes, 1 << bits);
            assert_eq!(bytes.len(), unsigned_size(1 << bits), "{bits}");
        }
    }

    #[test]
    fn an_endless_number_is_refused() {
        assert_eq!(Cursor::new(&[0xff; 5]).varint(), None);
        assert_eq!(Cursor::new(&[0xff; 10]).varlong(), None);
        assert_eq!(Cursor::new(&[0x80]).varint(), None);
        assert_eq!(Cursor::new(&[]).varint(), None);
    }
}
