//! The canned processors of the case format.

use std::sync::Arc;

use kstreams_topology::graph::TimerId;
use kstreams_topology::processor::{Context, ProcessingContext, Processor};
use kstreams_topology::stores::{StoreBuilder, StoreHandle, StoreId, StoreKind};
use kstreams_topology::{BoxError, Record};

use crate::case::{CaseError, Node, Result};
use crate::key::{CaseKey, Key};
use crate::processor::store::{KeyValues, key_values};
use crate::value::{Value, ValueType};

mod fixed_key;
mod keyed;
mod plain;
mod store;
mod windows;

pub(crate) use fixed_key::fixed_key;
pub(crate) use store::AnyStore;

/// A record as processors see it.
pub(crate) type Input = Record<Option<Key>, Option<Value>>;

/// What a canned processor does. The key of its record is already a string.
pub(crate) trait Canned<K: CaseKey>: Send {
    fn init(&mut self, cx: &mut ProcessingContext<'_>) {
        let _ = cx;
    }

    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError>;

    fn timer(&mut self, cx: &mut Context<'_, Dynamic<K>>, now: i64) -> Result<(), BoxError> {
        let _ = (cx, now);
        Ok(())
    }
}

/// A processor that a case chose.
pub(crate) struct Dynamic<K: CaseKey> {
    canned: Box<dyn Canned<K>>,
    store: Option<StoreId>,
}

impl<K: CaseKey> Processor for Dynamic<K> {
    type KIn = Option<K>;
    type VIn = Option<Value>;
    type KOut = Option<Key>;
    type VOut = Option<Value>;

    fn stores(&self) -> Vec<StoreId> {
        self.store.into_iter().collect()
    }

    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> Result<(), BoxError> {
        self.canned.init(cx);
        Ok(())
    }

    fn process(
        &mut self,
        cx: &mut Context<'_, Self>,
        record: Record<Option<K>, Option<Value>>,
    ) -> Result<(), BoxError> {
        let key = record.key.as_ref().map(|key| Key::Text(key.seen().text().to_owned()));
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
    pub(crate) store: Option<AnyStore>,
    pub(crate) new: Arc<dyn Fn() -> P + Send + Sync>,
}

/// The processor that a node asks for.
pub(crate) fn processor<K: CaseKey>(node: &Node, input: ValueType) -> Result<Built<Dynamic<K>>> {
    match node.text("processor")? {
        "dedup" => keyed_by(node, (input, input), keyed::Dedup),
        "running_total" => {
            let every = node.millis("interval_ms")?;
            keyed_by(node, (ValueType::Long, ValueType::Long), move |store| {
                keyed::RunningTotal { store, every }
            })
        }
        "wallclock_flush" => {
            let every = node.millis("interval_ms")?;
            keyed_by(node, (input, input), move |store| keyed::WallClockFlush {
                store,
                every,
            })
        }
        "range_probe" => keyed_by(node, (input, ValueType::Text), keyed::RangeProbe),
        "window_store_counter" => {
            let size = node.number("window_ms")?;
            let store = store::counts_by_window(node)?;
            Ok(with_store(ValueType::Text, store, move |store| {
                windows::WindowStoreCounter { store, size }
            }))
        }
        "versioned_asof" => {
            let back = node.number("back_ms")?;
            let store = store::versions(node, input)?;
            Ok(with_store(ValueType::Text, store, move |store| keyed::VersionedAsOf {
                store,
                back,
            }))
        }
        "session_probe" => {
            let gap = node.number("gap_ms")?;
            let store = store::counts_by_session(node)?;
            Ok(with_store(ValueType::Text, store, move |store| windows::SessionProbe {
                store,
                gap,
            }))
        }
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

fn without_store<K, C>(out: ValueType, new: impl Fn() -> C + Send + Sync + 'static) -> Built<Dynamic<K>>
where
    K: CaseKey,
    C: Canned<K> + 'static,
{
    let new = Arc::new(move || Dynamic {
        canned: Box::new(new()),
        store: None,
    });
    Built { out, store: None, new }
}

fn keyed_by<K, C>(
    node: &Node,
    (stored, out): (ValueType, ValueType),
    new: impl Fn(StoreHandle<KeyValues>) -> C + Send + Sync + 'static,
) -> Result<Built<Dynamic<K>>>
where
    K: CaseKey,
    C: Canned<K> + 'static,
{
    Ok(with_store(out, key_values(node, stored)?, new))
}

fn with_store<K, C, S>(
    out: ValueType,
    store: StoreBuilder<S>,
    new: impl Fn(StoreHandle<S>) -> C + Send + Sync + 'static,
) -> Built<Dynamic<K>>
where
    K: CaseKey,
    C: Canned<K> + 'static,
    S: StoreKind + 'static,
    AnyStore: From<StoreBuilder<S>>,
{
    let handle = store.handle();
    let new = Arc::new(move || Dynamic {
        canned: Box::new(new(handle)),
        store: Some(handle.id()),
    });
    Built {
        out,
        store: Some(store.into()),
        new,
    }
}
