//! The canned processors that keep keys.

use std::sync::Arc;

use kstreams_topology::BoxError;
use kstreams_topology::processor::{FixedKeyContext, FixedKeyProcessor, FixedKeyRecord};
use kstreams_topology::stores::{StoreHandle, StoreId};

use super::{Built, KeyValues, key_values};
use crate::case::{Node, Result, malformed};
use crate::value::{Key, Value, ValueType, render};

/// A fixed-key processor that a case chose.
#[derive(Clone, Copy)]
pub(crate) enum FixedKey {
    /// Adds the time to the value.
    Stamp,
    /// Forwards, and again a millisecond later.
    Twice,
    /// Adds the number of records of the key to the value.
    Counter(StoreHandle<KeyValues>),
}

/// The fixed-key processor that a node asks for.
pub(crate) fn fixed_key(node: &Node, input: ValueType) -> Result<Built<FixedKey>> {
    let built = |out, processor| Built {
        out,
        store: None,
        new: Arc::new(move || processor),
    };
    match node.text("processor")? {
        "stamp" => Ok(built(ValueType::Text, FixedKey::Stamp)),
        "twice" => Ok(built(input, FixedKey::Twice)),
        "counter" => {
            let store = key_values(node, ValueType::Long)?;
            let counter = FixedKey::Counter(store.handle());
            Ok(Built {
                store: Some(store),
                ..built(ValueType::Text, counter)
            })
        }
        other => malformed(format!("no fixed-key processor {other}")),
    }
}

impl FixedKeyProcessor for FixedKey {
    type K = Option<Key>;
    type VIn = Option<Value>;
    type VOut = Option<Value>;

    fn stores(&self) -> Vec<StoreId> {
        match self {
            Self::Counter(store) => vec![store.id()],
            Self::Stamp | Self::Twice => Vec::new(),
        }
    }

    fn process(
        &mut self,
        cx: &mut FixedKeyContext<'_, Self>,
        record: FixedKeyRecord<Option<Key>, Option<Value>>,
    ) -> Result<(), BoxError> {
        let text = match self {
            Self::Twice => {
                let later = record.timestamp() + 1;
                cx.forward(record.clone())?;
                return Ok(cx.forward(record.with_timestamp(later))?);
            }
            Self::Stamp => {
                let at = record.timestamp();
                record.value().as_ref().map(|value| format!("{}@{at}", value.render()))
            }
            Self::Counter(store) => {
                let count = match record.key() {
                    None => 0,
                    Some(key) => count(cx, *store, key)?,
                };
                Some(format!("{}#{count}", render(record.value().as_ref())))
            }
        };
        Ok(cx.forward(record.with_value(text.map(Value::Text)))?)
    }
}

fn count(cx: &mut FixedKeyContext<'_, FixedKey>, store: StoreHandle<KeyValues>, key: &Key) -> Result<i64, BoxError> {
    let key = Key::Text(key.text().to_owned());
    let mut store = cx.store(store);
    let count = store.get(&key)?.map_or(0, |count| count.long()) + 1;
    store.put(&key, &Value::Long(count))?;
    Ok(count)
}
