//! Grouped streams become tables: every record updates the aggregate of its key.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{BoxError, Change, Data, Error, Nullable, Record};

use crate::error::Result;
use crate::option::Serdes;
use crate::plan::{Draft, Effect, Kind};
use crate::stream::{GroupedNode, KGroupedStream, TakeKeyed};
use crate::table::{Demand, KTable, OldValues, RowSource, StoredRows, TableNode, TablePlan, TableStore};

mod count;
mod fold;
mod reduce;
mod table;

/// How an aggregate begins and goes on.
pub(crate) trait Aggregator<K, V: Nullable, A>: Send + Sync + 'static {
    /// The aggregate after a record, and the one before it as tables below are to see it.
    fn apply(&self, key: &K, value: V::Inner, before: Option<A>, old: Old) -> Result<Applied<A>, BoxError>;
}

/// Whether anybody below wants the aggregate as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    Wanted,
    Unwanted,
}

/// What an aggregator made of a record.
pub(crate) struct Applied<A> {
    /// `None` deletes the aggregate.
    pub(crate) new: Option<A>,
    pub(crate) old: Option<A>,
}

/// The prefixes of generated names.
#[derive(Clone, Copy)]
pub(crate) struct Prefixes {
    pub(crate) node: &'static str,
    /// An operator that takes a store without a name draws one number more than it uses, as Java does.
    pub(crate) burns: bool,
}

impl<K: Data, V: Nullable> KGroupedStream<K, V> {
    /// Records an aggregation.
    pub(crate) fn aggregation<A: Data>(
        &self,
        prefixes: Prefixes,
        aggregator: impl Aggregator<K, V, A>,
    ) -> KTable<K, A> {
        let grouped = self.node.clone();
        let aggregator = Arc::new(aggregator);
        KTable::record(&self.plan, move |draft, table| {
            plan(draft, table, &grouped, prefixes, aggregator)
        })
    }
}

fn plan<K: Data, V: Nullable, A: Data>(
    draft: &mut Draft,
    table: &TableNode<K, A>,
    grouped: &GroupedNode<K, V>,
    prefixes: Prefixes,
    aggregator: Arc<impl Aggregator<K, V, A>>,
) -> Result<TablePlan<K, A>> {
    let given = table.materialized.take(prefixes.node)?;
    if prefixes.burns && given.as_ref().is_some_and(|materialized| materialized.name.is_none()) {
        draft.names.draw(prefixes.node);
    }
    let materialized = given.unwrap_or_default();
    let store_name = draft.names.store(materialized.name.clone(), prefixes.node)?;
    let name = draft.names.or_draw(table.name.take(prefixes.node)?, prefixes.node)?;
    let above = Serdes {
        key: grouped.serdes.borrow().key.clone(),
        value: None,
    };
    let materialized = table.settle(materialized, &above);
    let parent = grouped.aggregation_parent(draft, &store_name)?;
    let send_old = Rc::new(Cell::new(false));
    let rows = StoredRows::new();
    let (take, flag, lowered) = (grouped.take, send_old.clone(), rows.clone());
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let store = TableStore::lower(lowering, site, &materialized, store_name.clone(), flag.get())?;
        lowered.set(RowSource::store(store_name.clone(), &store));
        let factory = Arc::new(move || -> Box<dyn Node> {
            Box::new(AggregateNode {
                take,
                aggregator: aggregator.clone(),
                store: store.clone(),
            })
        });
        lowering.processor(site, factory, &[store_name])
    });
    draft.attach(parent, node);
    Ok(TablePlan {
        node,
        name,
        old_values: Rc::new(Stored(send_old)),
        rows,
        versioned: false,
    })
}

/// An aggregation always has its old values in its store.
struct Stored(Rc<Cell<bool>>);

impl OldValues for Stored {
    fn enable(&self, _: Demand) -> bool {
        self.0.set(true);
        true
    }
}

/// Updates the aggregate of each record's key.
struct AggregateNode<K: Data, V: Nullable, A: Data, G> {
    take: TakeKeyed<K, V>,
    aggregator: Arc<G>,
    store: TableStore<K, A>,
}

impl<K: Data, V: Nullable, A: Data, G: Aggregator<K, V, A>> Node for AggregateNode<K, V, A, G> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let record = (self.take)(input);
        let (Some(key), Some(value)) = (record.key, record.value.into_option()) else {
            cx.drop_record();
            return Ok(());
        };
        let mut view = self.store.view(cx);
        let stored = view.get(&key)?;
        let (before, timestamp) = match stored {
            Some(stored) => (Some(stored.value), stored.timestamp.max(record.timestamp)),
            None => (None, record.timestamp),
        };
        let old = if self.store.sends_old() {
            Old::Wanted
        } else {
            Old::Unwanted
        };
        let applied = self.aggregator.apply(&key, value, before, old).map_err(Error::User)?;
        view.set(&key, applied.new.as_ref(), timestamp)?;
        let value = Change {
            new: applied.new,
            old: applied.old,
            is_latest: true,
        };
        self.store.forward(
            cx,
            Record {
                key,
                value,
                timestamp,
                headers: record.headers,
            },
        )
    }

    fn flush(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.flush(cx)
    }
}
