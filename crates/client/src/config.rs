//! Kafka's configuration keys as types: what is common to all handles of a client.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A configuration value that is not usable: names the key, the value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}={value}: {allowed}")]
pub struct ConfigError {
    /// The key.
    pub key: String,
    /// The value that was given.
    pub value: String,
    /// What is allowed instead.
    pub allowed: String,
}

/// How to reach the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// `bootstrap.servers`: the first brokers to contact.
    pub bootstrap: Vec<Address>,
    /// `client.id`: how this client names itself in requests.
    pub client_id: String,
    /// `request.timeout.ms`: after this long without an answer a connection counts as broken.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`: how long blocking calls without a limit of their own wait.
    pub api_timeout: Duration,
    /// `socket.connection.setup.timeout.ms`: how long connecting may take.
    pub connect_timeout: Duration,
    /// `reconnect.backoff.ms`: the first pause before connecting again.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`: the longest pause before connecting again.
    pub reconnect_backoff_max: Duration,
    /// `retry.backoff.ms`: the first pause before a request is repeated.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the longest pause before a request is repeated.
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`: metadata is asked for again at this age.
    pub metadata_age_max: Duration,
    /// `connections.max.idle.ms`: a connection that is not used for this long is closed.
    pub idle_max: Duration,
}

/// Host and port of a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Address {
    /// As answers of brokers give it.
    pub(crate) fn of(host: &str, port: i32) -> Self {
        Self {
            host: host.to_owned(),
            port: u16::try_from(port).unwrap_or(0),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl ClientConfig {
    /// The keys read by [`ClientConfig::from_properties`].
    pub const KEYS: &[&str] = &[
        "bootstrap.servers",
        "client.id",
        "connections.max.idle.ms",
        "default.api.timeout.ms",
        "metadata.max.age.ms",
        "reconnect.backoff.max.ms",
        "reconnect.backoff.ms",
        "request.timeout.ms",
        "retry.backoff.max.ms",
        "retry.backoff.ms",
        "security.protocol",
        "socket.connection.setup.timeout.ms",
    ];

    /// Reads Kafka's keys, with Kafka's defaults. Keys that are not in [`ClientConfig::KEYS`] are the caller's concern.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let p = Properties::new(properties);
        p.one_of("security.protocol", "PLAINTEXT", &["PLAINTEXT"])?;
        Ok(Self {
            bootstrap: bootstrap(&p)?,
            client_id: p.text("client.id", "kstreams"),
            request_timeout: p.millis("request.timeout.ms", 30_000)?,
            api_timeout: p.millis("default.api.timeout.ms", 60_000)?,
            connect_timeout: p.millis("socket.connection.setup.timeout.ms", 10_000)?,
            reconnect_backoff: p.millis("reconnect.backoff.ms", 50)?,
            reconnect_backoff_max: p.millis("reconnect.backoff.max.ms", 1_000)?,
            retry_backoff: p.millis("retry.backoff.ms", 100)?,
            retry_backoff_max: p.millis("retry.backoff.max.ms", 1_000)?,
            metadata_age_max: p.millis("metadata.max.age.ms", 300_000)?,
            idle_max: p.millis("connections.max.idle.ms", 540_000)?,
        })
    }
}

fn bootstrap(properties: &Properties<'_>) -> Result<Vec<Address>, ConfigError> {
    const KEY: &str = "bootstrap.servers";
    const ALLOWED: &str = "must be a list of host:port, separated by commas";
    let text = properties.text(KEY, "");
    let mut servers = Vec::new();
    for server in text.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        let server = server.rsplit_once("://").map_or(server, |(_, rest)| rest);
        let (host, port) = server.rsplit_once(':').ok_or_else(|| properties.bad(KEY, ALLOWED))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| properties.bad(KEY, ALLOWED))?;
        if host.is_empty() {
            return Err(properties.bad(KEY, ALLOWED));
        }
        servers.push(Address {
            host: host.to_owned(),
            port,
        });
    }
    if servers.is_empty() {
        return Err(properties.bad(KEY, ALLOWED));
    }
    Ok(servers)
}

/// Whoever asks for more means for ever, and clocks do not reach that far.
const FOREVER_MS: u64 = 10 * 365 * 24 * 3_600_000;

/// Typed reading of text properties.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Properties<'a>(&'a BTreeMap<String, String>);

impl<'a> Properties<'a> {
    pub(crate) fn new(properties: &'a BTreeMap<String, String>) -> Self {
        Self(properties)
    }

    pub(crate) fn text(&self, key: &str, default: &str) -> String {
        self.0.get(key).map_or(default, |value| value.trim()).to_owned()
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// A time span in milliseconds.
    pub(crate) fn millis(&self, key: &str, default: u64) -> Result<Duration, ConfigError> {
        let millis = self.number(key, default, 0..=i64::MAX as u64)?;
        Ok(Duration::from_millis(millis.min(FOREVER_MS)))
    }

    pub(crate) fn number<N>(&self, key: &str, default: N, range: std::ops::RangeInclusive<N>) -> Result<N, ConfigError>
    where
        N: std::str::FromStr + PartialOrd + fmt::Display,
    {
        let Some(text) = self.0.get(key) else {
            return Ok(default);
        };
        let allowed = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let number = text.trim().parse().map_err(|_| self.bad(key, &allowed()))?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(self.bad(key, &allowed()))
        }
    }

    pub(crate) fn boolean(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self
            .0
            .get(key)
            .map(|value| value.trim().to_ascii_lowercase())
            .as_deref()
        {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(self.bad(key, "must be true or false")),
        }
    }

    /// One of a closed set of words; the answer is the word as listed.
    pub(crate) fn one_of<'w>(&self, key: &str, default: &'w str, words: &[&'w str]) -> Result<&'w str, ConfigError> {
        let Some(text) = self.0.get(key) else {
            return Ok(default);
        };
        let found = words
            .iter()
            .copied()
            .find(|word| word.eq_ignore_ascii_case(text.trim()));
        found.ok_or_else(|| self.bad(key, &format!("must be one of {}", words.join(", "))))
    }

    pub(crate) fn bad(&self, key: &str, allowed: &str) -> ConfigError {
        ConfigError {
            key: key.to_owned(),
            value: self.text(key, ""),
            allowed: allowed.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<ClientConfig, ConfigError> {
        let properties = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        ClientConfig::from_properties(&properties)
    }

    #[test]
    fn servers_are_a_list_with_hosts_of_every_kind() {
        let config = config(&[("bootstrap.servers", "one:1, [::1]:2 ,PLAINTEXT://three:3")]).unwrap();
        let texts: Vec<_> = config.bootstrap.iter().map(Address::to_string).collect();
        assert_eq!(texts, ["one:1", "[::1]:2", "three:3"]);
    }

    #[test]
    fn a_bad_value_names_key_value_and_what_is_allowed() {
        let bad = |key, value| {
            config(&[("bootstrap.servers", "a:1"), (key, value)])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            bad("bootstrap.servers", "a"),
            "bootstrap.servers=a: must be a list of host:port, separated by commas"
        );
        assert_eq!(
            bad("security.protocol", "SSL"),
            "security.protocol=SSL: must be one of PLAINTEXT"
        );
        assert!(bad("request.timeout.ms", "-1").starts_with("request.timeout.ms=-1: must be a whole number from 0 to"));
    }
}
