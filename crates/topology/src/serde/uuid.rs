//! Universally unique ids, as Kafka writes them.

use std::str::FromStr;

use super::{DefaultSerde, Serde, SerdeError};
use crate::exception::{Exception, ILLEGAL_ARGUMENT};

/// How many characters the text of an id has.
const LENGTH: usize = 36;

/// A universally unique id, sent as its 36 lower-case characters: Java's `UUIDSerializer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub u128);

impl std::fmt::Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = format!("{:032x}", self.0);
        let (a, rest) = hex.split_at(8);
        let (b, rest) = rest.split_at(4);
        let (c, rest) = rest.split_at(4);
        let (d, e) = rest.split_at(4);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

impl FromStr for Uuid {
    type Err = SerdeError;

    fn from_str(text: &str) -> Result<Self, SerdeError> {
        let hyphens = text.bytes().enumerate().filter(|(_, b)| *b == b'-').map(|(at, _)| at);
        if text.len() != LENGTH || !hyphens.eq([8, 13, 18, 23]) {
            return Err(invalid(text));
        }
        let mut value = 0;
        for digit in text.chars().filter(|char| *char != '-') {
            value = value << 4 | u128::from(digit.to_digit(16).ok_or_else(|| invalid(text))?);
        }
        Ok(Self(value))
    }
}

fn invalid(text: &str) -> SerdeError {
    let cause = Exception::new(ILLEGAL_ARGUMENT, format!("Invalid UUID string: {text}"));
    let thrown = Exception::serialization("Error parsing data into UUID").caused_by(cause);
    SerdeError::new("bytes to a UUID: 36 characters expected").as_java(thrown)
}

/// The 36 characters of a [`Uuid`].
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidSerde;

impl Serde<Uuid> for UuidSerde {
    fn serialize(&self, _: &str, value: &Uuid, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.to_string().as_bytes());
        Ok(())
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<Uuid, SerdeError> {
        // What is no text becomes one with replacement characters, as in Java, and so no UUID.
        String::from_utf8_lossy(bytes).parse()
    }

    fn entry_bytes(&self) -> Option<usize> {
        Some(LENGTH)
    }
}

impl DefaultSerde for Uuid {
    type Serde = UuidSerde;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let text = "123e4567-e89b-12d3-a456-426614174000";
        let uuid = text.parse::<Uuid>().expect("it is one");
        assert_eq!(uuid.to_string(), text);
        assert_eq!(uuid.0, 0x123e_4567_e89b_12d3_a456_4266_1417_4000);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "no uuid",
            "",
            "+23e4567-e89b-12d3-a456-426614174000",
            "123e4567-e89b-12d3-a456-4266141740zz",
        ] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
        assert!(UuidSerde.deserialize("t", &[0xff; 36]).is_err());
    }
}
