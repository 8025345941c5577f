//! What a store says of itself, among its entries.
//!
//! It is one entry of the keyspace that has the others: only so are they always flushed together, and a loss of power leaves
//! an offset that belongs to what it leaves of the entries.

use std::collections::BTreeMap;

use crate::engine::Batch;
use crate::spec::ChangelogId;

/// Its key. No entry of the store has it ([`stored_key`](super::stored_key)), and it is before all others.
pub(super) const KEY: &[u8] = &[0];

/// What the value begins with.
const MAGIC: &[u8] = b"kstreams-1";
const NOTHING: &[u8] = &[];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) format: String,
    /// The changelog that offset and id belong to: of another one they mean nothing.
    changelog: String,
    offset: Option<i64>,
    changelog_id: Option<ChangelogId>,
    pub(super) positions: BTreeMap<String, i64>,
}

impl Said {
    pub(super) fn of_a_new_store(format: &str, changelog: &str) -> Self {
        Self {
            format: format.to_owned(),
            changelog: changelog.to_owned(),
            ..Self::default()
        }
    }

    /// The same of a store that may have been given another changelog.
    pub(super) fn with_changelog(self, changelog: &str) -> Self {
        if self.changelog == changelog {
            return self;
        }
        Self {
            positions: self.positions,
            ..Self::of_a_new_store(&self.format, changelog)
        }
    }

    /// The same after a batch.
    pub(super) fn after(&self, batch: &Batch<'_>) -> Self {
        let mut said = self.clone();
        said.offset = batch.offset.or(said.offset);
        said.changelog_id = batch.changelog_id.or(said.changelog_id);
        said.positions.extend(batch.positions.iter().cloned());
        said
    }

    pub(super) fn offset(&self) -> Option<i64> {
        self.offset
    }

    pub(super) fn changelog_id(&self) -> Option<ChangelogId> {
        self.changelog_id
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        put(&mut bytes, self.format.as_bytes());
        put(&mut bytes, self.changelog.as_bytes());
        put(
            &mut bytes,
            self.offset
                .map(i64::to_be_bytes)
                .as_ref()
                .map_or(NOTHING, |offset| offset),
        );
        put(
            &mut bytes,
            self.changelog_id.as_ref().map_or(NOTHING, |ChangelogId(id)| id),
        );
        for (partition, position) in &self.positions {
            put(&mut bytes, partition.as_bytes());
            put(&mut bytes, &position.to_be_bytes());
        }
        bytes
    }

    /// `None` of bytes that are something else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes.strip_prefix(MAGIC)?;
        let mut said = Self {
            format: text(rest)?,
            changelog: text(rest)?,
            offset: number(take(rest)?),
            changelog_id: take(rest)?.try_into().ok().map(ChangelogId),
            positions: BTreeMap::new(),
        };
        while !rest.is_empty() {
            said.positions.insert(text(rest)?, number(take(rest)?)?);
        }
        Some(said)
    }
}

/// Some bytes behind their length.
fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    to.extend_from_slice(bytes);
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *from = rest;
    Some(bytes)
}

fn text(from: &mut &[u8]) -> Option<String> {
    String::from_utf8(take(from)?.to_vec()).ok()
}

fn number(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said {
            offset: Some(7),
            changelog_id: Some(ChangelogId([3; 16])),
            positions: BTreeMap::from([("t-0".to_owned(), 1), ("t-1".to_owned(), i64::MAX)]),
            ..Said::of_a_new_store("1:plain", "log-0")
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        for said in [said(), Said::default()] {
            let bytes = said.encode();
            assert_eq!(Said::decode(&bytes), Some(said));
            for end in MAGIC.len()..MAGIC.len() + 16 {
                assert_eq!(Said::decode(&bytes[..end]), None, "{end} bytes of it");
            }
        }
        assert_eq!(Said::decode(b"a user's value"), None);
    }

    #[test]
    fn another_changelog_has_another_offset() {
        assert_eq!(said().with_changelog("log-0"), said());
        let other = said().with_changelog("log-1");
        assert_eq!((other.offset(), other.changelog_id()), (None, None));
        assert_eq!(other.positions, said().positions);
        assert_eq!(other.format, "1:plain");
    }
}
