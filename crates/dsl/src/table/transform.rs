//! Tables with values that a user's transformer makes, which may keep state: transform_values.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

use kstreams_store::RecordContext;
use kstreams_topology::graph::{Input, Node, NodeContext, TimerId};
use kstreams_topology::processor::ProcessingContext;
use kstreams_topology::stores::{StoreId, ValueAndTimestamp};
use kstreams_topology::{BoxError, Change, Data, Error, Record};

use super::mapped::Mapped;
use super::rows::GetRow;
use super::{KTable, OptionalStore, RowGetter, RowSource, RowsPlan, StoredRows, TableNode, TablePlan, TableStore};
use crate::error::Result;
use crate::option::Serdes;
use crate::plan::{Draft, Effect, Kind};

const PREFIX: &str = "KTABLE-TRANSFORMVALUES-";

/// Makes the values of [`KTable::transform_values`].
pub trait ValueTransformer: Send + 'static {
    /// The keys of the table.
    type K: Data;
    /// The values of the table.
    type VIn: Data;
    /// The values of the result.
    type VOut: Data;

    /// The stores that it uses; see [`Processor::stores`](kstreams_topology::processor::Processor::stores).
    fn stores(&self) -> Vec<StoreId> {
        Vec::new()
    }

    /// Called once per task, before the first row: the place to schedule.
    fn init(&mut self, cx: &mut ProcessingContext<'_>) -> std::result::Result<(), BoxError> {
        let _ = cx;
        Ok(())
    }

    /// The row's value in the result; `None` for no row. Unlike other closures it is also called for deletions, with `None`.
    fn transform(
        &mut self,
        cx: &mut ProcessingContext<'_>,
        key: &Self::K,
        value: Option<Self::VIn>,
    ) -> std::result::Result<Option<Self::VOut>, BoxError>;

    /// A timer is due; `now` is the time of its clock in milliseconds.
    fn punctuate(
        &mut self,
        cx: &mut ProcessingContext<'_>,
        timer: TimerId,
        now: i64,
    ) -> std::result::Result<(), BoxError> {
        let _ = (cx, timer, now);
        Ok(())
    }

    /// Called once when the task goes away.
    fn close(&mut self) -> std::result::Result<(), BoxError> {
        Ok(())
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    /// The same rows with values that a transformer makes, which may keep state and set timers, but not forward. The closure
    /// makes a transformer for each task, and one for each join that looks rows of the result up while it has no store: if
    /// the transformer's answer depends on more than the row, give the result a store.
    ///
    /// ```
    /// # use kstreams_dsl::{StreamsBuilder, ValueTransformer};
    /// # use kstreams_test_driver::TopologyTestDriver;
    /// use kstreams_topology::BoxError;
    /// use kstreams_topology::processor::ProcessingContext;
    /// use kstreams_topology::stores::{KeyValueStore, StoreHandle, StoreId, Stores};
    ///
    /// /// Numbers the versions of each row.
    /// struct Number(StoreHandle<KeyValueStore<String, i64>>);
    ///
    /// impl ValueTransformer for Number {
    ///     type K = String;
    ///     type VIn = String;
    ///     type VOut = String;
    ///
    ///     fn stores(&self) -> Vec<StoreId> {
    ///         vec![self.0.id()]
    ///     }
    ///
    ///     fn transform(
    ///         &mut self,
    ///         cx: &mut ProcessingContext<'_>,
    ///         key: &String,
    ///         value: Option<String>,
    ///     ) -> Result<Option<String>, BoxError> {
    ///         let number = cx.store(self.0).get(key)?.unwrap_or(0) + 1;
    ///         cx.store(self.0).put(key, &number)?;
    ///         Ok(value.map(|value| format!("{value} ({number})")))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let numbers = builder.add_store(Stores::persistent("numbers").key_value::<String, i64>());
    /// let table = builder.table::<String, String>("in");
    /// table.transform_values(move || Number(numbers)).materialized("numbered").to_stream().to("out");
    ///
    /// let mut driver = TopologyTestDriver::builder(builder.build()?).build()?;
    /// let input = driver.input::<String, String>("in");
    /// let output = driver.output::<String, String>("out");
    /// driver.pipe(&input, ("k", "apple"))?;
    /// driver.pipe(&input, ("k", "pear"))?;
    /// assert_eq!(driver.read_key_values(&output)?, [("k".into(), "apple (1)".into()), ("k".into(), "pear (2)".into())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transform_values<T>(&self, new: impl Fn() -> T + Send + Sync + 'static) -> KTable<K, T::VOut>
    where
        T: ValueTransformer<K = K, VIn = V>,
    {
        let parent = self.node.clone();
        let new: NewTransformer<T> = Arc::new(new);
        KTable::record(&self.plan, move |draft, table| plan(draft, table, &parent, new))
    }
}

