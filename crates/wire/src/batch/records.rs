//! A cursor over the records of one batch, which stay slices of its bytes.

use bytes::Bytes;

use super::header::{BatchHeader, TimestampType};
use crate::error::{Error, Result};
use crate::headers::{Header, Headers};
use crate::primitives::Cursor;

/// The records of one batch, decompressed, to be read once from front to back.
///
/// [`Records::next`] lends each record; nothing is copied or allocated for it.
#[derive(Debug, Clone)]
pub struct Records {
    header: BatchHeader,
    payload: Bytes,
    position: usize,
    remaining: u32,
}

impl Records {
    /// A cursor over `payload`, the decompressed records of the batch with this header.
    pub fn new(header: BatchHeader, payload: Bytes) -> Result<Self> {
        let remaining = u32::try_from(header.records).map_err(|_| NEGATIVE_COUNT)?;
        Ok(Self {
            header,
            payload,
            position: 0,
            remaining,
        })
    }

    /// The next record, or `None` after the last. An error ends the batch.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an Iterator cannot lend")]
    pub fn next(&mut self) -> Result<Option<RawRecord<'_>>> {
        if self.remaining == 0 {
            return self.end().map(|()| None);
        }
        let rest = self.payload.get(self.position..).unwrap_or_default();
        let Some((parts, length)) = parts(rest) else {
            self.remaining = 0;
            self.position = self.payload.len();
            return Err(BROKEN);
        };
        self.position += length;
        self.remaining -= 1;
        Ok(Some(RawRecord {
            offset: self.header.base_offset.wrapping_add(i64::from(parts.offset_delta)),
            timestamp: timestamp(&self.header, parts.timestamp_delta),
            key: parts.key,
            value: parts.value,
            headers: parts.headers,
            shared: &self.payload,
        }))
    }

    /// The timestamp of the record that [`Records::next`] gives next.
    ///
    /// `None` after the last record, and before one that cannot be read: `next` tells the two apart.
    pub fn peek_timestamp(&self) -> Option<i64> {
        let (front, _) = self.front()?;
        Some(timestamp(&self.header, front.timestamp_delta))
    }

    /// Steps over the records before `offset`: a fetch begins in the middle of a batch as often as not.
    pub fn skip_before(&mut self, offset: i64) {
        while let Some((front, length)) = self.front() {
            if self.header.base_offset.wrapping_add(i64::from(front.offset_delta)) >= offset {
                return;
            }
            self.position += length;
            self.remaining -= 1;
        }
    }

    /// How many records are left, as the batch's header counts them.
    pub const fn remaining(&self) -> u32 {
        self.remaining
    }

    /// The batch's header.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The decompressed bytes that the records are slices of.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    fn front(&self) -> Option<(Front, usize)> {
        if self.remaining == 0 {
            return None;
        }
        let mut cursor = Cursor::new(self.payload.get(self.position..)?);
        let before = cursor.left();
        let length = usize::try_from(cursor.varint()?).ok()?;
        let length_bytes = before - cursor.left();
        let front = front(&mut Cursor::new(cursor.take(length)?))?;
        Some((front, length_bytes + length))
    }

    fn end(&mut self) -> Result<()> {
        if self.position >= self.payload.len() {
            return Ok(());
        }
        self.position = self.payload.len();
        Err(Error::corrupt("record batch", "has bytes behind its last record"))
    }
}

const BROKEN: Error = Error::corrupt("record", "its fields do not add up to its length");
const NEGATIVE_COUNT: Error = Error::corrupt("record batch", "has a negative count");

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp, milliseconds since the epoch; -1 if the writer gave none.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers, not yet read.
    pub headers: RawHeaders<'a>,
    /// The bytes that all of these are slices of.
    pub shared: &'a Bytes,
}

impl RawRecord<'_> {
    /// The key as bytes that may outlive the record, sharing the batch's memory.
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.key.map(|key| share(self.shared, key))
    }

    /// The value as bytes that may outlive the record, sharing the batch's memory.
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.value.map(|value| share(self.shared, value))
    }

    /// The headers as a list that may outlive the record, sharing the batch's memory.
    pub fn to_headers(&self) -> Headers {
        self.headers.to_headers(self.shared)
    }
}

/// The headers of a record, read when asked for. That they can be read was checked with the record.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawHeaders<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> RawHeaders<'a> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order.
    pub fn iter(&self) -> impl Iterator<Item = RawHeader<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        (0..self.count).map_while(move |_| header(&mut cursor))
    }

    /// The headers as a list, whose bytes share the memory of `shared` where they lie within it.
    pub fn to_headers(&self, shared: &Bytes) -> Headers {
        self.iter()
            .map(|header| Header {
                key: share(shared, header.key),
                value: header.value.map(|value| share(shared, value)),
            })
            .collect()
    }
}

/// One header, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawHeader<'a> {
    /// The name.
    pub key: &'a [u8],
    /// The value, or null.
    pub value: Option<&'a [u8]>,
}

struct Front {
    timestamp_delta: i64,
    offset_delta: i32,
}

struct Parts<'a> {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: RawHeaders<'a>,
}

/// The record at the front of `bytes` and its length; `None` if it is broken.
#[inline]
fn parts(bytes: &[u8]) -> Option<(Parts<'_>, usize)> {
    let mut cursor = Cursor::new(bytes);
    let length = usize::try_from(cursor.varint()?).ok()?;
    let mut body = Cursor::new(cursor.take(length)?);
    let front = front(&mut body)?;
    let key = body.varint_bytes()?;
    let value = body.varint_bytes()?;
    let count = u32::try_from(body.varint()?).ok()?;
    let headers = RawHeaders {
        bytes: body.take(body.left())?,
        count,
    };
    if count == 0 {
        // Bytes behind the last field mean that some length was wrong.
        if !headers.bytes.is_empty() {
            return None;
        }
    } else {
        check_headers(headers)?;
    }
    let parts = Parts {
        timestamp_delta: front.timestamp_delta,
        offset_delta: front.offset_delta,
        key,
        value,
        headers,
    };
    Some((parts, bytes.len() - cursor.left()))
}

#[inline]
fn front(body: &mut Cursor<'_>) -> Option<Front> {
    // Attributes of a record: none are defined.
    body.take(1)?;
    Some(Front {
        timestamp_delta: body.varlong()?,
        offset_delta: body.varint()?,
    })
}

fn check_headers(headers: RawHeaders<'_>) -> Option<()> {
    let mut cursor = Cursor::new(headers.bytes);
    for _ in 0..headers.count {
        header(&mut cursor)?;
    }
    (cursor.left() == 0).then_some(())
}

fn header<'a>(cursor: &mut Cursor<'a>) -> Option<RawHeader<'a>> {
    Some(RawHeader {
        key: cursor.varint_bytes()??,
        value: cursor.varint_bytes()?,
    })
}

#[inline]
fn timestamp(header: &BatchHeader, delta: i64) -> i64 {
    match header.attributes.timestamp_type() {
        TimestampType::CreateTime => header.base_timestamp.wrapping_add(delta),
        TimestampType::LogAppendTime => header.max_timestamp,
    }
}

/// `part` as bytes of their own, without copying if it lies within `shared`.
fn share(shared: &Bytes, part: &[u8]) -> Bytes {
    let (all, part_range) = (shared.as_ptr_range(), part.as_ptr_range());
    if all.start <= part_range.start && part_range.end <= all.end {
        shared.slice_ref(part)
    } else {
        Bytes::copy_from_slice(part)
    }
}
