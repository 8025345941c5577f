//! Avro values: bytes 0, schema id, and the datum.

use std::marker::PhantomData;
use std::sync::Arc;

use apache_avro::Schema as AvroSchema;
use kstreams_topology::{Serde, SerdeError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::framing;
use crate::known::Known;
use crate::registry::{Registry, Schema, SchemaKind};
use crate::subject::{Part, SubjectNameStrategy};
use crate::writer::Writer;

/// Values of `T` in Avro, as Confluent's `KafkaAvroSerializer` and `KafkaAvroDeserializer` have them. `T` is any type that
/// the crate `serde` knows, and the schema says how it is written; what others wrote with other schemas is resolved to this
/// one, by the rules of Avro.
///
/// A clone shares what was learnt.
pub struct AvroSerde<T> {
    writer: Arc<Writer>,
    own: Arc<Parsed>,
    readers: Arc<Known<(i32, Parsed)>>,
    of: PhantomData<fn() -> T>,
}

/// A schema, and those that it refers to.
struct Parsed {
    schema: AvroSchema,
    others: Vec<AvroSchema>,
}

impl<T> Clone for AvroSerde<T> {
    fn clone(&self) -> Self {
        Self {
            writer: self.writer.clone(),
            own: self.own.clone(),
            readers: self.readers.clone(),
            of: PhantomData,
        }
    }
}

impl<T> AvroSerde<T> {
    /// Values of this schema, which is registered for each topic it is written to. Nothing is asked yet.
    pub fn new(registry: &Registry, schema: &str) -> Result<Self> {
        let parsed = AvroSchema::parse_str(schema).map_err(|error| unusable("of an AvroSerde", &error))?;
        let record = parsed
            .name()
            .map_or_else(|| std::any::type_name::<T>().to_owned(), |name| name.fullname(None));
        let schema = Schema {
            kind: SchemaKind::Avro,
            text: schema.to_owned(),
            references: Vec::new(),
        };
        Ok(Self {
            writer: Writer::of(registry, schema, record),
            own: Arc::new(Parsed {
                schema: parsed,
                others: Vec::new(),
            }),
            readers: Arc::default(),
            of: PhantomData,
        })
    }

    /// For keys: the subject is `<topic>-key`.
    pub fn for_keys(self) -> Self {
        Self {
            writer: self.writer.with(|written| written.part = Part::Key),
            ..self
        }
    }

    /// Under which subjects the schema is registered. By default by topic.
    pub fn subjects(self, strategy: SubjectNameStrategy) -> Self {
        Self {
            writer: self.writer.with(|written| written.naming = strategy),
            ..self
        }
    }

    /// Registers nothing: the schema has to be there. Confluent's `auto.register.schemas=false`.
    pub fn registered_by_others(self) -> Self {
        Self {
            writer: self.writer.with(|written| written.registers = false),
            ..self
        }
    }

    /// The schema that values of this id were written with; asks the registry only the first time.
    #[inline]
    fn reader(&self, id: i32) -> Result<&Parsed, SerdeError> {
        if self.writer.is_own(id) {
            return Ok(&self.own);
        }
        match self.readers.find(|(known, _)| *known == id) {
            Some((_, parsed)) => Ok(parsed),
            None => self.fetch(id),
        }
    }

    #[cold]
    fn fetch(&self, id: i32) -> Result<&Parsed, SerdeError> {
        let registry = &self.writer.written.registry;
        let fetched = || {
            let schema = registry.schema(id)?;
            if schema.kind != SchemaKind::Avro {
                return Err(unusable(&id.to_string(), &format!("it is {:?}, not Avro", schema.kind)));
            }
            let used = registry.references(&schema)?;
            let (schema, others) =
                AvroSchema::parse_str_with_list(&schema.text, used.iter().map(|schema| schema.text.as_str()))
                    .map_err(|error| unusable(&id.to_string(), &error))?;
            Ok(Parsed { schema, others })
        };
        let parsed = fetched().map_err(|error| self.unreadable(id, error))?;
        Ok(&self.readers.push((id, parsed)).1)
    }

    #[cold]
    fn unreadable(&self, id: i32, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SerdeError {
        SerdeError::caused_by(format!("bytes of schema {id} to {}", self.writer.written.record), error)
    }
}

fn unusable(name: &str, problem: &dyn std::fmt::Display) -> Error {
    Error::Schema {
        name: name.to_owned(),
        problem: problem.to_string(),
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Serde<T> for AvroSerde<T> {
    fn serialize(&self, topic: &str, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let id = self.writer.id(topic)?;
        framing::put(id, out);
        let schema = &self.own.schema;
        // By way of a tree of values, which knows defaults, widths, names and any order of fields; the library's direct way
        // does not.
        let written = apache_avro::to_value(value)
            .and_then(|tree| tree.resolve(schema))
            .and_then(|tree| apache_avro::to_avro_datum(schema, tree))
            .map(|datum| out.extend_from_slice(&datum));
        written.map_err(|error| {
            SerdeError::caused_by(format!("{} to bytes of schema {id}", self.writer.written.record), error)
        })
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<T, SerdeError> {
        let (id, mut datum) = framing::take(bytes)?;
        let parsed = self.reader(id)?;
        let resolved = (!std::ptr::eq(parsed, &*self.own)).then_some(&self.own.schema);
        let tree = if parsed.others.is_empty() {
            apache_avro::from_avro_datum(&parsed.schema, &mut datum, resolved)
        } else {
            // What others need comes first.
            let schemata = parsed.others.iter().chain([&parsed.schema]).collect();
            apache_avro::from_avro_datum_schemata(&parsed.schema, schemata, &mut datum, resolved)
        };
        tree.and_then(|tree| apache_avro::from_value(&tree))
            .map_err(|error| self.unreadable(id, error))
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.writer.id(topic).map(|_| ())
    }
}
