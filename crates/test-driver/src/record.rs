//! Records as tests write them.

use kstreams_wire::Headers;

/// A record that goes into a topic or came out of one.
#[derive(Clone, Debug)]
pub struct TestRecord<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// Milliseconds. Going in, `None` is the input topic's clock; coming out, `None` leaves it to the producer's clock.
    pub timestamp: Option<i64>,
    /// The headers.
    pub headers: Headers,
}

/// A record without headers, whose time the topic's clock gives.
pub fn record<K, V>(key: K, value: V) -> TestRecord<K, V> {
    TestRecord {
        key,
        value,
        timestamp: None,
        headers: Headers::new(),
    }
}

impl<K, V> TestRecord<K, V> {
    /// The same record at this time, in milliseconds.
    pub fn at(self, timestamp: i64) -> Self {
        Self {
            timestamp: Some(timestamp),
            ..self
        }
    }

    /// The same record with one more header.
    pub fn header(mut self, key: &str, value: &str) -> Self {
        let value = bytes::Bytes::copy_from_slice(value.as_bytes());
        self.headers
            .push(bytes::Bytes::copy_from_slice(key.as_bytes()), Some(value));
        self
    }
}

impl<K, V> From<(K, V)> for TestRecord<K, V> {
    fn from((key, value): (K, V)) -> Self {
        record(key, value)
    }
}

/// Records compare across types that compare, so that a test may write `record("k", 1)` for a `String` key.
impl<K, V, K2, V2> PartialEq<TestRecord<K2, V2>> for TestRecord<K, V>
where
    K: PartialEq<K2>,
    V: PartialEq<V2>,
{
    fn eq(&self, other: &TestRecord<K2, V2>) -> bool {
        self.key == other.key
            && self.value == other.value
            && self.timestamp == other.timestamp
            && self.headers == other.headers
    }
}
