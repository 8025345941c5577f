//! The canned processors that keep keys.

use std::marker::PhantomData;
use std::sync::Arc;

use kstreams_topology::BoxError;
use kstreams_topology::processor::{FixedKeyContext, FixedKeyProcessor, FixedKeyRecord};
use kstreams_topology::stores::{StoreHandle, StoreId};

use super::Built;
use super::store::{AnyStore, KeyValues, key_values};
use crate::case::{Node, Result, malformed};
use crate::key::{CaseKey, Key};
use crate::value::{Value, ValueType, render};

/// A fixed-key processor that a case chose, for keys of one type.
pub(crate) struct FixedKey<K> {
    what: What,
    keys: PhantomData<fn(K)>,
}

#[derive(Clone, Copy)]
enum What {
    /// Adds the time to the value.
    Stamp,
    /// Forwards, and again a millisecond later.
    Twice,
    /// Adds the number of records of the key to the value.
    Counter(StoreHandle<KeyValues>),
}

/// The fixed-key processor that a node asks for.
pub(crate) fn fixed_key<K: CaseKey>(node: &Node, input: ValueType) -> Result<Built<FixedKey<K>>> {
    let built = |out, what| Built {
        out,
        store: None,
        new: Arc::new(move || FixedKey {
            what,
            keys: PhantomData,
        }),
    };
    match node.text("processor")? {
        "stamp" => Ok(built(ValueType::Text, What::Stamp)),
        "twice" => Ok(built(input, What::Twice)),
        "counter" => {
            let store = key_values(node, ValueType::Long)?;
            let counter = What::Counter(store.handle());
            Ok(Built {
                store: Some(AnyStore::KeyValues(store)),
                ..built(ValueType::Text, counter)
            })
        }
        other => malformed(format!("no fixed-key processor {other}")),
    }
}

impl<K: CaseKey> FixedKeyProcessor for FixedKey<K> {
    type K = Option<K>;
    type VIn = Option<Value>;
    type VOut = Option<Value>;

    fn stores(&self) -> Vec<StoreId> {
        match self.what {
            What::Counter(store) => vec![store.id()],
            What::Stamp | What::Twice => Vec::new(),
        }
    }

    fn process(
        &mut self,
        cx: &mut FixedKeyContext<'_, Self>,
        record: FixedKeyRecord<Option<K>, Option<Value>>,
    ) -> Result<(), BoxError> {
        let text = match self.what {
            What::Twice => {
                let later = record.timestamp() + 1;
                cx.forward(record.clone())?;
                return Ok(cx.forward(record.with_timestamp(later))?);
            }
            What::Stamp => {
                let at = record.timestamp();
                record.value().as_ref().map(|value| format!("{}@{at}", value.render()))
            }
            What::Counter(store) => {
                let count = match record.key() {
                    None => 0,
                    Some(key) => count(cx, store, &key.seen())?,
                };
                Some(format!("{}#{count}", render(record.value().as_ref())))
            }
        };
        Ok(cx.forward(record.with_value(text.map(Value::Text)))?)
    }
}

fn count<K: CaseKey>(
    cx: &mut FixedKeyContext<'_, FixedKey<K>>,
    store: StoreHandle<KeyValues>,
    key: &Key,
) -> Result<i64, BoxError> {
    let key = Key::Text(key.text().to_owned());
    let mut store = cx.store(store);
    let count = store.get(&key)?.map_or(0, |count| count.long()) + 1;
    store.put(&key, &Value::Long(count))?;
    Ok(count)
}
