//! Tables whose changes are held back: suppress.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_store::{EngineKind, Kind as StoreKind, StoreSpec};
use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::stores::{
    BufferTotals, KeyValueFront, StoreBuilder, StoreHandle, SuppressBuffer, SuppressedChange, ValueAndTimestamp,
};
use kstreams_topology::{Change, Data, Error, Record};

use super::rows::GetRow;
use super::{Demand, KTable, RowGetter, RowSource, RowsPlan, TableNode, TablePlan};
use crate::error::{Error as BuildError, Result as BuildResult};
use crate::option::{Limits, Materialized, Suppressed, Until, resolve};
use crate::plan::{Draft, Effect, Kind, valid};

const PREFIX: &str = "KTABLE-SUPPRESS-";

impl<K: Data, V: Data> KTable<K, V> {
    /// The same table with fewer changes: those of a key are held back for some time, or until its window is closed, and
    /// only the last one passes. Time is stream time: a change passes when a later record of another time comes, never by
    /// the wall clock (KIP-328).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{Buffer, StreamsBuilder, Suppressed};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// let wait = Duration::from_millis(10);
    /// table.suppress(Suppressed::until_time_limit(wait, Buffer::unbounded())).to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, Option<String>>("out");
    /// driver.pipe(&input, record("k", "draft").at(0))?;
    /// driver.pipe(&input, record("k", "final").at(5))?;
    /// assert_eq!(driver.read_key_values(&output)?, []);
    /// driver.pipe(&input, record("other", "later").at(10))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), Some("final".into()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Windowed tables may wait for their final results. Deletions of windows never pass then.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use kstreams_dsl::{Buffer, StreamsBuilder, Suppressed, TimeWindows};
    /// # use kstreams_test_driver::{TopologyTestDriver, record};
    /// # use kstreams_topology::Windowed;
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks");
    /// let windows = TimeWindows::of_size(Duration::from_millis(10)).grace(Duration::from_millis(5));
    /// let counts = clicks.group_by_key().windowed_by(windows).count();
    /// let finals = counts.suppress(Suppressed::until_window_closes(Buffer::unbounded()));
    /// finals.to_stream().select_key(|window: &Windowed<String>, _| window.key.clone()).to("counts");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let clicks = driver.input::<String, String>("clicks");
    /// let counts = driver.output::<String, Option<i64>>("counts");
    /// for at in [1, 9, 14] {
    ///     driver.pipe(&clicks, record("user", "click").at(at))?;
    /// }
    /// assert_eq!(driver.read_key_values(&counts)?, []);
    /// driver.pipe(&clicks, record("user", "click").at(15))?;
    /// assert_eq!(driver.read_key_values(&counts)?, [("user".into(), Some(2))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At `build()`: if the table is versioned; if it is to wait for windows, and no aggregation above has any.
    pub fn suppress(&self, suppressed: Suppressed<K>) -> Self {
        let parent = self.node.clone();
        KTable::record(&self.plan, move |draft, table| plan(draft, &parent, table, suppressed))
    }
}

fn plan<K: Data, V: Data>(
    draft: &mut Draft,
    parent: &TableNode<K, V>,
    table: &TableNode<K, V>,
    suppressed: Suppressed<K>,
) -> BuildResult<TablePlan<K, V>> {
    let above = parent.planned.get(PREFIX)?.clone();
    let (name, store_name) = match table.name.take(PREFIX)? {
        Some(name) => (valid(name.clone())?, valid(format!("{name}-store"))?),
        None => (draft.names.draw(PREFIX), draft.names.store(None, PREFIX)?),
    };
    if table.materialized.take(&name)?.is_some() {
        return Err(BuildError::NeverStored { node: name });
    }
    if above.versioned {
        return Err(BuildError::SuppressedVersions { node: name });
    }
    let wait_ms = match &suppressed.until {
        Until::TimeLimit(wait_ms) => *wait_ms,
        Until::WindowCloses(_) => {
            let grace_ms = draft.window_grace_ms(above.node);
            grace_ms.ok_or_else(|| BuildError::NotWindowed { node: name.clone() })?
        }
    };
    above.old_values.enable(Demand::Always);
    let options = table.settle(Materialized::default(), &parent.serdes.borrow());
    let rows = Rc::new(SuppressedRows {
        above: above.rows,
        handle: OnceCell::new(),
        store: store_name.clone(),
    });
    let lowered = rows.clone();
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let key = resolve(options.key, &site.name, "key")?;
        let value = resolve(options.value, &site.name, "value")?;
        let spec = StoreSpec {
            name: store_name.clone(),
            kind: StoreKind::Suppression,
            engine: EngineKind::Memory,
            caching: false,
            logging: suppressed.buffer.logging.clone(),
        };
        let builder = StoreBuilder::<SuppressBuffer<K, V>>::new(spec, move |topic| {
            KeyValueFront::new(topic, key.clone(), value.clone())
        });
        let handle = builder.handle();
        lowering.store(builder.into_definition())?;
        lowered.set(handle);
        let node = SuppressNode {
            handle,
            until: suppressed.until,
            wait_ms,
            limits: suppressed.buffer,
            java_quirks: lowering.java_quirks(),
            stream_time: -1,
        };
        lowering.processor(site, Arc::new(move || Box::new(node.clone())), &[store_name])
    });
    draft.attach(above.node, node);
    Ok(TablePlan {
        node,
        name,
        old_values: above.old_values,
        rows,
        versioned: false,
    })
}

