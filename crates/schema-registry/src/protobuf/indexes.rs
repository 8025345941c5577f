//! Where in its file a message stands, and how that is written.

use prost::encoding::{decode_varint, encode_varint};

/// More levels than anyone nests messages, so that bytes that are none cannot ask for much.
const DEPTH_MAX: u64 = 64;

/// The place of a message among the file's, then among those inside it, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Indexes {
    path: Vec<i32>,
    bytes: Vec<u8>,
}

impl Indexes {
    pub(super) fn new(path: Vec<i32>) -> Self {
        let mut bytes = Vec::new();
        if path == [0] {
            // The file's first message is by far the most frequent one.
            put(0, &mut bytes);
        } else {
            put(path.len() as i64, &mut bytes);
            for at in &path {
                put(i64::from(*at), &mut bytes);
            }
        }
        Self { path, bytes }
    }

    /// The place itself.
    pub(super) fn path(&self) -> &[i32] {
        &self.path
    }

    /// The place as it is written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The place at the beginning of these bytes, and what comes after it.
    pub(super) fn take(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = bytes;
        let depth = u64::try_from(take(&mut rest)?)
            .ok()
            .filter(|depth| *depth <= DEPTH_MAX)?;
        let mut path = Vec::new();
        for _ in 0..depth {
            path.push(i32::try_from(take(&mut rest)?).ok()?);
        }
        if path.is_empty() {
            path.push(0);
        }
        Some((Self::new(path), rest))
    }
}

/// A signed number of variable length, as Kafka writes it (zigzag).
fn put(value: i64, out: &mut Vec<u8>) {
    encode_varint((value << 1 ^ value >> 63) as u64, out);
}

fn take(bytes: &mut &[u8]) -> Option<i64> {
    let raw = decode_varint(bytes).ok()?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &[i32], bytes: &[u8]) {
        let indexes = Indexes::new(path.to_vec());
        assert_eq!(indexes.bytes(), bytes);
        let with_message = [bytes, b"message"].concat();
        assert_eq!(Indexes::take(&with_message), Some((indexes, &b"message"[..])));
    }

    #[test]
    fn places_are_written_as_confluent_does() {
        check(&[0], &[0]);
        check(&[1], &[2, 2]);
        check(&[0, 0], &[4, 0, 0]);
        check(&[1, 0, 2], &[6, 2, 0, 4]);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bytes in [&[][..], &[1], &[2], &[0x7f; 9], &[0xff; 11]] {
            assert!(Indexes::take(bytes).is_none(), "{bytes:?}");
        }
    }
}
