//! JSON, for every type that the crate `serde` can write and read.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ::serde::de::DeserializeOwned;
use ::serde::{Deserialize, Serialize};

use super::{DefaultSerde, Serde, SerdeError};
use crate::record::Data;

/// A value that travels as JSON. It makes a key or value of any type that the crate `serde` knows, without more to say:
///
/// ```
/// use kstreams_topology::Data;
/// use kstreams_topology::serde::{Json, Serde};
///
/// #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Order {
///     item: String,
///     amount: i64,
/// }
///
/// let order = Json(Order { item: "book".into(), amount: 2 });
/// let serde = Json::<Order>::serde().expect("JSON has one");
/// let mut bytes = Vec::new();
/// serde.serialize("orders", &order, &mut bytes)?;
/// assert_eq!(bytes, br#"{"item":"book","amount":2}"#);
/// assert_eq!(serde.deserialize("orders", &bytes)?.amount, 2);
/// # Ok::<(), kstreams_topology::SerdeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Serialize + DeserializeOwned + Clone + Send + 'static> Data for Json<T> {
    fn serde() -> Option<Arc<dyn Serde<Self>>> {
        Some(Arc::new(JsonSerde))
    }
}

impl<T: Serialize + DeserializeOwned> DefaultSerde for Json<T> {
    type Serde = JsonSerde;
}

/// JSON without spaces between, for any type that the crate `serde` knows: the serde of [`Json`], and of types that are
/// [`Data`] by themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonSerde;

impl<T: Serialize + DeserializeOwned> Serde<T> for JsonSerde {
    fn serialize(&self, _: &str, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        serde_json::to_writer(out, value)
            .map_err(|error| SerdeError::caused_by(format!("{} to JSON", std::any::type_name::<T>()), error))
    }

    fn deserialize(&self, _: &str, bytes: &[u8]) -> Result<T, SerdeError> {
        serde_json::from_slice(bytes)
            .map_err(|error| SerdeError::caused_by(format!("JSON to {}", std::any::type_name::<T>()), error))
    }
}
