//! The bytes of a table's change, as it travels through the repartition topic of a re-grouped table.

use kstreams_topology::{Change, Data, Serde, SerdeError};

use crate::option::SharedSerde;

/// Java's `ChangedSerde`: the values, the length of the new one before them if both are there, and last a byte that says
/// which are.
pub(super) struct ChangeSerde<V>(pub(super) SharedSerde<V>);

const OLD: u8 = 0;
const NEW: u8 = 1;
const BOTH: u8 = 2;

impl<V: Data> Serde<Change<V>> for ChangeSerde<V> {
    fn serialize(&self, topic: &str, change: &Change<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match (&change.new, &change.old) {
            (None, None) => Err(SerdeError::new("a change from nothing to nothing")),
            (Some(value), None) => self.tagged(topic, value, NEW, out),
            (None, Some(value)) => self.tagged(topic, value, OLD, out),
            (Some(new), Some(old)) => {
                let mut bytes = Vec::new();
                self.0.serialize(topic, new, &mut bytes)?;
                put_varint(bytes.len(), out);
                out.extend_from_slice(&bytes);
                self.tagged(topic, old, BOTH, out)
            }
        }
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<Change<V>, SerdeError> {
        let invalid = || SerdeError::new(format!("{} bytes to a change", bytes.len()));
        let (tag, values) = bytes.split_last().ok_or_else(invalid)?;
        // Later Java versions may write, before the last byte, whether the change is the row's latest version.
        let (tag, values, is_latest) = match tag {
            3..=5 => {
                let (latest, values) = values.split_last().ok_or_else(invalid)?;
                (tag - 3, values, *latest == 1)
            }
            _ => (*tag, values, true),
        };
        let read = |bytes: &[u8]| self.0.deserialize(topic, bytes).map(Some);
        let (new, old) = match tag {
            OLD => (None, read(values)?),
            NEW => (read(values)?, None),
            BOTH => {
                let (new, old) = split_at_length(values).ok_or_else(invalid)?;
                (read(new)?, read(old)?)
            }
            _ => return Err(invalid()),
        };
        Ok(Change { new, old, is_latest })
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.0.prepare(topic)
    }
}

impl<V: Data> ChangeSerde<V> {
    fn tagged(&self, topic: &str, value: &V, tag: u8, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.0.serialize(topic, value, out)?;
        out.push(tag);
        Ok(())
    }
}

/// A length as Kafka's signed variable-length integer.
fn put_varint(length: usize, out: &mut Vec<u8>) {
    let mut rest = length << 1;
    while rest > 0x7f {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// What stands behind a length: as many bytes as it says, and the rest.
fn split_at_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut doubled = 0;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        doubled |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return bytes.get(at + 1..)?.split_at_checked(doubled >> 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kstreams_topology::serde::StringSerde;

    use super::*;

    fn check(new: Option<&str>, old: Option<&str>, expected: &[u8]) {
        let serde = ChangeSerde(Arc::new(StringSerde));
        let change = Change {
            new: new.map(str::to_owned),
            old: old.map(str::to_owned),
            is_latest: true,
        };
        let mut bytes = Vec::new();
        serde
            .serialize("t", &change, &mut bytes)
            .expect("strings can be written");
        assert_eq!(bytes, expected);
        assert_eq!(
            serde.deserialize("t", &bytes).expect("its own bytes can be read"),
            change
        );
    }

    #[test]
    fn bytes_are_javas() {
        check(Some("n"), Some("old"), b"\x02nold\x02");
        check(None, Some("old"), b"old\x00");
        check(Some("n"), None, b"n\x01");
        let long = "x".repeat(64);
        check(Some(&long), Some(""), &[b"\x80\x01", long.as_bytes(), b"\x02"].concat());
    }

    /// All vectors of changes, see `tests/formats`. Those that are only decoded are never written.
    #[test]
    fn every_vector_of_changes_is_ours() {
        let lines = include_str!("../../../../tests/formats/formats.jsonl").lines();
        let vectors = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a vector a line"));
        let field = |vector: &serde_json::Value, field: &str| vector.get(field).cloned().unwrap_or_default();
        let mut checked = 0;
        for vector in vectors {
            let name = field(&vector, "name");
            let name = name.as_str().unwrap_or_default();
            if !name.starts_with("changed.") {
                continue;
            }
            let (input, hex) = (field(&vector, "input"), field(&vector, "hex"));
            let text = |name: &str| {
                field(&input, name)
                    .as_str()
                    .map(|text| text.replace("x*64", &"x".repeat(64)))
            };
            let change = Change {
                new: text("new"),
                old: text("old"),
                is_latest: field(&input, "isLatest").as_bool().unwrap_or(true),
            };
            let bytes = unhex(hex.as_str().unwrap_or_default());
            let serde = ChangeSerde(Arc::new(StringSerde));
            let read = serde.deserialize("t", &bytes).expect("Java's bytes can be read");
            assert_eq!(read, change, "{name}");
            if !name.starts_with("changed.decode.") {
                let mut written = Vec::new();
                serde
                    .serialize("t", &change, &mut written)
                    .expect("texts can be written");
                assert_eq!(written, bytes, "{name}");
            }
            checked += 1;
        }
        assert_eq!(checked, 14);
    }

    fn unhex(hex: &str) -> Vec<u8> {
        let digits = |at| u8::from_str_radix(hex.get(at..at + 2).unwrap_or_default(), 16);
        let bytes = (0..hex.len()).step_by(2).map(digits);
        bytes.collect::<Result<_, _>>().expect("pairs of digits")
    }

    #[test]
    fn bytes_of_no_change_are_refused() {
        let serde = ChangeSerde::<String>(Arc::new(StringSerde));
        for bytes in [&b""[..], b"a\x09", b"\x80\x80\x80\x80\x80\x02", b"\x08ab\x02"] {
            assert!(serde.deserialize("t", bytes).is_err(), "{bytes:?}");
        }
    }
}
