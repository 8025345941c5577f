//! Records as user code sees them, and the types that may be in one.

use std::sync::Arc;

use kstreams_wire::Headers;

use crate::serde::{DefaultSerde, ListSerde, Serde};

/// A type that may be a key or a value. `Option<T>` is never `Data`: it is how a type says that it may be absent.
///
/// ```
/// use std::sync::Arc;
/// use kstreams_topology::{Data, Serde, SerdeError};
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Celsius(f32);
///
/// impl Data for Celsius {
///     fn serde() -> Option<Arc<dyn Serde<Self>>> {
///         Some(Arc::new(CelsiusSerde))
///     }
/// }
///
/// struct CelsiusSerde;
///
/// impl Serde<Celsius> for CelsiusSerde {
///     fn serialize(&self, _: &str, value: &Celsius, out: &mut Vec<u8>) -> Result<(), SerdeError> {
///         out.extend_from_slice(value.0.to_string().as_bytes());
///         Ok(())
///     }
///
///     fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<Celsius, SerdeError> {
///         let text = String::from_utf8_lossy(bytes);
///         text.parse().map(Celsius).map_err(|error| SerdeError::caused_by(format!("{text:?} to degrees"), error))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key or a value",
    label = "is not `Data`",
    note = "a type of yours becomes one by `impl Data for {Self} {{}}`; where it is read or written it needs a serde, too",
    note = "`Json<T>` is one for every type that the crate `serde` knows; an `Option<T>` within an `Option` is none"
)]
pub trait Data: Clone + Send + 'static {
    /// The serde that values of this type take where no other is given. Types that never leave the process need none.
    fn serde() -> Option<Arc<dyn Serde<Self>>> {
        None
    }
}

/// A key or value type of a stream: `T`, or `Option<T>` where nulls may come.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key or value type of a stream",
    label = "is neither `Data` nor an `Option` of it",
    note = "a type of yours becomes `Data` by `impl Data for {Self} {{}}`"
)]
pub trait Nullable: Clone + Send + 'static {
    /// The type without the `Option`.
    type Inner: Data;

    /// The value, if there is one.
    fn into_option(self) -> Option<Self::Inner>;

    /// The value, if there is one, borrowed.
    fn as_option(&self) -> Option<&Self::Inner>;

    /// From a value that may be null; `None` if this type cannot be null.
    fn from_option(value: Option<Self::Inner>) -> Option<Self>;
}

impl<T: Data> Nullable for T {
    type Inner = T;

    fn into_option(self) -> Option<T> {
        Some(self)
    }

    fn as_option(&self) -> Option<&T> {
        Some(self)
    }

    fn from_option(value: Option<T>) -> Option<Self> {
        value
    }
}

impl<T: Data> Nullable for Option<T> {
    type Inner = T;

    fn into_option(self) -> Option<T> {
        self
    }

    fn as_option(&self) -> Option<&T> {
        self.as_ref()
    }

    fn from_option(value: Option<T>) -> Option<Self> {
        Some(value)
    }
}

macro_rules! data {
    ($($t:ty),* $(,)?) => { $(impl Data for $t {
        fn serde() -> Option<Arc<dyn Serde<Self>>> {
            Some(Arc::new(<$t as DefaultSerde>::Serde::default()))
        }
    })* };
}

data!(
    String,
    bytes::Bytes,
    Vec<u8>,
    i16,
    i32,
    i64,
    f32,
    f64,
    bool,
    (),
    crate::serde::Uuid
);

macro_rules! data_without_serde {
    ($($t:ty),* $(,)?) => { $(impl Data for $t {})* };
}

data_without_serde!(i8, u8, u16, u32, u64, usize);

impl<A: Data, B: Data> Data for (A, B) {}

/// A list whose entries may be null.
impl<T: Data> Data for Vec<Option<T>> {
    fn serde() -> Option<Arc<dyn Serde<Self>>> {
        T::serde().map(|entry| Arc::new(ListSerde::new(entry)) as Arc<dyn Serde<Self>>)
    }
}

// Not `Vec<T>` for all `T`, because `Vec<u8>` is bytes and no list.
data!(
    Vec<String>,
    Vec<bytes::Bytes>,
    Vec<Vec<u8>>,
    Vec<i16>,
    Vec<i32>,
    Vec<i64>,
    Vec<f32>,
    Vec<f64>,
    Vec<bool>,
    Vec<crate::serde::Uuid>
);

/// A record in flight between two nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// Event time in milliseconds since 1970, never negative.
    pub timestamp: i64,
    /// The headers, which travel with the record.
    pub headers: Headers,
}

impl<K, V> Record<K, V> {
    /// A record without headers.
    pub fn new(key: K, value: V, timestamp: i64) -> Self {
        Self {
            key,
            value,
            timestamp,
            headers: Headers::new(),
        }
    }

    /// The same record with another key.
    pub fn with_key<K2>(self, key: K2) -> Record<K2, V> {
        Record {
            key,
            value: self.value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> Record<K, V2> {
        Record {
            key: self.key,
            value,
            timestamp: self.timestamp,
            headers: self.headers,
        }
    }
}

/// What travels between table operators: the row's new and old value. `old` is filled only for those who asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<V> {
    /// The row after the change; `None` is a deletion.
    pub new: Option<V>,
    /// The row before it, where known.
    pub old: Option<V>,
    /// Whether this is the row's latest version; false only for late changes of versioned tables.
    pub is_latest: bool,
}

/// Between the two halves of a re-grouped table, changes are values of a topic.
impl<V: Data> Data for Change<V> {}
