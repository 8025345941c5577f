//! Protobuf values: byte 0, schema id, where in the file the message stands, and the message.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_topology::{Serde, SerdeError};
use prost::Message;

use crate::error::{Error, Result};
use crate::framing;
use crate::known::Known;
use crate::registry::{Reference, Registry, Schema, SchemaKind};
use crate::subject::{Part, SubjectNameStrategy};
use crate::writer::Writer;

mod indexes;
mod proto;

use indexes::Indexes;

/// Values of `T` in Protobuf, as Confluent's `KafkaProtobufSerializer` and `KafkaProtobufDeserializer` have them. `T` is a
/// message of the crate `prost`.
///
/// A clone shares what was learnt.
pub struct ProtobufSerde<T> {
    writer: Arc<Writer>,
    own: Arc<Indexes>,
    readers: Arc<Known<(i32, Indexes)>>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for ProtobufSerde<T> {
    fn clone(&self) -> Self {
        Self {
            writer: self.writer.clone(),
            own: self.own.clone(),
            readers: self.readers.clone(),
            of: PhantomData,
        }
    }
}

impl<T> ProtobufSerde<T> {
    /// Values of this message of a `.proto` file, whose text is the schema: `"Order"`, or `"Order.Line"` for one inside
    /// another. The schema is registered for each topic it is written to. Nothing is asked yet.
    pub fn new(registry: &Registry, file: &str, message: &str) -> Result<Self> {
        let place = proto::place_of(file, message).ok_or_else(|| Error::Schema {
            name: message.to_owned(),
            problem: "the file has no such message".to_owned(),
        })?;
        let schema = Schema {
            kind: SchemaKind::Protobuf,
            text: file.to_owned(),
            references: Vec::new(),
        };
        Ok(Self {
            writer: Writer::of(registry, schema, proto::full_name(file, message)),
            own: Arc::new(Indexes::new(place)),
            readers: Arc::default(),
            of: PhantomData,
        })
    }

    /// The registered files that this one imports.
    pub fn importing(self, imports: impl IntoIterator<Item = Reference>) -> Self {
        let references: Vec<_> = imports.into_iter().collect();
        Self {
            writer: self.writer.with(|written| {
                let schema = Schema::clone(&written.schema);
                written.schema = Arc::new(Schema { references, ..schema });
            }),
            ..self
        }
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

    /// Makes sure that the message at this place of this schema is ours; asks the registry only the first time.
    #[inline]
    fn check(&self, id: i32, place: &Indexes) -> Result<(), SerdeError> {
        let is_own = self.writer.is_own(id) && *place == *self.own;
        if is_own || self.readers.find(|known| known.0 == id && known.1 == *place).is_some() {
            return Ok(());
        }
        self.fetch(id, place)
    }

    #[cold]
    fn fetch(&self, id: i32, place: &Indexes) -> Result<(), SerdeError> {
        let ours = &self.writer.written.record;
        let unreadable = |error| SerdeError::caused_by(format!("bytes of schema {id} to {ours}"), error);
        let schema = self.writer.written.registry.schema(id).map_err(unreadable)?;
        let found = proto::name_at(&schema.text, place.path());
        if schema.kind != SchemaKind::Protobuf || found.as_ref() != Some(ours) {
            return Err(unreadable(Error::Schema {
                name: id.to_string(),
                problem: match found {
                    Some(name) if schema.kind == SchemaKind::Protobuf => format!("the message is a {name}"),
                    _ => format!("it is {:?} and has no message at {:?}", schema.kind, place.path()),
                },
            }));
        }
        self.readers.push((id, place.clone()));
        Ok(())
    }
}

impl<T: Message + Default + 'static> Serde<T> for ProtobufSerde<T> {
    fn serialize(&self, topic: &str, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        framing::put(self.writer.id(topic)?, out);
        out.extend_from_slice(self.own.bytes());
        value
            .encode(out)
            .map_err(|error| SerdeError::caused_by(format!("{} to bytes", self.writer.written.record), error))
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<T, SerdeError> {
        let (id, rest) = framing::take(bytes)?;
        let ours = &self.writer.written.record;
        // Nearly always it is our own message of our own schema: then there is nothing to take apart.
        let message = match rest.strip_prefix(self.own.bytes()) {
            Some(message) if self.writer.is_own(id) => message,
            _ => {
                let (place, message) = Indexes::take(rest)
                    .ok_or_else(|| SerdeError::new(format!("bytes of schema {id} to {ours}: no message is named")))?;
                self.check(id, &place)?;
                message
            }
        };
        T::decode(message).map_err(|error| SerdeError::caused_by(format!("bytes of schema {id} to {ours}"), error))
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.writer.id(topic).map(|_| ())
    }
}
