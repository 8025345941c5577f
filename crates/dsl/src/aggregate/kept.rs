//! The store of an aggregation without windows, from its draft to its node.

use std::cell::Cell;
use std::rc::Rc;

use kstreams_topology::Data;

use super::{Naming, Stored};
use crate::error::Result;
use crate::option::{Materialized, Serdes};
use crate::plan::{Draft, Lowering, NodeId, Site};
use crate::table::{RowSource, StoredRows, TableNode, TablePlan, TableStore};

/// The store of a table of aggregates, with all options known.
pub(super) struct Kept<K: Data, A: Data> {
    pub(super) name: String,
    options: Materialized<K, A>,
    sends_old: Rc<Cell<bool>>,
    rows: Rc<StoredRows<K, A>>,
}

impl<K: Data, A: Data> Kept<K, A> {
    /// Draws the store's name and settles its options.
    pub(super) fn draft(
        draft: &mut Draft,
        table: &TableNode<K, A>,
        naming: Naming,
        above: &Serdes<K, A>,
    ) -> Result<Self> {
        let (given, name) = naming.store(draft, table)?;
        Ok(Self {
            name,
            options: table.settle(given, above),
            sends_old: Rc::default(),
            rows: StoredRows::new(),
        })
    }

    /// It has no windows that could close.
    pub(super) fn window_grace_ms(&self) -> Option<i64> {
        None
    }

    /// What the table comes to, with this node as the one whose children get its changes.
    pub(super) fn planned(&self, node: NodeId, name: String) -> TablePlan<K, A> {
        TablePlan {
            node,
            name,
            old_values: Rc::new(Stored(self.sends_old.clone())),
            rows: self.rows.clone(),
            versioned: self.options.is_versioned(),
        }
    }

    /// Adds the store to the topology.
    pub(super) fn lower(&self, lowering: &mut Lowering, site: &Site) -> Result<TableStore<K, A>> {
        let store = TableStore::lower(lowering, site, &self.options, self.name.clone(), self.sends_old.get())?;
        self.rows.set(RowSource::store(self.name.clone(), &store));
        Ok(store)
    }
}