type NewTransformer<T> = Arc<dyn Fn() -> T + Send + Sync>;

fn plan<T: ValueTransformer>(
    draft: &mut Draft,
    table: &TableNode<T::K, T::VOut>,
    parent: &TableNode<T::K, T::VIn>,
    new: NewTransformer<T>,
) -> Result<TablePlan<T::K, T::VOut>> {
    let above = parent.planned.get(PREFIX)?.clone();
    let given = table.given(PREFIX)?;
    let store_name = given.as_ref().and_then(|options| options.name.clone());
    let store_name = store_name.map(crate::plan::valid).transpose()?;
    let versioned = above.versioned_below(given.as_ref(), draft);
    let options = table.settle(
        given.unwrap_or_default(),
        &Serdes::with_keys_of(&parent.serdes.borrow()),
    );
    let name = draft.names.or_draw(table.name.take(PREFIX)?, PREFIX)?;
    let old_values = Rc::new(Mapped {
        above: above.old_values.clone(),
        stored: store_name.is_some(),
        sends_old: Cell::new(false),
    });
    let stored = StoredRows::new();
    let used = Rc::new(OnceCell::new());
    let rows: Rc<dyn RowsPlan<T::K, T::VOut>> = match store_name {
        Some(_) => stored.clone(),
        None => Rc::new(TransformedRows {
            above: above.rows.clone(),
            new: new.clone(),
            used: used.clone(),
        }),
    };
    let flags = old_values.clone();
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let mut stores = lowering.store_names(&site.name, new().stores())?;
        // The node is written once, so that the cell is empty.
        let _ = used.set(stores.clone());
        let sends_old = flags.sends_old.get();
        let store = match store_name {
            Some(name) => {
                let store = TableStore::lower(lowering, site, &options, name.clone(), sends_old)?;
                stored.set(RowSource::store(name.clone(), &store));
                stores.push(name);
                Some(store)
            }
            None => None,
        };
        let factory = Arc::new(move || -> Box<dyn Node> {
            Box::new(TransformNode {
                transformer: new(),
                store: OptionalStore(store.clone()),
                sends_old,
            })
        });
        lowering.processor(site, factory, &stores)
    });
    draft.attach(above.node, node);
    Ok(TablePlan {
        node,
        name,
        old_values,
        rows,
        versioned,
    })
}

/// The rows of a result without a store: those above, each transformed anew.
struct TransformedRows<T: ValueTransformer> {
    above: Rc<dyn RowsPlan<T::K, T::VIn>>,
    new: NewTransformer<T>,
    /// The transformer's stores, known once the table is lowered.
    used: Rc<OnceCell<Vec<String>>>,
}

impl<T: ValueTransformer> RowsPlan<T::K, T::VOut> for TransformedRows<T> {
    fn enable(&self) {
        self.above.enable();
    }

