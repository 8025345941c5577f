//! Tables: the latest value of each key, and what can be done with its changes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::{Data, Serde};

use crate::error::{Error, Result};
use crate::option::{Materialized, Serdes};
use crate::plan::{Draft, Late, NodeId, Plan, Planned};

mod change;
mod convert;
mod filter;
mod foreign_key;
mod forward;
mod global;
mod group;
mod join;
mod map;
mod mapped;
mod optional;
mod rows;
mod source;
mod store;
mod suppress;
mod transform;

pub use foreign_key::TableJoined;
pub use global::GlobalKTable;
pub use group::KGroupedTable;
pub use transform::ValueTransformer;

pub(crate) use forward::{CachedKind, Forwarder};
pub(crate) use group::{Around, GroupedTableNode};
pub(crate) use optional::OptionalStore;
pub(crate) use rows::{GetRow, RowGetter, RowSource, RowsPlan, StoredRows};
pub(crate) use source::table_source;
pub(crate) use store::TableStore;

/// A table: a changelog stream, seen as the latest value of each key. Handles are cheap to clone.
///
/// Closures of its operators are never called with a deleted row: deletions pass by themselves.
pub struct KTable<K: Data, V: Data> {
    pub(crate) plan: Plan,
    pub(crate) node: Rc<TableNode<K, V>>,
}

/// A table as it was recorded.
pub(crate) struct TableNode<K: Data, V: Data> {
    pub(crate) name: Late<String>,
    pub(crate) materialized: Late<Materialized<K, V>>,
    pub(crate) serdes: RefCell<Serdes<K, V>>,
    pub(crate) planned: Planned<TablePlan<K, V>>,
}

/// What a table's operator came to in the draft.
pub(crate) struct TablePlan<K, V> {
    /// The node whose children get the table's changes.
    pub(crate) node: NodeId,
    /// The operator's name.
    pub(crate) name: String,
    /// Where old values can be had.
    pub(crate) old_values: Rc<dyn OldValues>,
    /// How rows are looked up.
    pub(crate) rows: Rc<dyn RowsPlan<K, V>>,
    /// Whether late changes come down, too, marked as not the row's latest.
    pub(crate) versioned: bool,
}

impl<K, V> Clone for TablePlan<K, V> {
    fn clone(&self) -> Self {
        Self {
            node: self.node,
            name: self.name.clone(),
            old_values: self.old_values.clone(),
            rows: self.rows.clone(),
            versioned: self.versioned,
        }
    }
}

impl<K, V> TablePlan<K, V> {
    /// Whether a table that takes over these rows one by one is versioned, too, given the options for its store.
    pub(crate) fn versioned_below<K2: Data, V2: Data>(
        &self,
        given: Option<&Materialized<K2, V2>>,
        draft: &Draft,
    ) -> bool {
        match given {
            Some(options) if options.name.is_some() => options.is_versioned(),
            // Options for a store, if only serdes, make Java forget that late changes come from above.
            Some(_) if draft.options.java_quirks => false,
            _ => self.versioned,
        }
    }
}

/// How much a table is asked to do for old values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Send them if the table can do so as it is.
    IfStored,
    /// Send them, and keep a store if it takes one.
    Always,
}

/// A table that may be asked to send, with each change, the value before it.
pub(crate) trait OldValues {
    /// Whether old values will be sent from now on.
    fn enable(&self, demand: Demand) -> bool;
}

impl<K: Data, V: Data> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            node: self.node.clone(),
        }
    }
}

impl<K: Data, V: Data> KTable<K, V> {
    /// Records an operator whose result is a table.
    pub(crate) fn record(
        plan: &Plan,
        operator: impl FnOnce(&mut Draft, &TableNode<K, V>) -> Result<TablePlan<K, V>> + 'static,
    ) -> Self {
        let node = Rc::new(TableNode {
            name: Late::new("name"),
            materialized: Late::new("store"),
            serdes: RefCell::default(),
            planned: Planned::new(),
        });
        let table = Self {
            plan: plan.clone(),
            node: node.clone(),
        };
        plan.record(move |draft| {
            let planned = operator(draft, &node)?;
            node.planned.set(planned);
            Ok(())
        });
        table
    }

    /// Names the operator that this table comes from.
    pub fn named(&self, name: impl Into<String>) -> Self {
        self.node.name.set(name.into());
        self.clone()
    }

    /// Says how this table is kept: the name of its store is enough, a [`Materialized`] says more.
    pub fn materialized(&self, options: impl Into<Materialized<K, V>>) -> Self {
        self.node.materialized.set(options.into());
        self.clone()
    }

    /// The name of this table's store, if it was [given](Self::materialized) one: by it the store can be queried.
    pub fn queryable_store_name(&self) -> Option<String> {
        self.node.materialized.peek(|options| options.name.clone()).flatten()
    }

    /// The serde of this table's keys, for all operators below. By default the type's own.
    pub fn key_serde(&self, serde: impl Serde<K>) -> Self {
        self.node.serdes.borrow_mut().key = Some(Arc::new(serde));
        self.clone()
    }

    /// The serde of this table's values, for all operators below that keep the value. By default the type's own.
    pub fn value_serde(&self, serde: impl Serde<V>) -> Self {
        self.node.serdes.borrow_mut().value = Some(Arc::new(serde));
        self.clone()
    }
}

impl<K: Data, V: Data> TableNode<K, V> {
    /// The options that were given for this table's store.
    pub(crate) fn given(&self, operator: &str) -> Result<Option<Materialized<K, V>>> {
        let given = self.materialized.take(operator)?;
        match &given {
            Some(options) if options.is_versioned() && options.name.is_none() => Err(Error::UnnamedVersionedStore {
                node: operator.to_owned(),
            }),
            _ => Ok(given),
        }
    }

    /// The options for this table's store, with the serdes that were given elsewhere: on the handle, or by the operator
    /// above. What operators below inherit is settled, too.
    pub(crate) fn settle(&self, given: Materialized<K, V>, above: &Serdes<K, V>) -> Materialized<K, V> {
        let own = Serdes {
            key: given.key.clone(),
            value: given.value.clone(),
        };
        let serdes = own.or(&self.serdes.take()).or(above);
        self.serdes.replace(serdes.clone());
        given.with_serdes(serdes.key, serdes.value)
    }
}
