//! Lists, as Kafka's `ListSerializer` writes them.

use bytes::Buf;

use super::{DefaultSerde, Serde, SerdeError, Uuid};
use crate::exception::{Exception, NEGATIVE_SIZE};
use crate::record::Nullable;

/// Entries of a fixed size, which need no lengths: where the nulls are comes first.
const FIXED: u8 = 0;
/// Entries of any size, each behind its length.
const SIZED: u8 = 1;
/// The length of null.
const NULL: i32 = -1;

/// Lists of what `S` writes: `Vec<T>`, or `Vec<Option<T>>` where entries may be null.
///
/// As in Java, numbers and UUIDs are written one after the other, and everything else behind its length.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListSerde<S>(S);

impl<S> ListSerde<S> {
    /// Lists of what `entry` writes.
    pub fn new(entry: S) -> Self {
        Self(entry)
    }

    fn write_fixed<N: Nullable>(&self, topic: &str, list: &[N], out: &mut Vec<u8>) -> Result<(), SerdeError>
    where
        S: Serde<N::Inner>,
    {
        out.push(FIXED);
        let nulls = || list.iter().enumerate().filter(|(_, entry)| entry.as_option().is_none());
        out.extend_from_slice(&count(nulls().count())?);
        for (at, _) in nulls() {
            out.extend_from_slice(&count(at)?);
        }
        out.extend_from_slice(&count(list.len())?);
        for entry in list.iter().filter_map(Nullable::as_option) {
            self.0.serialize(topic, entry, out)?;
        }
        Ok(())
    }

    fn write_sized<N: Nullable>(&self, topic: &str, list: &[N], out: &mut Vec<u8>) -> Result<(), SerdeError>
    where
        S: Serde<N::Inner>,
    {
        out.push(SIZED);
        out.extend_from_slice(&count(list.len())?);
        for entry in list {
            let at = out.len();
            out.extend_from_slice(&NULL.to_be_bytes());
            let Some(entry) = entry.as_option() else { continue };
            let begin = out.len();
            self.0.serialize(topic, entry, out)?;
            let length = count(out.len().saturating_sub(begin))?;
            if let Some(place) = out.get_mut(at..begin) {
                place.copy_from_slice(&length);
            }
        }
        Ok(())
    }
}

impl<N: Nullable, S: Serde<N::Inner>> Serde<Vec<N>> for ListSerde<S> {
    fn serialize(&self, topic: &str, list: &Vec<N>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        if self.0.entry_bytes().is_some() {
            self.write_fixed(topic, list, out)
        } else {
            self.write_sized(topic, list, out)
        }
    }

    fn deserialize(&self, topic: &str, bytes: &[u8]) -> Result<Vec<N>, SerdeError> {
        let mut bytes = bytes;
        let layout = bytes.try_get_u8().map_err(short)?;
        let width = match (layout, self.0.entry_bytes()) {
            (SIZED, _) => None,
            (FIXED, Some(width)) => Some(width),
            _ => {
                let error = SerdeError::new(format!("bytes to a list: layout {layout} is not this type's"));
                return Err(error.as_java(Exception::serialization("Invalid serialization strategy flag value")));
            }
        };
        let nulls = if width.is_some() {
            read_nulls(&mut bytes)?
        } else {
            Vec::new()
        };
        let size = bytes.try_get_i32().map_err(short)?;
        if size < 0 {
            return Err(SerdeError::new(format!(
                "bytes to a list: it cannot have {size} entries"
            )));
        }
        // Every entry takes bytes, here or among the nulls, so a list grows no longer than what holds it.
        let mut list = Vec::new();
        for at in 0..size {
            let length = match width {
                Some(_) if nulls.binary_search(&at).is_ok() => None,
                Some(width) => Some(width),
                None => read_length(&mut bytes)?,
            };
            let entry = match length {
                None => None,
                Some(length) => {
                    let (entry, rest) = bytes.split_at_checked(length).ok_or_else(|| ended(at))?;
                    bytes = rest;
                    Some(self.0.deserialize(topic, entry)?)
                }
            };
            let entry = N::from_option(entry);
            list.push(entry.ok_or_else(|| SerdeError::new(format!("bytes to a list: entry {at} is null")))?);
        }
        Ok(list)
    }

    fn prepare(&self, topic: &str) -> Result<(), SerdeError> {
        self.0.prepare(topic)
    }
}

/// The places of the nulls, in order.
fn read_nulls(bytes: &mut &[u8]) -> Result<Vec<i32>, SerdeError> {
    let mut nulls = Vec::new();
    for _ in 0..bytes.try_get_i32().map_err(short)? {
        nulls.push(bytes.try_get_i32().map_err(short)?);
    }
    nulls.sort_unstable();
    Ok(nulls)
}

/// The length of the next entry; `None` if it is null.
fn read_length(bytes: &mut &[u8]) -> Result<Option<usize>, SerdeError> {
    match bytes.try_get_i32().map_err(short)? {
        NULL => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| {
            let error = SerdeError::new(format!("bytes to a list: an entry cannot have {length} bytes"));
            error.as_java(Exception::new(NEGATIVE_SIZE, length.to_string()))
        }),
    }
}

fn count(count: usize) -> Result<[u8; 4], SerdeError> {
    let count = i32::try_from(count).map_err(|_| SerdeError::new("a list to bytes: it is longer than 2 GiB"))?;
    Ok(count.to_be_bytes())
}

fn short(error: bytes::TryGetError) -> SerdeError {
    let thrown = Exception::new(
        "org.apache.kafka.common.KafkaException",
        "Unable to deserialize into a List",
    );
    let thrown = thrown.caused_by(Exception::silent("java.io.EOFException"));
    SerdeError::caused_by("bytes to a list", error).as_java(thrown)
}

fn ended(at: i32) -> SerdeError {
    let thrown = Exception::serialization("End of the stream was reached prematurely");
    SerdeError::new(format!("bytes to a list: they end within entry {at}")).as_java(thrown)
}

impl<T: DefaultSerde + crate::record::Data> DefaultSerde for Vec<Option<T>> {
    type Serde = ListSerde<T::Serde>;
}

macro_rules! list_of {
    ($($t:ty),* $(,)?) => { $(impl DefaultSerde for Vec<$t> {
        type Serde = ListSerde<<$t as DefaultSerde>::Serde>;
    })* };
}

list_of!(String, bytes::Bytes, Vec<u8>, i16, i32, i64, f32, f64, bool, Uuid);
