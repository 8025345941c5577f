//! Changelog records, as they are written and read back.

use kstreams_wire::Headers;

/// No headers, for records that have none.
pub(crate) static NO_HEADERS: Headers = Headers::new();

/// A record of a changelog from which a store is restored. A key, a value and a timestamp make one where the rest does not
/// matter.
#[derive(Clone, Copy, Debug)]
pub struct ChangelogRecord<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; `None` is a deletion.
    pub value: Option<&'a [u8]>,
    /// The timestamp.
    pub timestamp: i64,
    /// The offset in the changelog.
    pub offset: i64,
    /// The headers.
    pub headers: &'a Headers,
}

impl<'a> From<(&'a [u8], Option<&'a [u8]>, i64)> for ChangelogRecord<'a> {
    fn from((key, value, timestamp): (&'a [u8], Option<&'a [u8]>, i64)) -> Self {
        Self {
            key,
            value,
            timestamp,
            offset: -1,
            headers: &NO_HEADERS,
        }
    }
}

/// The name of the header that says in which format a suppression buffer's changelog record is.
pub(crate) const FORMAT_HEADER: &str = "v";

/// What a store sends to its changelog.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logged<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
    /// `None` lets the producer take its clock.
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: &'a Headers,
}
