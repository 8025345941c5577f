//! Requests and responses: the structures, their frames, and the pairing of the two.
//!
//! The structures are those of the `kafka-protocol` crate, re-exported here. What that crate lacks or does too slowly is
//! written by hand.
//!
//! | file | what |
//! |---|---|
//! | `mod` | [`Request`], [`Response`]; whole frames encoded and decoded |
//! | `frame` | [`Frame`], bytes in pieces, so that records are never copied into a request |
//! | `table` | which request has which response |
//! | `guard` | decoding that does not trust counts from the wire |
//! | `records` | produce requests and fetch responses, written around their records |

mod frame;
mod guard;
mod records;
mod table;

use bytes::{Buf, BufMut, Bytes};

use crate::error::{Error, Result};
use crate::primitives::Cursor;

pub use frame::{Frame, FrameWriter};
pub use kafka_protocol::messages::*;
pub use kafka_protocol::protocol::StrBytes;

/// The versions of a message that can be written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl Versions {
    /// The highest version that both sides know.
    pub fn highest_common(self, other: Self) -> Option<i16> {
        let highest = self.max.min(other.max);
        (highest >= self.min && highest >= other.min).then_some(highest)
    }

    /// Whether the version is one of these.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// A request and what is needed to send it and to understand the answer.
pub trait Request: Sized {
    /// The API key.
    const KEY: i16;
    /// The name, for messages to people.
    const NAME: &'static str;
    /// The versions of request and response.
    const VERSIONS: Versions;
    /// The answer.
    type Response: Response;

    /// Which version of the request header comes before this version of the request.
    fn header_version(version: i16) -> i16;

    /// Appends the request, without its header.
    fn encode(&self, out: &mut FrameWriter, version: i16) -> Result<()>;

    /// Reads the request, without its header, from the front of `bytes`.
    fn decode(bytes: &mut Bytes, version: i16) -> Result<Self>;
}

/// The answer to a request.
pub trait Response: Sized {
    /// The name, for messages to people.
    const NAME: &'static str;

    /// Which version of the response header comes before this version of the response.
    fn header_version(version: i16) -> i16;

    /// Appends the response, without its header.
    fn encode(&self, out: &mut FrameWriter, version: i16) -> Result<()>;

    /// Reads the response, without its header, from the front of `bytes`.
    fn decode(bytes: &mut Bytes, version: i16) -> Result<Self>;
}

/// The header of a request as the broker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedHeader {
    /// The API key.
    pub api_key: i16,
    /// The version of the request.
    pub api_version: i16,
    /// The number that the answer has to repeat.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

/// A request as a frame, its length in front.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Frame> {
    if !R::VERSIONS.contains(version) {
        return Err(Error::UnsupportedVersion { key: R::KEY, version });
    }
    let mut out = FrameWriter::new();
    let buffer = out.buffer();
    buffer.put_i16(R::KEY);
    buffer.put_i16(version);
    buffer.put_i32(correlation_id);
    match client_id {
        None => buffer.put_i16(-1),
        Some(id) => {
            let length = i16::try_from(id.len()).map_err(|_| Error::TooLarge {
                what: "client id",
                limit: i16::MAX as usize,
            })?;
            buffer.put_i16(length);
            buffer.put_slice(id.as_bytes());
        }
    }
    if R::header_version(version) >= 2 {
        buffer.put_u8(0);
    }
    request.encode(&mut out, version)?;
    out.finish()
}

/// Reads an answer to an `R` of this version from a frame without its length: the correlation id and the response.
pub fn decode_response<R: Request>(mut frame: Bytes, version: i16) -> Result<(i32, R::Response)> {
    let correlation_id = correlation_id(&frame)?;
    frame.advance(4);
    if R::Response::header_version(version) >= 1 {
        skip_tags(&mut frame, "response header")?;
    }
    let response = R::Response::decode(&mut frame, version)?;
    Ok((correlation_id, response))
}

/// The correlation id at the front of a response frame without its length: which request it answers.
pub fn correlation_id(frame: &[u8]) -> Result<i32> {
    let id = Cursor::new(frame).i32();
    id.ok_or(Error::corrupt("response header", "ends before it is complete"))
}

/// Reads the header of a request from the front of a frame without its length. The request follows in `frame`.
///
/// An unknown API key is an error that names it; the correlation id is then of no use, since the answer's form is unknown.
pub fn decode_request_header(frame: &mut Bytes) -> Result<ReceivedHeader> {
    const WHAT: &str = "request header";
    const CUT: Error = Error::corrupt(WHAT, "ends before it is complete");
    let mut cursor = Cursor::new(frame);
    let mut header = ReceivedHeader {
        api_key: cursor.i16().ok_or(CUT)?,
        api_version: cursor.i16().ok_or(CUT)?,
        correlation_id: cursor.i32().ok_or(CUT)?,
        client_id: None,
    };
    let version = request_header_version(header.api_key, header.api_version)?;
    header.client_id = cursor.nullable_string(WHAT)?.map(str::to_owned);
    let read = frame.len() - cursor.left();
    frame.advance(read);
    if version >= 2 {
        skip_tags(frame, WHAT)?;
    }
    Ok(header)
}

fn request_header_version(key: i16, version: i16) -> Result<i16> {
    let api = ApiKey::try_from(key).map_err(|()| Error::UnsupportedVersion { key, version })?;
    Ok(api.request_header_version(version))
}

/// A response as a frame, its length in front.
pub fn encode_response<S: Response>(response: &S, version: i16, correlation_id: i32) -> Result<Frame> {
    let mut out = FrameWriter::new();
    out.buffer().put_i32(correlation_id);
    if S::header_version(version) >= 1 {
        out.buffer().put_u8(0);
    }
    response.encode(&mut out, version)?;
    out.finish()
}

/// Steps over tagged fields: those of the headers have no meaning so far.
fn skip_tags(bytes: &mut Bytes, what: &'static str) -> Result<()> {
    let mut cursor = Cursor::new(bytes);
    skip_tags_of(&mut cursor).ok_or(Error::corrupt(what, "its tagged fields are cut short"))?;
    let read = bytes.len() - cursor.left();
    bytes.advance(read);
    Ok(())
}

fn skip_tags_of(cursor: &mut Cursor<'_>) -> Option<()> {
    for _ in 0..cursor.unsigned_varint()? {
        let _tag = cursor.unsigned_varint()?;
        let length = cursor.unsigned_varint()?;
        cursor.take(length as usize)?;
    }
    Some(())
}

impl From<&crate::ids::TopicName> for TopicName {
    fn from(name: &crate::ids::TopicName) -> Self {
        Self(StrBytes::from_string(name.as_str().to_owned()))
    }
}

impl From<&TopicName> for crate::ids::TopicName {
    fn from(name: &TopicName) -> Self {
        Self::new(name)
    }
}
