//! Settings under Kafka Streams' own keys: collected as text, checked once, then trusted as types.
//!
//! A [`StreamsConfig`] collects keys and values from code, a `.properties` file and the environment; whatever is set
//! later wins. [`Settings::parse`] turns it into types or into an error that names key, value and what is allowed.
//!
//! * [`keys`]: the table of keys
//! * [`properties`]: the file format
//! * [`settings`]: the types, by concern
//! * [`clients`]: what is handed to the embedded clients, and the prefixes

pub mod clients;
mod duration;
pub mod error;
pub mod keys;
pub mod properties;
pub mod settings;

use std::collections::BTreeMap;
use std::path::Path;

pub use error::ConfigError;
use kstreams_store::RocksDbOptions;
pub use settings::{CommitSettings, Guarantee, Settings, StateSettings, ThreadSettings, TopicSettings};

/// The start of the environment variables that are settings: `KSTREAMS_COMMIT_INTERVAL_MS` is `commit.interval.ms`.
pub const ENVIRONMENT_PREFIX: &str = "KSTREAMS_";

/// Settings as text, under Kafka's keys. Nothing is checked before [`StreamsConfig::check`] or the start.
///
/// ```
/// use kstreams_runtime::StreamsConfig;
///
/// let config = StreamsConfig::new("word-count", "localhost:9092")
///     .set("num.stream.threads", 2)
///     .environment(std::env::vars());
/// config.check()?;
/// # Ok::<(), kstreams_runtime::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamsConfig {
    values: BTreeMap<String, String>,
    rocksdb: RocksDbOptions,
}

impl StreamsConfig {
    /// The two settings without which nothing starts.
    pub fn new(application_id: &str, bootstrap_servers: &str) -> Self {
        Self::default()
            .set(keys::APPLICATION_ID, application_id)
            .set(keys::BOOTSTRAP_SERVERS, bootstrap_servers)
    }

    /// Settings from a `.properties` file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::default().file(path)
    }

    /// Sets one key; the last value wins.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.values.insert(key.to_owned(), value.to_string());
        self
    }

    /// Changes the options with which stores in RocksDB are opened: Kafka Streams' `rocksdb.config.setter`.
    #[must_use]
    pub fn rocksdb(mut self, options: RocksDbOptions) -> Self {
        self.rocksdb = options;
        self
    }

    /// Sets one key unless it has a value.
    #[must_use]
    pub fn set_default(mut self, key: &str, value: impl ToString) -> Self {
        self.values.entry(key.to_owned()).or_insert_with(|| value.to_string());
        self
    }

    /// Adds the settings of a `.properties` file.
    pub fn file(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            path: path.display().to_string(),
            source,
        })?;
        self.values.extend(properties::parse(&text));
        Ok(self)
    }

    /// Adds every variable that begins with `KSTREAMS_`. The variables come in by parameter: `std::env::vars()`.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, value) in variables {
            if let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                self.values.insert(keys::from_variable(rest), value);
            }
        }
        self
    }

    /// The value of a key, as it was set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// All keys and values.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Whether everything is known and good.
    pub fn check(&self) -> Result<(), ConfigError> {
        Settings::parse(self).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