/// What readers of the table see: as long as a key's change waits, the row that was there before it.
struct SuppressedRows<K: Data, V: Data> {
    above: Rc<dyn RowsPlan<K, V>>,
    handle: OnceCell<StoreHandle<SuppressBuffer<K, V>>>,
    store: String,
}

impl<K: Data, V: Data> SuppressedRows<K, V> {
    fn set(&self, handle: StoreHandle<SuppressBuffer<K, V>>) {
        let first = self.handle.set(handle).is_ok();
        assert!(first, "a table is lowered once");
    }
}

impl<K: Data, V: Data> RowsPlan<K, V> for SuppressedRows<K, V> {
    fn enable(&self) {
        self.above.enable();
    }

    fn lower(&self, asking: &str) -> BuildResult<RowSource<K, V>> {
        let above = self.above.lower(asking)?;
        let handle = *self.handle.get().ok_or_else(|| BuildError::OtherBuilder {
            node: asking.to_owned(),
        })?;
        let stores = [std::slice::from_ref(&self.store), above.stores()].concat();
        Ok(RowSource::new(stores, move || {
            Box::new(SuppressedGetter {
                above: above.open(),
                handle,
            })
        }))
    }
}

struct SuppressedGetter<K, V> {
    above: RowGetter<K, V>,
    handle: StoreHandle<SuppressBuffer<K, V>>,
}

impl<K: Data, V: Data> GetRow<K, V> for SuppressedGetter<K, V> {
    fn get(&mut self, cx: &mut NodeContext<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>, Error> {
        match cx.store(self.handle).prior(key)? {
            // When the row before was set is not known any more.
            Some(prior) => Ok(prior.map(|value| ValueAndTimestamp::new(value, -1))),
            None => self.above.get(cx, key),
        }
    }

    fn get_as_of(&mut self, cx: &mut NodeContext<'_>, key: &K, _: i64) -> Result<Option<ValueAndTimestamp<V>>, Error> {
        self.get(cx, key)
    }
}

/// More waits in a buffer than it may hold.
#[derive(Debug, thiserror::Error)]
#[error(
    "the buffer of {node} is full: {} of {} records, {} of {} bytes",
    totals.records, limits.records_max, totals.bytes, limits.bytes_max
)]
struct BufferFull {
    node: String,
    totals: BufferTotals,
    limits: Limits,
}

#[derive(Clone)]
struct SuppressNode<K: Data, V: Data> {
    handle: StoreHandle<SuppressBuffer<K, V>>,
    until: Until<K>,
    wait_ms: i64,
    limits: Limits,
    java_quirks: bool,
    /// The largest time seen here.
    stream_time: i64,
}

impl<K: Data, V: Data> Node for SuppressNode<K, V> {
    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let record = input.take::<K, Change<V>>();
        self.stream_time = self.stream_time.max(record.timestamp);
        let time = match &self.until {
            Until::TimeLimit(_) => record.timestamp,
            Until::WindowCloses(end) => end(&record.key),
        };
        cx.store(self.handle).put(&record.key, time, &record.value)?;
        let expired = self.stream_time.saturating_sub(self.wait_ms);
        let mut totals = cx.store(self.handle).totals()?;
        while totals.min_time <= expired && totals.records > 0 {
            totals = self.emit_first(cx)?;
        }
        while totals.records > self.limits.records_max || totals.bytes > self.limits.bytes_max {
            if !self.limits.emits_early {
                return Err(self.full(cx, totals));
            }
            totals = self.emit_first(cx)?;
        }
        Ok(())
    }
}

impl<K: Data, V: Data> SuppressNode<K, V> {
    /// Lets the first change pass. What is left then.
    fn emit_first(&self, cx: &mut NodeContext<'_>) -> Result<BufferTotals, Error> {
        if self.java_quirks {
            // Java lets the change pass first: who reads the table meanwhile sees the row before it.
            if let Some(suppressed) = cx.store(self.handle).first()? {
                self.emit(cx, suppressed)?;
            }
            cx.store(self.handle).pop()?;
        } else if let Some(suppressed) = cx.store(self.handle).pop()? {
            self.emit(cx, suppressed)?;
        }
        cx.store(self.handle).totals()
    }

    fn emit(&self, cx: &mut NodeContext<'_>, suppressed: SuppressedChange<K, V>) -> Result<(), Error> {
        let SuppressedChange {
            key,
            change,
            prior,
            context,
        } = suppressed;
        if change.new.is_none() && matches!(self.until, Until::WindowCloses(_)) {
            return Ok(());
        }
        // Java's old value is that of the last change, which nodes below may never have seen.
        let old = if self.java_quirks { change.old } else { prior };
        let record = Record {
            key,
            value: Change { old, ..change },
            timestamp: context.timestamp,
            headers: context.headers.clone(),
        };
        cx.forward_as(context, record)
    }

    #[cold]
    fn full(&self, cx: &NodeContext<'_>, totals: BufferTotals) -> Error {
        Error::User(Box::new(BufferFull {
            node: cx.node_name().to_owned(),
            totals,
            limits: self.limits.clone(),
        }))
    }
}
