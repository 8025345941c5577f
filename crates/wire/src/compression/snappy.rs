//! Snappy as Kafka's Java client frames it: a header, then blocks with their lengths. Plain blocks are read too.

use super::{Compression, too_large};
use crate::error::{Error, Result};
use crate::primitives::Cursor;

/// The header's magic bytes; two version numbers follow.
const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const VERSION: [u8; 4] = 1i32.to_be_bytes();
const HEADER_BYTES: usize = 16;
const BLOCK_BYTES: usize = 32 * 1024;

pub(super) fn compress(plain: &[u8], output: &mut Vec<u8>) -> Result<(), snap::Error> {
    output.extend_from_slice(MAGIC);
    output.extend_from_slice(&VERSION);
    output.extend_from_slice(&VERSION);
    let mut encoder = snap::raw::Encoder::new();
    let mut room = vec![0; snap::raw::max_compress_len(BLOCK_BYTES.min(plain.len()))];
    for block in plain.chunks(BLOCK_BYTES) {
        let length = encoder.compress(block, &mut room)?;
        output.extend_from_slice(&(length as u32).to_be_bytes());
        output.extend_from_slice(room.get(..length).unwrap_or_default());
    }
    Ok(())
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    if !input.starts_with(MAGIC) {
        block(input, limit, &mut output)?;
        return Ok(output);
    }
    let mut rest = input;
    // A first pass over the lengths costs little and saves growing.
    output.reserve(plain_bytes(input).unwrap_or(0).min(limit));
    while let Some((bytes, behind)) = next_block(rest)? {
        block(bytes, limit, &mut output)?;
        rest = behind;
    }
    Ok(output)
}

fn plain_bytes(mut rest: &[u8]) -> Option<usize> {
    let mut sum = 0usize;
    while let Some((bytes, behind)) = next_block(rest).ok()? {
        sum = sum.saturating_add(credible_length(bytes).ok()?);
        rest = behind;
    }
    Some(sum)
}

/// The next block and what follows it; headers are skipped, since streams may be concatenated.
fn next_block(mut rest: &[u8]) -> Result<Option<(&[u8], &[u8])>> {
    const WHAT: &str = "snappy stream";
    while rest.starts_with(MAGIC) {
        rest = rest
            .get(HEADER_BYTES..)
            .ok_or(Error::corrupt(WHAT, "ends within its header"))?;
    }
    if rest.is_empty() {
        return Ok(None);
    }
    let mut cursor = Cursor::new(rest);
    let length = cursor.u32().ok_or(Error::corrupt(WHAT, "ends within a length"))?;
    rest.get(4..)
        .and_then(|rest| rest.split_at_checked(length as usize))
        .map(Some)
        .ok_or(Error::corrupt(WHAT, "ends within a block"))
}

fn block(input: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<()> {
    let length = credible_length(input)?;
    let start = output.len();
    let end = start.saturating_add(length);
    if end > limit {
        return Err(too_large(limit));
    }
    output.resize(end, 0);
    let room = output.get_mut(start..).unwrap_or_default();
    let written = snap::raw::Decoder::new().decompress(input, room).map_err(failed)?;
    output.truncate(start + written);
    Ok(())
}

/// The plain length that a block claims, if it can be true: no element of snappy gives more than 64 bytes for 2.
fn credible_length(input: &[u8]) -> Result<usize> {
    let length = snap::raw::decompress_len(input).map_err(failed)?;
    if length > input.len().saturating_mul(64) {
        return Err(Error::corrupt("snappy block", "claims more than it can hold"));
    }
    Ok(length)
}

fn failed(error: snap::Error) -> Error {
    Error::Codec {
        codec: Compression::Snappy.name(),
        action: "decompress",
        source: Box::new(error),
    }
}
