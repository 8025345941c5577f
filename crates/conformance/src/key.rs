//! Keys whose types a case chooses, with their serde.

use kstreams_topology::{Data, Serde, SerdeError, Window, Windowed};
use serde_json::{Value as Json, json};

/// A key as functions and processors see it, and the key of records without windows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Text(String),
    /// What a key in a window looks like. It is only looked at.
    InWindow {
        text: String,
        inner: String,
    },
}

/// The type of a stream's or table's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    Text,
    /// A string in a window of this size in milliseconds.
    Time(i64),
    /// A string in a session.
    Session,
}

/// A type that keys of a case may have: strings, or strings in windows.
pub(crate) trait CaseKey: Data + PartialEq {
    /// The key as functions see it.
    fn seen(&self) -> Key;

    fn to_json(&self) -> Json;

    /// The text by which the oracle sorts keys: their JSON, the fields in its order.
    fn ordinal(&self) -> String;

    fn write(&self, of: KeyType, out: &mut Vec<u8>);

    fn read(of: KeyType, bytes: &[u8]) -> Result<Self, SerdeError>;
}

impl Data for Key {}

impl Key {
    /// The whole key.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::InWindow { text, .. } => text,
        }
    }

    /// The key without its window.
    pub(crate) fn inner(&self) -> &str {
        match self {
            Self::Text(inner) | Self::InWindow { inner, .. } => inner,
        }
    }
}

impl CaseKey for Key {
    fn seen(&self) -> Self {
        self.clone()
    }

    fn to_json(&self) -> Json {
        json!(self.text())
    }

    fn ordinal(&self) -> String {
        self.to_json().to_string()
    }

    fn write(&self, _: KeyType, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }

    fn read(_: KeyType, bytes: &[u8]) -> Result<Self, SerdeError> {
        Ok(Self::Text(String::from_utf8_lossy(bytes).into_owned()))
    }
}

impl CaseKey for Windowed<Key> {
    fn seen(&self) -> Key {
        let inner = self.key.text().to_owned();
        let Window { start, end } = self.window;
        Key::InWindow {
            text: format!("{inner}@{start}/{end}"),
            inner,
        }
    }

    fn to_json(&self) -> Json {
        json!({"k": self.key.text(), "start": self.window.start, "end": self.window.end})
    }

    fn ordinal(&self) -> String {
        let Window { start, end } = self.window;
        format!("{{\"k\":{},\"start\":{start},\"end\":{end}}}", self.key.ordinal())
    }

    fn write(&self, of: KeyType, out: &mut Vec<u8>) {
        self.key.write(KeyType::Text, out);
        if of == KeyType::Session {
            out.extend_from_slice(&self.window.end.to_be_bytes());
        }
        out.extend_from_slice(&self.window.start.to_be_bytes());
    }

    fn read(of: KeyType, bytes: &[u8]) -> Result<Self, SerdeError> {
        let short = || SerdeError::new("bytes to a windowed key: too few");
        let (rest, start) = bytes.split_last_chunk().ok_or_else(short)?;
        let start = i64::from_be_bytes(*start);
        let (rest, end) = match of {
            KeyType::Text => return Err(SerdeError::new("a text is no windowed key")),
            KeyType::Time(size) => (rest, start.saturating_add(size)),
            KeyType::Session => {
                let (rest, end) = rest.split_last_chunk().ok_or_else(short)?;
                (rest, i64::from_be_bytes(*end))
            }
        };
        Ok(Self::new(Key::read(KeyType::Text, rest)?, Window::new(start, end)))
    }
}

/// What functions see of a key that may be none.
pub(crate) fn seen<K: CaseKey>(key: Option<&K>) -> Option<Key> {
    key.map(CaseKey::seen)
}

/// The bytes of a key as JSON.
pub(crate) fn decoded(of: KeyType, bytes: &[u8]) -> Result<Json, SerdeError> {
    Ok(match of {
        KeyType::Text => Key::read(of, bytes)?.to_json(),
        _ => Windowed::<Key>::read(of, bytes)?.to_json(),
    })
}

/// Reads and writes keys of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySerde(pub(crate) KeyType);

impl<K: CaseKey> Serde<K> for KeySerde {
    fn serialize(&self, _: &str, key: &K, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        key.write(self.0, out);
        Ok(())
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<K, SerdeError> {
        K::read(self.0, bytes)
    }
}
