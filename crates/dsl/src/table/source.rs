//! The node that makes a table out of records: the first of every table that is read from a topic or a stream.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kstreams_topology::graph::{Input, Node, NodeContext};
use kstreams_topology::{Change, Data, Error, Record};

use kstreams_topology::blueprint::Topics;

use super::{Demand, OldValues, OptionalStore, RowSource, RowsPlan, StoredRows, TableNode, TablePlan, TableStore};
use crate::error::{Error as BuildError, Result as BuildResult};
use crate::option::{Consumed, Materialized, Serdes};
use crate::plan::{Draft, Effect, Kind, Lowering, Site, TableSource};
use crate::step::Factory;

/// Takes a record as a row: its key, which must be there, and its value, whose absence deletes the row.
pub(crate) type TakeRow<K, V> = fn(Input<'_>) -> Record<Option<K>, Option<V>>;

/// What is known of a source table before it is lowered.
pub(crate) struct SourceTable<K, V> {
    /// Whether it has a store: because it was named, or because an operator below needs it.
    stored: Cell<bool>,
    sends_old: Cell<bool>,
    rows: Rc<StoredRows<K, V>>,
}

impl<K, V> SourceTable<K, V> {
    pub(crate) fn new(stored: bool) -> Rc<Self> {
        Rc::new(Self {
            stored: Cell::new(stored),
            sends_old: Cell::new(false),
            rows: StoredRows::new(),
        })
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.stored.get()
    }
}

impl<K, V> RowsPlan<K, V> for SourceTable<K, V> {
    fn enable(&self) {
        self.stored.set(true);
    }

    fn lower(&self, asking: &str) -> BuildResult<RowSource<K, V>> {
        self.rows.lower(asking)
    }
}

impl<K, V> OldValues for SourceTable<K, V> {
    fn enable(&self, demand: Demand) -> bool {
        if demand == Demand::Always {
            self.stored.set(true);
        }
        if self.stored.get() {
            self.sends_old.set(true);
        }
        self.sends_old.get()
    }
}

/// Drafts a table that is read from a topic.
pub(crate) fn table_source<K: Data, V: Data>(
    draft: &mut Draft,
    table: &TableNode<K, V>,
    consumed: Consumed<Option<K>, Option<V>>,
) -> BuildResult<TablePlan<K, V>> {
    const PREFIX: &str = "KTABLE-SOURCE-";
    let given = table.given(PREFIX)?.unwrap_or_default();
    let rows = SourceTable::new(given.name.is_some());
    let topic = match &consumed.topics {
        Topics::Names(names) if names.len() == 1 => names.concat(),
        Topics::Names(_) | Topics::Pattern(_) => {
            let node = table.name.take(PREFIX)?.unwrap_or_else(|| PREFIX.to_owned());
            return Err(BuildError::SeveralTopics { node });
        }
    };
    let store_name = draft.names.store(given.name.clone(), &format!("{topic}-"))?;
    let named = table.name.take(PREFIX)?;
    let source_name = draft
        .names
        .or_draw(named.as_ref().map(|name| format!("{name}-source")), "KSTREAM-SOURCE-")?;
    let name = draft.names.or_draw(named, PREFIX)?;
    let options = table.settle(given, &Serdes::default());
    let serdes = table.serdes.borrow().resolve(&name)?;
    let versioned = options.is_versioned();
    let reuse_topic = Rc::new(Cell::new(false));
    let kind = Kind::Table(TableSource {
        reuse_topic: reuse_topic.clone(),
    });
    let lowered = rows.clone();
    let node = draft.node(&name, (kind, Effect::None), move |lowering, site| {
        lowering.source::<Option<K>, Option<V>>(&source_name, consumed, serdes)?;
        let site = Site::below(&site.name, &source_name);
        let reused = reuse_topic.get() && lowered.is_stored();
        let options = if reused { options.unlogged() } else { options };
        let take: TakeRow<K, V> = |input| input.take();
        lower_source_table(lowering, &site, &lowered, (take, options, store_name.clone()))?;
        if reused {
            lowering.reuse_topic(&store_name, &topic)?;
        }
        Ok(())
    });
    draft.attach(Draft::ROOT, node);
    Ok(TablePlan {
        node,
        name,
        old_values: rows.clone(),
        rows,
        versioned,
    })
}

/// Writes the node, and its store if it has one.
pub(crate) fn lower_source_table<K: Data, V: Data>(
    lowering: &mut Lowering,
    site: &Site,
    table: &SourceTable<K, V>,
    (take, options, store_name): (TakeRow<K, V>, Materialized<K, V>, String),
) -> BuildResult<()> {
    if !table.is_stored() {
        let factory: Factory = Arc::new(move || {
            Box::new(SourceNode::<K, V> {
                take,
                store: OptionalStore(None),
            })
        });
        return lowering.processor(site, factory, &[]);
    }
    let store = TableStore::lower(lowering, site, &options, store_name.clone(), table.sends_old.get())?;
    table.rows.set(RowSource::store(store_name.clone(), &store));
    lowering.processor(site, stored_source(take, store), &[store_name])
}

/// Makes the node of a table with a store.
pub(super) fn stored_source<K: Data, V: Data>(take: TakeRow<K, V>, store: TableStore<K, V>) -> Factory {
    Arc::new(move || {
        Box::new(SourceNode {
            take,
            store: OptionalStore(Some(store.clone())),
        })
    })
}

struct SourceNode<K: Data, V: Data> {
    take: TakeRow<K, V>,
    store: OptionalStore<K, V>,
}

impl<K: Data, V: Data> Node for SourceNode<K, V> {
    fn init(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.init(cx);
        Ok(())
    }

    fn process(&mut self, cx: &mut NodeContext<'_>, input: Input<'_>) -> Result<(), Error> {
        let record = (self.take)(input);
        let Some(key) = record.key else {
            cx.drop_record();
            return Ok(());
        };
        let mut change = Change {
            new: record.value,
            old: None,
            is_latest: true,
        };
        if let Some(before) = self.store.get(cx, &key)? {
            if record.timestamp < before.timestamp {
                tracing::warn!(
                    node = cx.node_name(),
                    before = before.timestamp,
                    now = record.timestamp,
                    "a row is replaced by an older record"
                );
            }
            change.old = self.store.sends_old().then_some(before.value);
        }
        self.store.put(
            cx,
            Record {
                key,
                value: change,
                timestamp: record.timestamp,
                headers: record.headers,
            },
        )
    }

    fn flush(&mut self, cx: &mut NodeContext<'_>) -> Result<(), Error> {
        self.store.flush(cx)
    }
}
