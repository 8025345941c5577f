//! What can be wrong with a configuration.

/// Why a configuration was refused. Every message names the key, its value and what is allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A required key has no value.
    #[error("{key} is required and was not set: {allowed}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What it takes.
        allowed: &'static str,
    },
    /// The value is none that the key takes.
    #[error("{key}={value:?} is not allowed: expected {allowed}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What it takes.
        allowed: String,
    },
    /// No such key.
    #[error("{key}={value:?} is unknown: {allowed}")]
    Unknown {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// The nearest keys that exist, or where keys of that prefix are listed.
        allowed: String,
    },
    /// A key of Kafka Streams whose feature this version does not have.
    #[error("{key}={value:?} is not supported by this version: {reason}")]
    NotBuilt {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is missing, and what is allowed instead.
        reason: String,
    },
    /// The file could not be read.
    #[error("could not read the configuration file {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An embedded client refused a setting.
    #[error("a client setting was refused")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}
