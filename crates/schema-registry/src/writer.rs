//! The ids of a serde's own schema: one per subject, resolved before the first record of a topic.

use std::sync::Arc;

use kstreams_topology::SerdeError;

use crate::error::Result;
use crate::known::Known;
use crate::registry::{Registry, Schema};
use crate::subject::{Part, SubjectNameStrategy};

/// What a serde writes, and how it is registered.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) registry: Registry,
    pub(crate) schema: Arc<Schema>,
    /// The full name of what the schema defines.
    pub(crate) record: String,
    pub(crate) naming: SubjectNameStrategy,
    pub(crate) part: Part,
    pub(crate) registers: bool,
}

/// The ids under which a schema is known, by topic.
pub(crate) struct Writer {
    pub(crate) written: Written,
    ids: Known<(String, i32)>,
}

impl Writer {
    pub(crate) fn new(written: Written) -> Arc<Self> {
        Arc::new(Self {
            written,
            ids: Known::default(),
        })
    }

    /// Values of this schema.
    pub(crate) fn of(registry: &Registry, schema: Schema, record: String) -> Arc<Self> {
        Self::new(Written {
            registry: registry.clone(),
            schema: Arc::new(schema),
            record,
            naming: SubjectNameStrategy::default(),
            part: Part::Value,
            registers: true,
        })
    }

    /// The same with other settings.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Written)) -> Arc<Self> {
        let mut written = self.written.clone();
        change(&mut written);
        Self::new(written)
    }

    /// The id for a topic; asks the registry only the first time.
    #[inline]
    pub(crate) fn id(&self, topic: &str) -> Result<i32, SerdeError> {
        match self.ids.find(|(known, _)| known == topic) {
            Some((_, id)) => Ok(*id),
            None => self.resolve(topic),
        }
    }

    /// Whether the schema has this id under some topic.
    pub(crate) fn is_own(&self, id: i32) -> bool {
        self.ids.find(|(_, own)| *own == id).is_some()
    }

    #[cold]
    fn resolve(&self, topic: &str) -> Result<i32, SerdeError> {
        let Written {
            registry,
            schema,
            record,
            ..
        } = &self.written;
        let subject = self.written.naming.subject(topic, record, self.written.part);
        let id = if self.written.registers {
            registry.register(&subject, schema)
        } else {
            registry.lookup(&subject, schema)
        };
        let id = id.map_err(|error| SerdeError::caused_by(format!("{record} to bytes for topic {topic}"), error))?;
        self.ids.push((topic.to_owned(), id));
        Ok(id)
    }
}
