//! Record headers: an ordered list in which keys may repeat.

use bytes::Bytes;

/// One header of a record. Kafka's keys are UTF-8 by convention; bytes are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub key: Bytes,
    /// The header's value, which may be null.
    pub value: Option<Bytes>,
}

/// The headers of a record, in order. An empty list allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a header; one of the same name may already be there.
    pub fn push(&mut self, key: impl Into<Bytes>, value: Option<Bytes>) {
        self.0.push(Header { key: key.into(), value });
    }

    /// The last header of this name.
    pub fn last(&self, key: &[u8]) -> Option<&Header> {
        self.0.iter().rev().find(|header| header.key == key)
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, key: &[u8]) {
        self.0.retain(|header| header.key != key);
    }

    /// The headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<T: IntoIterator<Item = Header>>(headers: T) -> Self {
        Self(headers.into_iter().collect())
    }
}
