//! The layout of buffered records: where a record came from, then its prior, old and new value.
//!
//! Each value has its length before it, −1 for none. An old value of length −2 is the same as the prior one.

use bytes::Bytes;
use kstreams_wire::{Headers, TopicName};

use crate::context::RecordContext;

const NONE: i32 = -1;
const AS_PRIOR: i32 = -2;

/// Bytes, or null.
pub type Nullable<'a> = Option<&'a [u8]>;

/// A buffered record, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffered<'a> {
    /// Where the record came from, see [`write_context`].
    pub context: &'a [u8],
    /// The value that was there when the key was first buffered.
    pub prior: Option<&'a [u8]>,
    /// The value before this record.
    pub old: Option<&'a [u8]>,
    /// The value of this record.
    pub new: Option<&'a [u8]>,
}

impl<'a> Buffered<'a> {
    /// The buffered record at the front of these bytes, and what stands behind it.
    pub fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut rest = Reader(bytes);
        rest.context()?;
        let context = bytes.get(..bytes.len() - rest.0.len())?;
        let prior = rest.nullable()?;
        let old = match rest.int()? {
            AS_PRIOR => prior,
            length => rest.value(length)?,
        };
        let new = rest.nullable()?;
        let buffered = Self {
            context,
            prior,
            old,
            new,
        };
        Some((buffered, rest.0))
    }

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.context);
        write_nullable(self.prior, out);
        if self.old.is_some() && self.old == self.prior {
            out.extend_from_slice(&AS_PRIOR.to_be_bytes());
        } else {
            write_nullable(self.old, out);
        }
        write_nullable(self.new, out);
    }

    /// What Kafka Streams counts for it in memory.
    pub(crate) fn resident_bytes(&self) -> usize {
        let bytes = |value: Option<&[u8]>| value.map_or(0, <[u8]>::len);
        let old = if self.old == self.prior { 0 } else { bytes(self.old) };
        bytes(self.prior) + old + bytes(self.new) + context_bytes(self.context).unwrap_or(0)
    }
}

/// Appends where a record came from: timestamp, offset, topic, partition, headers. No topic is an empty name.
pub fn write_context(context: &RecordContext, out: &mut Vec<u8>) {
    out.extend_from_slice(&context.timestamp.to_be_bytes());
    out.extend_from_slice(&context.offset.to_be_bytes());
    write_bytes(context.topic.as_deref().unwrap_or_default().as_bytes(), out);
    out.extend_from_slice(&context.partition.to_be_bytes());
    out.extend_from_slice(&(context.headers.len() as i32).to_be_bytes());
    for header in context.headers.iter() {
        write_bytes(&header.key, out);
        write_nullable(header.value.as_deref(), out);
    }
}

/// Reads where a record came from.
pub fn read_context(bytes: &[u8]) -> Option<RecordContext> {
    let mut rest = Reader(bytes);
    let (timestamp, offset) = (rest.long()?, rest.long()?);
    let topic = rest.text()?;
    let partition = rest.int()?;
    let mut headers = Headers::new();
    for _ in 0..rest.int()?.max(0) {
        let key = Bytes::copy_from_slice(rest.text()?.as_bytes());
        headers.push(key, rest.nullable()?.map(Bytes::copy_from_slice));
    }
    Some(RecordContext {
        topic: (!topic.is_empty()).then(|| TopicName::new(topic)),
        partition,
        offset,
        timestamp,
        headers,
    })
}

/// The values of a change as old suppression changelogs have them: the old one, then the new one.
pub fn split_change(bytes: &[u8]) -> Option<(Nullable<'_>, Nullable<'_>)> {
    let mut rest = Reader(bytes);
    let change = (rest.nullable()?, rest.nullable()?);
    rest.0.is_empty().then_some(change)
}

/// Texts are counted in the units of UTF-16, as in Java's strings.
fn context_bytes(bytes: &[u8]) -> Option<usize> {
    let mut rest = Reader(bytes);
    rest.long()?;
    rest.long()?;
    let mut sum = 8 + 8 + 4 + rest.text()?.encode_utf16().count();
    rest.int()?;
    for _ in 0..rest.int()?.max(0) {
        sum += rest.text()?.encode_utf16().count() + rest.nullable()?.map_or(0, <[u8]>::len);
    }
    Some(sum)
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn write_nullable(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        Some(bytes) => write_bytes(bytes, out),
        None => out.extend_from_slice(&NONE.to_be_bytes()),
    }
}

/// Takes the parts of a buffered record off the front of its bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn long(&mut self) -> Option<i64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i64::from_be_bytes(*bytes))
    }

    fn int(&mut self) -> Option<i32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*bytes))
    }

    /// Bytes with their length before them; no bytes at all for the length −1.
    pub(crate) fn nullable(&mut self) -> Option<Nullable<'a>> {
        let length = self.int()?;
        self.value(length)
    }

    fn value(&mut self, length: i32) -> Option<Nullable<'a>> {
        if length == NONE {
            return Some(None);
        }
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(Some(bytes))
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.nullable()??).ok()
    }

    /// Steps over a record context, and lends it.
    pub(crate) fn context(&mut self) -> Option<&'a [u8]> {
        let whole = self.0;
        self.long()?;
        self.long()?;
        self.text()?;
        self.int()?;
        for _ in 0..self.int()?.max(0) {
            self.text()?;
            self.nullable()?;
        }
        whole.get(..whole.len() - self.0.len())
    }
}
