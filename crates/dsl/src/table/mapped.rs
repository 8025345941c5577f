//! What filter and map_values of a table have in common: each value becomes another one, or none.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::stores::ValueAndTimestamp;
use kstreams_topology::{BoxError, Change, Data, Error, Record};

use super::rows::GetRow;
use super::{
    Demand, KTable, OldValues, OptionalStore, RowGetter, RowSource, RowsPlan, StoredRows, TableNode, TablePlan,
    TableStore,
};
use crate::error::Result;
use crate::option::Serdes;
use crate::plan::{Draft, Effect, Kind};

/// Makes the row's new value out of the old table's; `None` for no row.
pub(crate) type Compute<K, V, V2> = Arc<dyn Fn(&K, V) -> std::result::Result<Option<V2>, BoxError> + Send + Sync>;

/// How an operator on a table's values differs from the others.
pub(crate) struct Operator<K: Data, V: Data, V2: Data> {
    pub(crate) prefix: &'static str,
    pub(crate) compute: Compute<K, V, V2>,
    pub(crate) inherit: fn(&Serdes<K, V>) -> Serdes<K, V2>,
    pub(crate) absence: Absence,
}

/// What happens to a change from no row to no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It is forwarded: a deletion again.
    Forwarded,
    /// It is not, where the old values are known. They are asked for, if the table above has them already.
    Suppressed,
}

impl<K: Data, V: Data> KTable<K, V> {
    pub(crate) fn mapped<V2: Data>(&self, operator: Operator<K, V, V2>) -> KTable<K, V2> {
        let parent = self.node.clone();
        KTable::record(&self.plan, move |draft, table| plan(draft, &parent, table, operator))
    }
}

fn plan<K: Data, V: Data, V2: Data>(
    draft: &mut Draft,
    parent: &TableNode<K, V>,
    table: &TableNode<K, V2>,
    operator: Operator<K, V, V2>,
) -> Result<TablePlan<K, V2>> {
    let above = parent.planned.get(operator.prefix)?.clone();
    let given = table.given(operator.prefix)?;
    if given.as_ref().is_some_and(|options| options.name.is_none()) {
        draft.names.store(None, operator.prefix)?;
    }
    let store_name = given
        .as_ref()
        .and_then(|options| options.name.clone())
        .map(crate::plan::valid)
        .transpose()?;
    let versioned = above.versioned_below(given.as_ref(), draft);
    let options = table.settle(given.unwrap_or_default(), &(operator.inherit)(&parent.serdes.borrow()));
    let name = draft
        .names
        .or_draw(table.name.take(operator.prefix)?, operator.prefix)?;
    let mapped = Rc::new(Mapped {
        above: above.old_values.clone(),
        stored: store_name.is_some(),
        sends_old: Cell::new(false),
    });
    if operator.absence == Absence::Suppressed {
        mapped.sends_old.set(above.old_values.enable(Demand::IfStored));
    }
    let (flags, Operator { compute, absence, .. }) = (mapped.clone(), operator);
    // Of versioned tables, all changes are told: a deletion that changes nothing now may be news in history.
    let absence = if above.versioned { Absence::Forwarded } else { absence };
    let stored = StoredRows::new();
    let rows: Rc<dyn RowsPlan<K, V2>> = match store_name {
        Some(_) => stored.clone(),
        None => Rc::new(MappedRows {
            above: above.rows.clone(),
            compute: compute.clone(),
        }),
    };
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let sends_old = flags.sends_old.get();
        let store = store_name
            .clone()
            .map(|name| TableStore::lower(lowering, site, &options, name, sends_old));
        let store = store.transpose()?;
        if let (Some(name), Some(store)) = (&store_name, &store) {
            stored.set(RowSource::store(name.clone(), store));
        }
        let factory = Arc::new(move || -> Box<dyn Node> {
            Box::new(MappedNode {
                compute: compute.clone(),
                store: OptionalStore(store.clone()),
                sends_old,
                absence,
            })
        });
        lowering.processor(site, factory, &Vec::from_iter(store_name))
    });
    draft.attach(above.node, node);
    Ok(TablePlan {
        node,
        name,
        old_values: mapped,
        rows,
        versioned,
    })
}

