//! The bytes before an encoded value.

use kstreams_topology::SerdeError;

const MAGIC: u8 = 0;

/// Appends the magic byte and the schema's id.
pub(crate) fn put(id: i32, out: &mut Vec<u8>) {
    out.push(MAGIC);
    out.extend_from_slice(&id.to_be_bytes());
}

/// The schema's id, and what comes after it.
pub(crate) fn take(bytes: &[u8]) -> Result<(i32, &[u8]), SerdeError> {
    match bytes.split_first_chunk::<5>() {
        Some(([MAGIC, id @ ..], rest)) => Ok((i32::from_be_bytes(*id), rest)),
        _ => Err(SerdeError::new(format!(
            "{} bytes to a value with a schema: a byte 0 and a schema id come first",
            bytes.len()
        ))),
    }
}
