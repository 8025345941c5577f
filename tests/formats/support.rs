//! Reading the vectors, and stores to try them on.

use bytes::Bytes;
use kstreams_store::{
    CacheBudget, Changelog, EngineKind, KeyRange, Kind, Logging, Order, Output, OutputError, OutputRecord,
    RecordContext, State, Storage, StoreSpec, TopicId, Write,
};
use kstreams_wire::{Headers, TopicName, TopicPartition};
use serde::Deserialize;
use serde_json::Value as Json;

/// A line of the file.
#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) input: Json,
    hex: Option<String>,
    pub(crate) versions: Vec<String>,
}

pub(crate) fn vectors() -> impl Iterator<Item = Vector> {
    let lines = include_str!("formats.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).expect("a vector a line"))
}

impl Vector {
    /// The bytes; empty where there are none.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.hex.as_deref().map(unhex).unwrap_or_default()
    }

    /// A text of the input.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.input[field]
            .as_str()
            .unwrap_or_else(|| panic!("{} has no text {field}", self.name))
    }

    /// A number of the input.
    pub(crate) fn number(&self, field: &str) -> i64 {
        self.input[field]
            .as_i64()
            .unwrap_or_else(|| panic!("{} has no number {field}", self.name))
    }

    /// Compares bytes with the vector's.
    pub(crate) fn is(&self, bytes: &[u8]) {
        assert_eq!(bytes, self.bytes(), "{}", self.name);
    }
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// A record of a changelog.
pub(crate) struct Sent {
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Headers,
}

/// Keeps what is sent to changelogs.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<Sent>);

impl Output for Kept {
    fn topic(&mut self, _: &TopicName) -> TopicId {
        TopicId(0)
    }

    fn partitions(&mut self, _: TopicId) -> Result<i32, OutputError> {
        Ok(4)
    }

    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), OutputError> {
        self.0.push(Sent {
            key: Bytes::copy_from_slice(record.key.unwrap_or_default()),
            value: record.value.map(Bytes::copy_from_slice),
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        });
        Ok(())
    }
}

/// A store in memory with its changelog.
pub(crate) struct Store {
    pub(crate) state: State,
    pub(crate) changelog: Kept,
    pub(crate) context: RecordContext,
}

impl Store {
    pub(crate) fn open(kind: Kind) -> Self {
        let spec = StoreSpec {
            name: "store".to_owned(),
            kind,
            engine: EngineKind::Memory,
            caching: false,
            logging: Logging::enabled(),
        };
        let changelog = Changelog::Own(TopicPartition::new("cl", 3));
        let state = Storage::in_memory().state(&spec, "0_3", Some(changelog), &CacheBudget::new(0));
        Self {
            state: state.expect("a store in memory opens"),
            changelog: Kept::default(),
            context: context(),
        }
    }

    /// The store, and what writing to it needs.
    pub(crate) fn parts(&mut self) -> (&mut State, Write<'_>) {
        let write = Write {
            output: &mut self.changelog,
            context: &self.context,
        };
        (&mut self.state, write)
    }

    /// Its rows.
    pub(crate) fn rows(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut range = self
            .state
            .range(&KeyRange::all(), Order::Forward)
            .expect("memory can be read");
        let mut rows = Vec::new();
        while let Some((key, value)) = range.next_entry().expect("memory can be read") {
            rows.push((key.to_vec(), value.to_vec()));
        }
        rows
    }
}

/// The context of the vectors.
pub(crate) fn context() -> RecordContext {
    RecordContext {
        topic: Some(TopicName::new("topic")),
        partition: 3,
        offset: 42,
        timestamp: 1000,
        headers: Headers::new(),
    }
}
