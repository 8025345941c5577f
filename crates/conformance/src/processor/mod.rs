//! The canned processors of the case format.

use std::sync::Arc;
use std::time::Duration;

use kstreams_store::Logging;
use kstreams_topology::graph::TimerId;
use kstreams_topology::processor::{Context, ProcessingContext, Processor};
use kstreams_topology::stores::{KeyValueStore, StoreBuilder, StoreHandle, StoreId, Stores};
use kstreams_topology::{BoxError, Record};

use crate::case::{CaseError, Node, Result};
use crate::value::{Key, KeySerde, KeyType, Value, ValueSerde, ValueType};

mod fixed_key;
mod keyed;
mod plain;

pub(crate) use fixed_key::fixed_key;

/// A store of keys and values.
pub(crate) type KeyValues = KeyValueStore<Key, Value>;

/// A record as processors see it.
pub(crate) type Input = Record<Option<Key>, Option<Value>>;

/// What a canned processor does. The key of its record is already a string.
pub(crate) trait Canned: Send {
    fn init(&mut self, cx: &mut ProcessingContext<'_>) {
        let _ = cx;
    }

    fn on(&mut self, cx: &mut Context<'_, Dynamic>, record: Input) -> Result<(), BoxError>;

    fn timer(&mut self, cx: &mut Context<'_, Dynamic>, now: i64) -> Result<(), BoxError> {
        let _ = (cx, now);
        Ok(())
    }
}

/// A processor that a case chose.
pub(crate) struct Dynamic {
    canned: Box<dyn Canned>,
    store: Option<StoreHandle<KeyValues>>,
}

impl Processor for Dynamic {
    type KIn = Option<Key>;
    type VIn = Option<Value>;
    type KOut = Option<Key>;
    type VOut = Option<Value>;

    fn stores(&self) -> Vec<StoreId> {
        self.store.map(StoreHandle::id).into_iter().collect()
    }

    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
        self.canned.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut Context<'_, Self>, record: Input) -> Result<(), BoxError> {
        let key = record.key.as_ref().map(|key| Key::Text(key.text().to_owned()));
        self.canned.on(cx, record.with_key(key))
    }

    fn punctuate(&mut self, cx: &mut Context<'_, Self>, _: TimerId, now: i64) -> Result<(), BoxError> {
        self.canned.timer(cx, now)
    }
}

/// A canned processor before it runs.
pub(crate) struct Built<P> {
    /// The type of the values that it forwards.
    pub(crate) out: ValueType,
    pub(crate) store: Option<StoreBuilder<KeyValues>>,
    pub(crate) new: Arc<dyn Fn() -> P + Send + Sync>,
}

/// The processor that a node asks for.
pub(crate) fn processor(node: &Node, input: ValueType) -> Result<Built<Dynamic>> {
    match node.text("processor")? {
        "dedup" => keyed_by(node, (input, input), keyed::Dedup),
        "running_total" => {
            let every = every(node)?;
            keyed_by(node, (ValueType::Long, ValueType::Long), move |store| {
                keyed::RunningTotal { store, every }
            })
        }
        "wallclock_flush" => {
            let every = every(node)?;
            keyed_by(node, (input, input), move |store| keyed::WallClockFlush {
                store,
                every,
            })
        }
        "range_probe" => keyed_by(node, (input, ValueType::Text), keyed::RangeProbe),
        "header_echo" => Ok(without_store(ValueType::Text, || plain::HeaderEcho)),
        "ts_shift" => {
            let by = node.number("delta_ms")?;
            Ok(without_store(input, move || plain::TimestampShift { by }))
        }
        "context_info" => Ok(without_store(ValueType::Text, || plain::ContextInfo)),
        "multi_forward" => {
            let times = node.number("n")?;
            Ok(without_store(ValueType::Text, move || plain::MultiForward { times }))
        }
        "fail_on" => {
            let poison = node.text("value")?.to_owned();
            Ok(without_store(input, move || plain::FailOn { poison: poison.clone() }))
        }
        other => Err(CaseError::Unsupported(format!("processor {other}"))),
    }
}

fn every(node: &Node) -> Result<Duration> {
    Ok(Duration::from_millis(node.number("interval_ms")?.unsigned_abs()))
}

fn without_store<C: Canned + 'static>(out: ValueType, new: impl Fn() -> C + Send + Sync + 'static) -> Built<Dynamic> {
    let new = Arc::new(move || Dynamic {
        canned: Box::new(new()),
        store: None,
    });
    Built { out, store: None, new }
}

fn keyed_by<C: Canned + 'static>(
    node: &Node,
    (stored, out): (ValueType, ValueType),
    new: impl Fn(StoreHandle<KeyValues>) -> C + Send + Sync + 'static,
) -> Result<Built<Dynamic>> {
    let store = key_values(node, stored)?;
    let handle = store.handle();
    let new = Arc::new(move || Dynamic {
        canned: Box::new(new(handle)),
        store: Some(handle),
    });
    Ok(Built {
        out,
        store: Some(store),
        new,
    })
}

/// The key-value store that a processor's node describes.
fn key_values(node: &Node, stored: ValueType) -> Result<StoreBuilder<KeyValues>> {
    let options = node.store()?.unwrap_or_default();
    let name = options.name.unwrap_or_else(|| format!("{}-store", node.id));
    let stores = match options.kind.as_deref() {
        Some("in_memory") => Stores::in_memory(name),
        _ => Stores::persistent(name),
    };
    let mut store = stores.key_value_with(Arc::new(KeySerde(KeyType::Text)), Arc::new(ValueSerde(stored)));
    if options.caching == Some(true) {
        store = store.cached();
    }
    if options.logging == Some(false) {
        store = store.logging(Logging::Disabled);
    }
    Ok(store)
}