    fn lower(&self, asking: &str) -> Result<RowSource<T::K, T::VOut>> {
        let above = self.above.lower(asking)?;
        let new = self.new.clone();
        let stores = above.stores().iter().chain(self.used.get().into_iter().flatten());
        Ok(RowSource::new(stores.cloned().collect(), move || {
            Box::new(TransformedGetter {
                above: above.open(),
                transformer: new(),
                ready: false,
            })
        }))
    }
}

struct TransformedGetter<T: ValueTransformer> {
    above: RowGetter<T::K, T::VIn>,
    transformer: T,
    ready: bool,
}

impl<T: ValueTransformer> TransformedGetter<T> {
    fn transform(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &T::K,
        row: Option<ValueAndTimestamp<T::VIn>>,
    ) -> std::result::Result<Option<ValueAndTimestamp<T::VOut>>, Error> {
        let timestamp = row.as_ref().map_or(-1, |row| row.timestamp);
        // The record being processed is another one's: the transformer is to know nothing of it but the row's time.
        let value = cx.process_as(RecordContext::none(timestamp), |cx| {
            let mut cx = ProcessingContext::new(cx);
            if !self.ready {
                self.transformer.init(&mut cx)?;
                self.ready = true;
            }
            self.transformer.transform(&mut cx, key, row.map(|row| row.value))
        });
        let value = value.map_err(Error::from_user)?;
        Ok(value.map(|value| ValueAndTimestamp { value, timestamp }))
    }
}

impl<T: ValueTransformer> GetRow<T::K, T::VOut> for TransformedGetter<T> {
    fn get(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &T::K,
    ) -> std::result::Result<Option<ValueAndTimestamp<T::VOut>>, Error> {
        let row = self.above.get(cx, key)?;
        self.transform(cx, key, row)
    }

    fn get_as_of(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &T::K,
        timestamp: i64,
    ) -> std::result::Result<Option<ValueAndTimestamp<T::VOut>>, Error> {
        let row = self.above.get_as_of(cx, key, timestamp)?;
        self.transform(cx, key, row)
    }
}

struct TransformNode<T: ValueTransformer> {
    transformer: T,
    store: OptionalStore<T::K, T::VOut>,
    sends_old: bool,
}

impl<T: ValueTransformer> TransformNode<T> {
    fn transform(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &T::K,
        value: Option<T::VIn>,
    ) -> std::result::Result<Option<T::VOut>, Error> {
        let mut cx = ProcessingContext::new(cx);
        self.transformer
            .transform(&mut cx, key, value)
            .map_err(Error::from_user)
    }
}

impl<T: ValueTransformer> Node for TransformNode<T> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> std::result::Result<(), Error> {
        let ready = self.transformer.init(&mut ProcessingContext::new(cx));
        ready.map_err(Error::from_user)?;
        self.store.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> std::result::Result<(), Error> {
        let Record {
            key,
            value: change,
            timestamp,
            headers,
        } = input.take::<T::K, Change<T::VIn>>();
        let new = self.transform(cx, &key, change.new)?;
        let old = match &self.store.0 {
            _ if !self.sends_old => None,
            Some(store) => store.get(cx, &key)?.map(|stored| stored.value),
            None => self.transform(cx, &key, change.old)?,
        };
        let value = Change {
            new,
            old,
            is_latest: change.is_latest,
        };
        let record = Record {
            key,
            value,
            timestamp,
            headers,
        };
        self.store.put(cx, record)
    }

    fn punctuate(&mut self, cx: &mut NodeContext<'_>, timer: TimerId, now: i64) -> std::result::Result<(), Error> {
        let mut cx = ProcessingContext::new(cx);
        self.transformer
            .punctuate(&mut cx, timer, now)
            .map_err(Error::from_user)
    }

    fn flush(&mut self, cx: &mut NodeContext<'_>) -> std::result::Result<(), Error> {
        self.store.flush(cx)
    }

    fn close(&mut self) -> std::result::Result<(), Error> {
        self.transformer.close().map_err(Error::from_user)
    }
}
