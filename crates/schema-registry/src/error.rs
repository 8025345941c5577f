//! What can go wrong with schemas and their registry.

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a schema could not be had, or a value not be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The certificates for the registry could not be read.
    #[error("could not read the root certificates for the schema registry")]
    Certificates(#[source] Box<ureq::Error>),
    /// No answer from the registry.
    #[error("could not {what} at the schema registry {url}")]
    Unreachable {
        /// What was to be done.
        what: String,
        /// The registry.
        url: String,
        /// What the network said.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The registry said no.
    #[error("could not {what}: the schema registry answered {status}, {message}")]
    Refused {
        /// What was to be done.
        what: String,
        /// The registry's own number, or the HTTP status.
        status: u32,
        /// The registry's words.
        message: String,
    },
    /// The registry's answer makes no sense.
    #[error("could not {what}: the schema registry's answer is not understood")]
    Answer {
        /// What was to be done.
        what: String,
        /// What is wrong with the answer.
        #[source]
        source: serde_json::Error,
    },
    /// A schema cannot be used.
    #[error("schema {name} is not usable: {problem}")]
    Schema {
        /// The schema: what it defines, or its id.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    /// Whether the registry is certain that there is no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        // 404, and the registry's own numbers 40401 (subject), 40402 (version) and 40403 (schema).
        matches!(self, Self::Refused { status, .. } if *status == 404 || status / 100 == 404)
    }
}
