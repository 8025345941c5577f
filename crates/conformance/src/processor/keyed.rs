//! Processors that keep something for each key.

use std::time::Duration;

use kstreams_topology::graph::Clock;
use kstreams_topology::processor::{Context, ProcessingContext};
use kstreams_topology::stores::{PutOutcome, StoreHandle, VersionedRecord};
use kstreams_topology::{BoxError, Record};

use super::store::{KeyValues, Versions};
use super::{Canned, Dynamic, Input};
use crate::key::{CaseKey, Key};
use crate::value::{Value, length};

type Entries = Vec<(Key, Value)>;

fn drain<K: CaseKey>(cx: &mut Context<'_, Dynamic<K>>, store: StoreHandle<KeyValues>) -> Result<Entries, BoxError> {
    Ok(cx.store(store).all()?.collect_owned()?)
}

fn put<K: CaseKey>(
    cx: &mut Context<'_, Dynamic<K>>,
    store: StoreHandle<KeyValues>,
    (key, value): (&Key, Option<&Value>),
) -> Result<(), BoxError> {
    match value {
        Some(value) => cx.store(store).put(key, value)?,
        None => cx.store(store).delete(key).map(|_| ())?,
    }
    Ok(())
}

/// Forwards values that differ from the last one.
pub(super) struct Dedup(pub(super) StoreHandle<KeyValues>);

impl<K: CaseKey> Canned<K> for Dedup {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        if let Some(key) = &record.key {
            if cx.store(self.0).get(key)? == record.value {
                return Ok(());
            }
            put(cx, self.0, (key, record.value.as_ref()))?;
        }
        Ok(cx.forward(record)?)
    }
}

/// Sums up, and forwards the sums as stream time passes.
pub(super) struct RunningTotal {
    pub(super) store: StoreHandle<KeyValues>,
    pub(super) every: Duration,
}

impl<K: CaseKey> Canned<K> for RunningTotal {
    fn init(&mut self, cx: &mut ProcessingContext<'_>) {
        cx.schedule(self.every, Clock::StreamTime);
    }

    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        let Some(key) = &record.key else { return Ok(()) };
        let total = match &record.value {
            None => return put(cx, self.store, (key, None)),
            Some(value) => {
                let before = cx.store(self.store).get(key)?.map_or(0, |total| total.long());
                let amount = match value {
                    Value::Long(number) => *number,
                    other => i64::try_from(length(other))?,
                };
                Value::Long(before.wrapping_add(amount))
            }
        };
        put(cx, self.store, (key, Some(&total)))
    }

    fn timer(&mut self, cx: &mut Context<'_, Dynamic<K>>, now: i64) -> Result<(), BoxError> {
        for (key, total) in drain(cx, self.store)? {
            cx.forward(Record::new(Some(key), Some(total), now))?;
        }
        Ok(())
    }
}

/// Keeps the last value of each key until the wall clock says to forward them.
pub(super) struct WallClockFlush {
    pub(super) store: StoreHandle<KeyValues>,
    pub(super) every: Duration,
}

impl<K: CaseKey> Canned<K> for WallClockFlush {
    fn init(&mut self, cx: &mut ProcessingContext<'_>) {
        cx.schedule(self.every, Clock::WallClock);
    }

    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        match &record.key {
            Some(key) => put(cx, self.store, (key, record.value.as_ref())),
            None => Ok(()),
        }
    }

    fn timer(&mut self, cx: &mut Context<'_, Dynamic<K>>, now: i64) -> Result<(), BoxError> {
        for (key, value) in drain(cx, self.store)? {
            cx.forward(Record::new(Some(key.clone()), Some(value), now))?;
            cx.store(self.store).delete(&key)?;
        }
        Ok(())
    }
}

/// Forwards what ranges of its store show.
pub(super) struct RangeProbe(pub(super) StoreHandle<KeyValues>);

impl<K: CaseKey> Canned<K> for RangeProbe {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        let Some(key) = &record.key else { return Ok(()) };
        put(cx, self.0, (key, record.value.as_ref()))?;
        let mut store = cx.store(self.0);
        let all = show(&store.all()?.collect_owned()?);
        let reverse = show(&store.reverse_all()?.collect_owned()?);
        let from = show(&store.range(Some(key), None)?.collect_owned()?);
        let to = show(&store.range(None, Some(key))?.collect_owned()?);
        let prefix = match key.text() {
            "" => String::new(),
            text => show(&store.prefix_scan(text.as_bytes())?.collect_owned()?),
        };
        let text = format!("all={all}|rev={reverse}|from={from}|to={to}|prefix={prefix}");
        Ok(cx.forward(record.with_value(Some(Value::Text(text))))?)
    }
}

/// Keeps versions, and forwards what they were some time ago and are now.
pub(super) struct VersionedAsOf {
    pub(super) store: StoreHandle<Versions>,
    pub(super) back: i64,
}

impl<K: CaseKey> Canned<K> for VersionedAsOf {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        let Some(key) = &record.key else { return Ok(()) };
        let mut store = cx.store(self.store);
        let put = match store.put(key, record.value.as_ref(), record.timestamp)? {
            PutOutcome::ValidTo(time) => time,
            PutOutcome::Latest => -1,
            PutOutcome::TooOld => i64::MIN,
        };
        // Java's stores do not tell how long a version was valid.
        let show = |version: Option<VersionedRecord<Value>>| {
            version.map_or_else(
                || "null".to_owned(),
                |version| format!("{}@{}/-", version.value.render(), version.timestamp),
            )
        };
        let as_of = show(store.get_as_of(key, record.timestamp - self.back)?);
        let latest = show(store.get(key)?);
        let text = format!("put={put};asof={as_of};latest={latest}");
        Ok(cx.forward(record.with_value(Some(Value::Text(text))))?)
    }
}

fn show(entries: &Entries) -> String {
    entries
        .iter()
        .map(|(key, value)| format!("{}={};", key.text(), value.render()))
        .collect()
}
