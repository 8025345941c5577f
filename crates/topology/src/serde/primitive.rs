//! The serdes of strings, numbers and bytes, as Kafka's own serializers write them.

use bytes::Bytes;

use super::{DefaultSerde, Serde, SerdeError};
use crate::exception::{Exception, ILLEGAL_ARGUMENT};

/// UTF-8 text. Bytes that are no UTF-8 are read with replacement characters, as Java does.
#[derive(Clone, Copy, Debug, Default)]
pub struct StringSerde;

impl Serde<String> for StringSerde {
    fn serialize(&self, _: &str, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<String, SerdeError> {
        // Checking alone is several times faster than looking for what to replace.
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

impl DefaultSerde for String {
    type Serde = StringSerde;
}

macro_rules! number {
    ($serde:ident, $t:ty, $java:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $serde;

        impl Serde<$t> for $serde {
            fn serialize(&self, _: &str, value: &$t, out: &mut Vec<u8>) -> Result<(), SerdeError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }

            fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<$t, SerdeError> {
                let bytes = bytes
                    .try_into()
                    .map_err(|_| wrong_length(stringify!($t), $java, size_of::<$t>(), bytes.len()))?;
                Ok(<$t>::from_be_bytes(bytes))
            }

            fn entry_bytes(&self) -> Option<usize> {
                Some(size_of::<$t>())
            }
        }

        impl DefaultSerde for $t {
            type Serde = $serde;
        }
    };
}

number!(
    I64Serde,
    i64,
    "LongDeserializer",
    "Eight bytes, big-endian: Java's `LongSerializer`."
);
number!(
    I32Serde,
    i32,
    "IntegerDeserializer",
    "Four bytes, big-endian: Java's `IntegerSerializer`."
);
number!(
    I16Serde,
    i16,
    "ShortDeserializer",
    "Two bytes, big-endian: Java's `ShortSerializer`."
);
number!(
    F64Serde,
    f64,
    "Deserializer",
    "The eight IEEE bytes: Java's `DoubleSerializer`."
);
number!(
    F32Serde,
    f32,
    "Deserializer",
    "The four IEEE bytes: Java's `FloatSerializer`."
);

fn wrong_length(what: &str, java: &str, expected: usize, actual: usize) -> SerdeError {
    let thrown = format!("Size of data received by {java} is not {expected}");
    SerdeError::new(format!("{actual} bytes to {what}: {expected} expected")).as_java(Exception::serialization(thrown))
}

/// One byte, 1 or 0: Java's `BooleanSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BoolSerde;

impl Serde<bool> for BoolSerde {
    fn serialize(&self, _: &str, value: &bool, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(u8::from(*value));
        Ok(())
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<bool, SerdeError> {
        match bytes {
            [1] => Ok(true),
            [0] => Ok(false),
            [other] => {
                let thrown = format!(
                    "Unexpected byte received by BooleanDeserializer: {}",
                    other.cast_signed()
                );
                let error = SerdeError::new(format!("byte {other} to bool: 0 or 1 expected"));
                Err(error.as_java(Exception::serialization(thrown)))
            }
            _ => Err(wrong_length("bool", "BooleanDeserializer", 1, bytes.len())),
        }
    }
}

impl DefaultSerde for bool {
    type Serde = BoolSerde;
}

/// The bytes as they are; what was fetched is shared, not copied. Java's `BytesSerializer`, and its
/// `ByteBufferSerializer`, which writes a buffer from its start to its limit wherever the position is.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesSerde;

impl Serde<Bytes> for BytesSerde {
    fn serialize(&self, _: &str, value: &Bytes, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<Bytes, SerdeError> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn deserialize_shared(&self, _: &str, bytes: &[u8], shared: &Bytes) -> Result<Bytes, SerdeError> {
        Ok(shared.slice_ref(bytes))
    }
}

impl DefaultSerde for Bytes {
    type Serde = BytesSerde;
}

/// The bytes as they are, in a vector of their own: Java's `ByteArraySerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct VecSerde;

impl Serde<Vec<u8>> for VecSerde {
    fn serialize(&self, _: &str, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<Vec<u8>, SerdeError> {
        Ok(bytes.to_vec())
    }
}

impl DefaultSerde for Vec<u8> {
    type Serde = VecSerde;
}

/// No bytes at all: a type for keys or values that are never there. Java's `VoidSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct VoidSerde;

impl Serde<()> for VoidSerde {
    fn serialize(&self, _: &str, (): &(), _: &mut Vec<u8>) -> Result<(), SerdeError> {
        Ok(())
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<(), SerdeError> {
        let thrown = Exception::new(ILLEGAL_ARGUMENT, "Data should be null for a VoidDeserializer.");
        Err(SerdeError::new(format!("{} bytes to (): null expected", bytes.len())).as_java(thrown))
    }
}

impl DefaultSerde for () {
    type Serde = VoidSerde;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_bytes_are_refused() {
        assert!(I64Serde.deserialize("t", &[0; 4]).is_err());
        assert!(I32Serde.deserialize("t", &[]).is_err());
        assert!(BoolSerde.deserialize("t", &[2]).is_err());
        assert!(VoidSerde.deserialize("t", &[]).is_err());
    }

    #[test]
    fn fetched_bytes_are_shared() {
        let shared = Bytes::from_static(b"abcdef");
        let slice = shared.get(2..4).expect("in range");
        let value = BytesSerde
            .deserialize_shared("t", slice, &shared)
            .expect("any bytes will do");
        assert_eq!(value.as_ptr(), slice.as_ptr());
    }
}
