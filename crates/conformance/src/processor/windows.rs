//! Processors that keep something for each key and window.

use std::fmt::Write;

use kstreams_topology::processor::Context;
use kstreams_topology::stores::StoreHandle;
use kstreams_topology::{BoxError, Window, Windowed};

use super::store::{SessionCounts, WindowCounts};
use super::{Canned, Dynamic, Input};
use crate::key::{CaseKey, Key};
use crate::value::Value;

/// Counts by window, and forwards what its store shows of the windows around.
pub(super) struct WindowStoreCounter {
    pub(super) store: StoreHandle<WindowCounts>,
    pub(super) size: i64,
}

impl<K: CaseKey> Canned<K> for WindowStoreCounter {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        let Some(key) = &record.key else { return Ok(()) };
        let time = record.timestamp;
        let start = time - time % self.size;
        let mut store = cx.store(self.store);
        let count = store.fetch(key, start)?.map_or(0, |count| count.long()) + 1;
        store.put(key, Some(&Value::Long(count)), start)?;
        let (from, to) = ((time - 2 * self.size).max(0), time + self.size);
        let mut text = String::new();
        for row in store.fetch_range(key, from, to)? {
            let (start, count) = row?;
            write!(text, "{start}={};", count.render())?;
        }
        text.push('|');
        for row in store.backward_fetch_range(key, from, to)? {
            write!(text, "{};", row?.0)?;
        }
        Ok(cx.forward(record.with_value(Some(Value::Text(text))))?)
    }
}

/// Merges sessions, and forwards what its store shows of the key's sessions.
pub(super) struct SessionProbe {
    pub(super) store: StoreHandle<SessionCounts>,
    pub(super) gap: i64,
}

impl<K: CaseKey> Canned<K> for SessionProbe {
    fn on(&mut self, cx: &mut Context<'_, Dynamic<K>>, record: Input) -> Result<(), BoxError> {
        let Some(key) = &record.key else { return Ok(()) };
        let time = record.timestamp;
        let mut store = cx.store(self.store);
        let (mut session, mut count) = (Window::new(time, time), 1);
        let around = store.find_sessions(key, (time - self.gap).max(0), time + self.gap)?;
        let around: Vec<(Windowed<Key>, Value)> = around.collect::<Result<_, _>>()?;
        for (merged, value) in &around {
            session.start = session.start.min(merged.window.start);
            session.end = session.end.max(merged.window.end);
            count += value.long();
            store.remove(merged)?;
        }
        store.put(&Windowed::new(key.clone(), session), Some(&Value::Long(count)))?;
        let mut text = String::new();
        for row in store.fetch(key)? {
            let (session, count) = row?;
            write!(
                text,
                "{}-{}={};",
                session.window.start,
                session.window.end,
                count.render()
            )?;
        }
        Ok(cx.forward(record.with_value(Some(Value::Text(text))))?)
    }
}
