//! A table-table join becomes three nodes: one below each table, and one below both.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::Data;
use kstreams_topology::graph::Node;

use super::node::{MergeNode, SideNode};
use super::rows::JoinedRows;
use super::{Joiner, Required};
use crate::error::Result;
use crate::option::{Materialized, Serdes};
use crate::plan::{Draft, Effect, Kind, Lowering, Site};
use crate::table::{
    Demand, OldValues, OptionalStore, RowSource, RowsPlan, StoredRows, TableNode, TablePlan, TableStore,
};

const PREFIX: &str = "KTABLE-MERGE-";

/// A join as it was recorded.
pub(super) struct Join<K: Data, V: Data, VO: Data, V2> {
    pub(super) this: Rc<TableNode<K, V>>,
    pub(super) other: Rc<TableNode<K, VO>>,
    pub(super) required: Required,
    pub(super) joiner: Joiner<V, VO, V2>,
}

pub(super) fn plan<K: Data, V: Data, VO: Data, V2: Data>(
    draft: &mut Draft,
    table: &TableNode<K, V2>,
    join: Join<K, V, VO, V2>,
) -> Result<TablePlan<K, V2>> {
    let this = join.this.planned.get(PREFIX)?.clone();
    let other = join.other.planned.get(PREFIX)?.clone();
    let store = store(draft, table, &Serdes::with_keys_of(&join.this.serdes.borrow()))?;
    let versioned = store.as_ref().is_some_and(|(_, options)| options.is_versioned());
    let (name, sides) = names(draft, table)?;
    if !(join.required.this && join.required.other) {
        this.old_values.enable(Demand::Always);
    }
    if !join.required.this {
        other.old_values.enable(Demand::Always);
    }
    this.rows.enable();
    other.rows.enable();
    let stored = StoredRows::new();
    let rows: Rc<dyn RowsPlan<K, V2>> = match &store {
        Some(_) => stored.clone(),
        None => Rc::new(JoinedRows {
            this: this.rows.clone(),
            other: other.rows.clone(),
            required: join.required,
            joiner: join.joiner.clone(),
        }),
    };
    let old_values = Rc::new(JoinedOldValues {
        this: this.old_values.clone(),
        other: other.old_values.clone(),
        sends_old: Cell::new(false),
    });
    let parents = [this.node, other.node];
    let lowered = Lowered {
        this,
        other,
        names: sides,
        required: join.required,
        joiner: join.joiner,
    };
    let flag = old_values.clone();
    let node = draft.node(&name, (Kind::Plain, Effect::None), move |lowering, site| {
        let sends_old = flag.sends_old.get();
        lowered.sides(lowering, sends_old)?;
        let site = Site {
            parents: vec![lowered.names.0, lowered.names.1],
            ..site.clone()
        };
        let Some((name, options)) = store else {
            return lowering.processor(&site, Arc::new(|| merge::<K, V2>(None)), &[]);
        };
        let store = TableStore::lower(lowering, &site, &options, name.clone(), sends_old)?;
        stored.set(RowSource::store(name.clone(), &store));
        lowering.processor(&site, Arc::new(move || merge(Some(store.clone()))), &[name])
    });
    parents.into_iter().for_each(|parent| draft.attach(parent, node));
    Ok(TablePlan {
        node,
        name,
        old_values,
        rows,
        versioned,
    })
}

/// The name of the join's store, and the options for it. Unlike filter and map_values, a join with options has a store,
/// named or not.
fn store<K: Data, V: Data>(
    draft: &mut Draft,
    table: &TableNode<K, V>,
    above: &Serdes<K, V>,
) -> Result<Option<(String, Materialized<K, V>)>> {
    let Some(options) = table.given(PREFIX)? else {
        table.settle(Materialized::new(), above);
        return Ok(None);
    };
    let name = draft.names.store(options.name.clone(), PREFIX)?;
    Ok(Some((name, table.settle(options, above))))
}

/// The names of the join and of its two sides.
fn names<K: Data, V: Data>(draft: &mut Draft, table: &TableNode<K, V>) -> Result<(String, (String, String))> {
    let named = table.name.take(PREFIX)?;
    let suffixed = |suffix: &str| named.as_ref().map(|name| format!("{name}-{suffix}"));
    let (this, other) = (suffixed("join-this"), suffixed("join-other"));
    let name = draft.names.or_draw(named, PREFIX)?;
    let this = draft.names.or_draw(this, "KTABLE-JOINTHIS-")?;
    let other = draft.names.or_draw(other, "KTABLE-JOINOTHER-")?;
    Ok((name, (this, other)))
}

fn merge<K: Data, V: Data>(store: Option<TableStore<K, V>>) -> Box<dyn Node> {
    Box::new(MergeNode {
        store: OptionalStore(store),
    })
}

/// The two sides, when they are written.
struct Lowered<K, V, VO, V2> {
    this: TablePlan<K, V>,
    other: TablePlan<K, VO>,
    names: (String, String),
    required: Required,
    joiner: Joiner<V, VO, V2>,
}

impl<K: Data, V: Data, VO: Data, V2: Data> Lowered<K, V, VO, V2> {
    fn sides(&self, lowering: &mut Lowering, sends_old: bool) -> Result<()> {
        let (this, other) = (&self.names.0, &self.names.1);
        let side = Side {
            own: &self.this,
            rows: self.other.rows.lower(this)?,
            required: self.required,
            joiner: self.joiner.clone(),
        };
        side.lower(lowering, this, sends_old)?;
        let joiner = self.joiner.clone();
        let side = Side {
            own: &self.other,
            rows: self.this.rows.lower(other)?,
            required: self.required.reversed(),
            joiner: Arc::new(move |other, this| joiner(this, other)),
        };
        side.lower(lowering, other, sends_old)?;
        lowering.copartition(&[this, other])
    }
}

/// One side: its changes are joined with the other side's rows.
struct Side<'a, K, V, VO, V2> {
    own: &'a TablePlan<K, V>,
    rows: RowSource<K, VO>,
    required: Required,
    joiner: Joiner<V, VO, V2>,
}

impl<K: Data, V: Data, VO: Data, V2: Data> Side<'_, K, V, VO, V2> {
    fn lower(self, lowering: &mut Lowering, name: &str, sends_old: bool) -> Result<()> {
        let Self {
            rows, required, joiner, ..
        } = self;
        let stores = rows.stores().to_vec();
        let versioned = self.own.versioned;
        let factory = Arc::new(move || -> Box<dyn Node> {
            Box::new(SideNode {
                other: rows.open(),
                joiner: joiner.clone(),
                required,
                sends_old,
                versioned,
            })
        });
        lowering.processor(&Site::below(name, &self.own.name), factory, &stores)
    }
}

/// A join can tell old values if both sides can.
struct JoinedOldValues {
    this: Rc<dyn OldValues>,
    other: Rc<dyn OldValues>,
    sends_old: Cell<bool>,
}

impl OldValues for JoinedOldValues {
    fn enable(&self, _: Demand) -> bool {
        self.this.enable(Demand::Always);
        self.other.enable(Demand::Always);
        self.sends_old.set(true);
        true
    }
}