/// Old values come out of this table's own store, or from above.
pub(super) struct Mapped {
    pub(super) above: Rc<dyn OldValues>,
    pub(super) stored: bool,
    pub(super) sends_old: Cell<bool>,
}

impl OldValues for Mapped {
    fn enable(&self, demand: Demand) -> bool {
        if self.stored || self.above.enable(demand) {
            self.sends_old.set(true);
        }
        self.sends_old.get()
    }
}

/// The rows of a table without a store: those above, each computed anew.
struct MappedRows<K, V, V2> {
    above: Rc<dyn RowsPlan<K, V>>,
    compute: Compute<K, V, V2>,
}

impl<K: Data, V: Data, V2: Data> RowsPlan<K, V2> for MappedRows<K, V, V2> {
    fn enable(&self) {
        self.above.enable();
    }

    fn lower(&self, asking: &str) -> Result<RowSource<K, V2>> {
        let above = self.above.lower(asking)?;
        let compute = self.compute.clone();
        Ok(RowSource::new(above.stores().to_vec(), move || {
            Box::new(MappedGetter {
                above: above.open(),
                compute: compute.clone(),
            })
        }))
    }
}

struct MappedGetter<K, V, V2> {
    above: RowGetter<K, V>,
    compute: Compute<K, V, V2>,
}

impl<K: Data, V: Data, V2: Data> MappedGetter<K, V, V2> {
    fn compute(&self, key: &K, row: Option<ValueAndTimestamp<V>>) -> Result<Option<ValueAndTimestamp<V2>>, Error> {
        let Some(ValueAndTimestamp { value, timestamp }) = row else {
            return Ok(None);
        };
        let value = (self.compute)(key, value).map_err(Error::User)?;
        Ok(value.map(|value| ValueAndTimestamp { value, timestamp }))
    }
}

impl<K: Data, V: Data, V2: Data> GetRow<K, V2> for MappedGetter<K, V, V2> {
    fn get(&mut self, cx: &mut NodeContext<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V2>>, Error> {
        let row = self.above.get(cx, key)?;
        self.compute(key, row)
    }

    fn get_as_of(
        &mut self,
        cx: &mut NodeContext<'_>,
        key: &K,
        timestamp: i64,
    ) -> Result<Option<ValueAndTimestamp<V2>>, Error> {
        let row = self.above.get_as_of(cx, key, timestamp)?;
        self.compute(key, row)
    }
}

struct MappedNode<K: Data, V: Data, V2: Data> {
    compute: Compute<K, V, V2>,
    store: OptionalStore<K, V2>,
    sends_old: bool,
    absence: Absence,
}

impl<K: Data, V: Data, V2: Data> MappedNode<K, V, V2> {
    fn compute(&self, key: &K, value: Option<V>) -> Result<Option<V2>, Error> {
        match value {
            Some(value) => (self.compute)(key, value).map_err(Error::User),
            None => Ok(None),
        }
    }

    fn old(&self, cx: &mut NodeContext<'_>, key: &K, above: Option<V>) -> Result<Option<V2>, Error> {
        match &self.store.0 {
            _ if !self.sends_old => Ok(None),
            Some(store) => Ok(store.get(cx, key)?.map(|stored| stored.value)),
            None => self.compute(key, above),
        }
    }
}

impl<K: Data, V: Data, V2: Data> Node for MappedNode<K, V, V2> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let Record {
            key,
            value: change,
            timestamp,
            headers,
        } = input.take::<K, Change<V>>();
        let new = self.compute(&key, change.new)?;
        let old = self.old(cx, &key, change.old)?;
        if self.absence == Absence::Suppressed && self.sends_old && new.is_none() && old.is_none() {
            return Ok(());
        }
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

    fn flush(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.flush(cx)
    }
}
