//! What is committed along with an offset, as text: the partition's time, and what processors want to remember.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The metadata of a committed offset, in Java's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetMetadata {
    /// The largest timestamp taken from the partition; −1 if unknown.
    pub partition_time: i64,
    /// What processors remember, such as the last window that was closed.
    pub processors: BTreeMap<String, i64>,
}

const VERSION: u8 = 2;
const VERSION_TIME_ONLY: u8 = 1;

impl OffsetMetadata {
    /// Nothing known.
    pub const UNKNOWN: Self = Self {
        partition_time: -1,
        processors: BTreeMap::new(),
    };

    /// A partition time without anything else.
    pub fn at(partition_time: i64) -> Self {
        Self {
            partition_time,
            ..Self::UNKNOWN
        }
    }

    /// The text to commit.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.partition_time.to_be_bytes());
        if !self.processors.is_empty() {
            bytes.extend(length(self.processors.len()).to_be_bytes());
            for (key, value) in &self.processors {
                bytes.extend(length(key.len()).to_be_bytes());
                bytes.extend(key.as_bytes());
                bytes.extend(value.to_be_bytes());
            }
        }
        STANDARD.encode(bytes)
    }

    /// What the text says. Text that nobody of ours wrote says nothing, with a warning: it must not stop a task.
    pub fn decode(text: &str) -> Self {
        if text.is_empty() {
            return Self::UNKNOWN;
        }
        let bytes = STANDARD.decode(text).unwrap_or_default();
        Self::read(&bytes).unwrap_or_else(|| {
            tracing::warn!(metadata = text, "unreadable offset metadata ignored");
            Self::UNKNOWN
        })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (time, mut rest) = rest.split_first_chunk()?;
        let mut metadata = Self::at(i64::from_be_bytes(*time));
        match *version {
            VERSION_TIME_ONLY => return Some(metadata),
            VERSION => {}
            _ => return None,
        }
        if rest.is_empty() {
            return Some(metadata);
        }
        for _ in 0..take_i32(&mut rest)? {
            let length = usize::try_from(take_i32(&mut rest)?).ok()?;
            let (key, after) = rest.split_at_checked(length)?;
            let (value, after) = after.split_first_chunk()?;
            let key = std::str::from_utf8(key).ok()?;
            metadata.processors.insert(key.to_owned(), i64::from_be_bytes(*value));
            rest = after;
        }
        Some(metadata)
    }
}

fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(i32::from_be_bytes(*number))
}

fn length(of: usize) -> i32 {
    i32::try_from(of).expect("offset metadata is limited to kilobytes by the broker")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_store(time: i64) -> OffsetMetadata {
        OffsetMetadata {
            partition_time: time,
            processors: BTreeMap::from([("store".to_owned(), 900)]),
        }
    }

    #[test]
    fn texts_are_javas() {
        for (metadata, text) in [
            (OffsetMetadata::at(1000), "AgAAAAAAAAPo"),
            (OffsetMetadata::UNKNOWN, "Av//////////"),
            (with_store(1000), "AgAAAAAAAAPoAAAAAQAAAAVzdG9yZQAAAAAAAAOE"),
        ] {
            assert_eq!(metadata.encode(), text);
            assert_eq!(OffsetMetadata::decode(text), metadata);
        }
    }

    #[test]
    fn the_first_version_is_read() {
        assert_eq!(OffsetMetadata::decode("AQAAAAAAAAPo"), OffsetMetadata::at(1000));
    }

    #[test]
    fn foreign_text_says_nothing() {
        for text in ["", "a note of somebody", "BwAAAAAAAAPo", "Ag==", "AgAAAAAAAAPoAAAAAQAA"] {
            assert_eq!(OffsetMetadata::decode(text), OffsetMetadata::UNKNOWN, "{text}");
        }
    }
}
