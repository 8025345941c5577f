//! Requests to the registry, and its answers.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// How often a request is sent before it counts as failed.
const ATTEMPTS: u32 = 3;
/// How long to wait after the first failure; twice as long after the next.
const PAUSE: Duration = Duration::from_millis(100);

/// The registry's servers, and how to talk to them.
pub(crate) struct Http {
    urls: Vec<String>,
    agent: ureq::Agent,
    authorization: Option<String>,
}

/// What the registry says when it refuses.
#[derive(Deserialize)]
struct Refusal {
    error_code: u32,
    message: String,
}

/// An answer, or a reason to try again.
enum Attempt {
    Answered { status: u16, body: String },
    Failed(Error),
}

impl Http {
    pub(crate) fn new(urls: &str, agent: ureq::Agent, authorization: Option<String>) -> Self {
        let urls = urls.split(',').map(|url| url.trim().trim_end_matches('/').to_owned());
        Self {
            urls: urls.collect(),
            agent,
            authorization,
        }
    }

    /// The registry's servers, for errors and logs.
    pub(crate) fn urls(&self) -> String {
        self.urls.join(",")
    }

    /// Asks with a GET, or with a POST if there is a body. `what` says in errors what was to be done.
    pub(crate) fn ask<T: DeserializeOwned>(&self, what: &str, path: &str, body: Option<&str>) -> Result<T> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match self.ask_all(what, path, body) {
                Attempt::Answered { status, body } if !is_passing(status) => return parse(what, status, &body),
                _ => std::thread::sleep(pause),
            }
            pause *= 2;
        }
        match self.ask_all(what, path, body) {
            Attempt::Answered { status, body } => parse(what, status, &body),
            Attempt::Failed(error) => Err(error),
        }
    }

    /// The answer of the first server that gives one.
    fn ask_all(&self, what: &str, path: &str, body: Option<&str>) -> Attempt {
        let mut last = None;
        for url in &self.urls {
            match self.send(&format!("{url}{path}"), body) {
                Ok((status, body)) => return Attempt::Answered { status, body },
                Err(source) => {
                    last = Some(Error::Unreachable {
                        what: what.to_owned(),
                        url: url.clone(),
                        source: Box::new(source),
                    });
                }
            }
        }
        Attempt::Failed(last.expect("splitting gives at least one part"))
    }

    fn send(&self, url: &str, body: Option<&str>) -> Result<(u16, String), ureq::Error> {
        const CONTENT: &str = "application/vnd.schemaregistry.v1+json";
        let mut response = match body {
            None => {
                let request = self.agent.get(url).header("Accept", CONTENT);
                match &self.authorization {
                    Some(authorization) => request.header("Authorization", authorization).call()?,
                    None => request.call()?,
                }
            }
            Some(body) => {
                let request = self.agent.post(url).header("Accept", CONTENT);
                let request = request.header("Content-Type", CONTENT);
                match &self.authorization {
                    Some(authorization) => request.header("Authorization", authorization).send(body)?,
                    None => request.send(body)?,
                }
            }
        };
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    }
}

/// Whether the same request may be answered well a moment later.
fn is_passing(status: u16) -> bool {
    status >= 500 || status == 429
}

fn parse<T: DeserializeOwned>(what: &str, status: u16, body: &str) -> Result<T> {
    if !(200..300).contains(&status) {
        let refusal = serde_json::from_str(body).unwrap_or_else(|_| Refusal {
            error_code: u32::from(status),
            message: body.trim().to_owned(),
        });
        return Err(Error::Refused {
            what: what.to_owned(),
            status: refusal.error_code,
            message: refusal.message,
        });
    }
    serde_json::from_str(body).map_err(|source| Error::Answer {
        what: what.to_owned(),
        source,
    })
}

/// Text as a part of a path.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
