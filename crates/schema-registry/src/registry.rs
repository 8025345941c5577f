//! The client of the registry: schemas and their ids, asked for once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::http::{Http, escaped};

/// How long an id that the registry does not know is not asked for again.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// A schema registry. Handles are cheap to clone, and share what they learnt.
///
/// All methods wait for the registry unless they know the answer: they are for the time before processing.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    http: Http,
    learnt: Mutex<Learnt>,
}

/// What the registry has said.
#[derive(Default)]
struct Learnt {
    schemas: HashMap<i32, Arc<Schema>>,
    missing: HashMap<i32, Instant>,
    versions: HashMap<(String, i32), Arc<Schema>>,
    registered: HashMap<(String, Arc<Schema>), i32>,
}

/// What a schema is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SchemaKind {
    /// Avro, in JSON. The registry does not say so where it is this.
    #[default]
    Avro,
    /// Protobuf, as the text of a `.proto` file.
    Protobuf,
    /// JSON Schema.
    Json,
}

impl SchemaKind {
    fn is_avro(&self) -> bool {
        *self == Self::Avro
    }
}

/// A schema as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schema {
    /// What it is written in.
    #[serde(rename = "schemaType", default, skip_serializing_if = "SchemaKind::is_avro")]
    pub kind: SchemaKind,
    /// The schema itself.
    #[serde(rename = "schema")]
    pub text: String,
    /// The other schemas that it uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// A schema that another one uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// What the other one calls it: a type's full name in Avro, an import in Protobuf.
    pub name: String,
    /// The subject under which it is registered.
    pub subject: String,
    /// Its version there.
    pub version: i32,
}

#[derive(Deserialize)]
struct Identified {
    id: i32,
}

/// A registry that is yet to be described.
pub struct RegistryBuilder {
    urls: String,
    timeout: Duration,
    authorization: Option<String>,
    #[cfg(feature = "tls")]
    roots: Option<Vec<u8>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.0.http.urls()).finish()
    }
}

impl Registry {
    /// The registry at this URL, without anything more to say. Nothing is asked yet.
    pub fn new(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).build()
    }

    /// A registry about which there is more to say. Several URLs of one registry are separated by commas.
    pub fn builder(urls: impl Into<String>) -> RegistryBuilder {
        RegistryBuilder {
            urls: urls.into(),
            timeout: Duration::from_secs(10),
            authorization: None,
            #[cfg(feature = "tls")]
            roots: None,
        }
    }

    /// The id of a schema under a subject, under which it is registered if it is not there yet.
    pub fn register(&self, subject: &str, schema: &Arc<Schema>) -> Result<i32> {
        let path = format!("/subjects/{}/versions", escaped(subject));
        self.identify(
            subject,
            schema,
            format!("register a schema for subject {subject}"),
            &path,
        )
    }

    /// The id of a schema that is registered under a subject.
    pub fn lookup(&self, subject: &str, schema: &Arc<Schema>) -> Result<i32> {
        let path = format!("/subjects/{}", escaped(subject));
        self.identify(subject, schema, format!("find a schema under subject {subject}"), &path)
    }

    fn identify(&self, subject: &str, schema: &Arc<Schema>, what: String, path: &str) -> Result<i32> {
        let place = (subject.to_owned(), schema.clone());
        let mut learnt = self.learnt();
        if let Some(id) = learnt.registered.get(&place) {
            return Ok(*id);
        }
        let body = serde_json::to_string(&**schema).expect("texts and numbers make JSON");
        let answer: Identified = self.0.http.ask(&what, path, Some(&body))?;
        learnt.registered.insert(place, answer.id);
        learnt.schemas.entry(answer.id).or_insert_with(|| schema.clone());
        Ok(answer.id)
    }

    /// The schema with this id.
    pub fn schema(&self, id: i32) -> Result<Arc<Schema>> {
        let what = format!("find schema {id}");
        let mut learnt = self.learnt();
        if let Some(schema) = learnt.schemas.get(&id) {
            return Ok(schema.clone());
        }
        if learnt
            .missing
            .get(&id)
            .is_some_and(|since| since.elapsed() < MISSING_FOR)
        {
            return Err(Error::Refused {
                what,
                status: 404,
                message: "less than a minute ago, that there is none".to_owned(),
            });
        }
        match self.0.http.ask::<Schema>(&what, &format!("/schemas/ids/{id}"), None) {
            Ok(schema) => {
                let schema = Arc::new(schema);
                learnt.missing.remove(&id);
                learnt.schemas.insert(id, schema.clone());
                Ok(schema)
            }
            Err(error) => {
                if error.is_missing() {
                    let now = Instant::now();
                    learnt
                        .missing
                        .retain(|_, since| now.duration_since(*since) < MISSING_FOR);
                    learnt.missing.insert(id, now);
                }
                Err(error)
            }
        }
    }

    /// The schema of this version of a subject.
    pub fn version(&self, subject: &str, version: i32) -> Result<Arc<Schema>> {
        let place = (subject.to_owned(), version);
        let mut learnt = self.learnt();
        if let Some(schema) = learnt.versions.get(&place) {
            return Ok(schema.clone());
        }
        let what = format!("find version {version} of subject {subject}");
        let path = format!("/subjects/{}/versions/{version}", escaped(subject));
        let schema = Arc::new(self.0.http.ask::<Schema>(&what, &path, None)?);
        learnt.versions.insert(place, schema.clone());
        Ok(schema)
    }

    /// All schemas that this one uses, those that others need first.
    pub fn references(&self, schema: &Schema) -> Result<Vec<Arc<Schema>>> {
        let mut found = Vec::new();
        self.collect_references(schema, &mut Vec::new(), &mut found)?;
        Ok(found)
    }

    fn collect_references(
        &self,
        schema: &Schema,
        seen: &mut Vec<(String, i32)>,
        found: &mut Vec<Arc<Schema>>,
    ) -> Result<()> {
        for reference in &schema.references {
            let place = (reference.subject.clone(), reference.version);
            if seen.contains(&place) {
                continue;
            }
            seen.push(place);
            let used = self.version(&reference.subject, reference.version)?;
            self.collect_references(&used, seen, found)?;
            found.push(used);
        }
        Ok(())
    }

    /// Whoever holds this asks the registry; others that do not know the answer wait for it instead of asking too.
    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.0.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RegistryBuilder {
    /// Says who is asking.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.authorization = Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        self
    }

    /// How long a request may take. By default ten seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The certificates, as PEM, of those who may vouch for the registry. By default Mozilla's list.
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// The registry. Nothing is asked yet.
    pub fn build(self) -> Result<Registry> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false);
        #[cfg(feature = "tls")]
        let config = match &self.roots {
            Some(pem) => config.tls_config(trusting(pem)?),
            None => config,
        };
        Ok(Registry(Arc::new(Shared {
            http: Http::new(&self.urls, config.build().into(), self.authorization),
            learnt: Mutex::default(),
        })))
    }
}

#[cfg(feature = "tls")]
fn trusting(pem: &[u8]) -> Result<ureq::tls::TlsConfig> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| Error::Certificates(Box::new(error)))? {
            certificates.push(certificate);
        }
    }
    let roots = RootCerts::new_with_certs(&certificates);
    Ok(TlsConfig::builder().root_certs(roots).build())
}
